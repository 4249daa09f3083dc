//! One signal's way to a receiver, over gRPC or HTTP.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::timeout;

use super::answer::{self, Answer, Fail};
use super::{grpc, http};
use crate::cause::chain;
use crate::config::{Exporter, Protocol};

/// What every request says about who sends it, as the OTLP exporter specification asks for.
pub(super) const USER_AGENT: &str =
    concat!("Watchpost/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// A call of a sink ends within 30 s, so no request is given longer than this, whatever the settings say.
const LONGEST: Duration = Duration::from_secs(25);

/// How long making a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// A setting that cannot be used, as it is found out when the channel is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {message}")]
pub struct Invalid {
    /// The setting, or the file that it names.
    pub what: String,
    /// What is wrong with it.
    pub message: String,
}

impl Invalid {
    pub(super) fn new(what: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { what: what.into(), message: chain(error) }
    }
}

/// A channel to one receiver; cheap to clone, and any number of exports may be under way.
///
/// It connects at the first export, and again by itself where the connection was lost. Nothing is sent twice
/// by it: whoever exports decides about that.
#[derive(Debug, Clone)]
pub struct Channel {
    wire: Wire,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Wire {
    Grpc(grpc::Client),
    Http(http::Client),
}

impl Channel {
    /// A channel that is not connected yet. It reads the certificates, and must be made within a runtime.
    pub fn new(settings: &Exporter, signal: Signal) -> Result<Self, Invalid> {
        let tls = Tls::read(settings)?;
        let wire = match settings.protocol {
            Protocol::Grpc => Wire::Grpc(grpc::Client::new(settings, &tls, signal)?),
            Protocol::HttpProtobuf => Wire::Http(http::Client::new(settings, &tls)?),
        };
        Ok(Self { wire, timeout: settings.timeout.min(LONGEST) })
    }

    /// How long an export may take: the setting, but at most 25 s.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Exports one request, encoded as protobuf. Answers in [`Channel::timeout`]; safe to drop.
    pub async fn export(&self, request: Bytes) -> Result<Answer, Fail> {
        let exported = async {
            match &self.wire {
                Wire::Grpc(client) => client.export(request, self.timeout).await,
                Wire::Http(client) => client.export(request).await,
            }
        };
        timeout(self.timeout, guarded(exported)).await.unwrap_or_else(|_| Err(answer::too_slow(self.timeout)))
    }
}

/// A client that panics has failed, and no more than that: tonic does so at an answer with details that are not
/// base64, whoever sends it.
async fn guarded(exported: impl Future<Output = Result<Answer, Fail>>) -> Result<Answer, Fail> {
    // What it leaves is not used any more: each export has a client of its own.
    AssertUnwindSafe(exported).catch_unwind().await.unwrap_or_else(|_| Err(answer::not_understood()))
}

/// What TLS needs, as PEM.
#[derive(Debug, Default)]
pub(super) struct Tls {
    /// The certificate authorities; none: those of the system.
    pub(super) ca: Option<Vec<u8>>,
    /// Our certificate and its key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    fn read(settings: &Exporter) -> Result<Self, Invalid> {
        let read = |path: &Path| fs::read(path).map_err(|error| Invalid::new(path.display().to_string(), &error));
        let ca = settings.ca_file.as_deref().map(read).transpose()?;
        let pair = settings.client_certificate.as_ref();
        let identity = pair.map(|(certificate, key)| Ok((read(certificate)?, read(key)?))).transpose()?;
        Ok(Self { ca, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_panics_has_failed_and_takes_nothing_down() {
        let failed = guarded(async { panic!("Invalid status header, expected base64 encoded value") }).await;
        assert!(matches!(failed, Err(Fail::Later { after: None, .. })), "{failed:?}");
    }
}
