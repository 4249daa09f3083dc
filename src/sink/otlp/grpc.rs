//! OTLP over gRPC. Requests are encoded already, so the codec only hands bytes on.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::answer::{self, Answer, Fail};
use super::channel::{CONNECT, Invalid, Signal, Tls, USER_AGENT};
use crate::config::{Compression, Exporter};

/// Finds out that a receiver's machine is gone while nothing is under way. HTTP/2 pings would do it sooner, but
/// servers hang up on a client that sends them more often than every five minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A gRPC client of one method.
#[derive(Debug, Clone)]
pub(super) struct Client {
    grpc: tonic::client::Grpc<tonic::transport::Channel>,
    path: PathAndQuery,
    headers: MetadataMap,
}

impl Client {
    pub(super) fn new(settings: &Exporter, tls: &Tls, signal: Signal) -> Result<Self, Invalid> {
        let grpc = tonic::client::Grpc::new(endpoint(settings, tls)?.connect_lazy());
        let grpc = match settings.compression {
            Compression::None => grpc,
            Compression::Gzip => grpc.send_compressed(CompressionEncoding::Gzip),
            Compression::Zstd => grpc.send_compressed(CompressionEncoding::Zstd),
        };
        let grpc = grpc.accept_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Zstd);
        Ok(Self { grpc, path: PathAndQuery::from_static(method(signal)), headers: headers(settings)? })
    }

    pub(super) async fn export(&self, request: Bytes, timeout: Duration) -> Result<Answer, Fail> {
        let mut request = Request::new(request);
        *request.metadata_mut() = self.headers.clone();
        // The receiver may stop working on what nobody waits for any more. The client ends the call then, too, but
        // says less well why; so it is a little later.
        request.set_timeout(timeout + Duration::from_millis(200));
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| answer::of_status(&Status::from_error(error.into())))?;
        let response = grpc.unary(request, self.path.clone(), Raw).await;
        let response = response.map_err(|status| answer::of_status(&status))?;
        answer::of_protobuf(response.into_inner())
    }
}

fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

fn endpoint(settings: &Exporter, tls: &Tls) -> Result<Endpoint, Invalid> {
    let invalid = |error: tonic::transport::Error| Invalid::new("endpoint", &error);
    let endpoint = Endpoint::from_shared(settings.endpoint.clone()).map_err(invalid)?;
    let endpoint = endpoint.user_agent(USER_AGENT).map_err(invalid)?;
    let endpoint = endpoint.connect_timeout(CONNECT).tcp_keepalive(Some(KEEPALIVE));
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let config = match &tls.ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    let config = match &tls.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    };
    endpoint.tls_config(config.timeout(CONNECT)).map_err(|error| Invalid::new("certificates", &error))
}

fn headers(settings: &Exporter) -> Result<MetadataMap, Invalid> {
    let mut headers = MetadataMap::new();
    for (name, value) in &settings.headers {
        let what = || format!("headers.{name}");
        let key: MetadataKey<Ascii> = name.parse().map_err(|error| Invalid::new(what(), &error))?;
        let mut value: MetadataValue<Ascii> =
            value.expose().parse().map_err(|error| Invalid::new(what(), &error))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Bytes to the wire as they are, and back.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(item.len());
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn what_is_in_a_header_is_not_shown() {
        let given = vec![("authorization".to_owned(), Secret::new("Bearer hush".to_owned()))];
        let shown =
            format!("{:?}", headers(&Exporter { headers: given, ..Exporter::default() }).expect("a header"));
        assert!(shown.contains("authorization") && !shown.contains("hush"), "{shown}");
    }
}
