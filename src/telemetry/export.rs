//! The SDK's exporters, over the channels that the sinks use: gRPC or HTTP, with their TLS, headers and compression.
//!
//! opentelemetry-otlp makes requests as for HTTP; what it would post is the same message that goes over gRPC.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};
use tokio::runtime::Handle;

use super::outage::Outage;
use crate::config::{Exporter, Protocol, without_password};
use crate::event::Invalid;
use crate::sink::otlp::{Channel, Fail, Signal};

/// Metrics are exported this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// An exporter for each signal, not connected yet.
pub(super) struct Exporters {
    pub(super) spans: SpanExporter,
    pub(super) logs: LogExporter,
    pub(super) metrics: MetricExporter,
}

impl Exporters {
    /// To be called in a runtime, which the connections live in.
    pub(super) fn new(settings: &Exporter) -> Result<Self, Invalid> {
        let outage = Outage::of(&settings.endpoint);
        let through = |signal| Through::new(settings, signal, &outage);
        let failed = |error: opentelemetry_otlp::ExporterBuildError| {
            Invalid::new("telemetry", &without_password(&settings.endpoint), error.to_string())
        };
        let metrics = MetricExporter::builder().with_http().with_temporality(Temporality::Cumulative);
        Ok(Self {
            spans: over(SpanExporter::builder().with_http(), through(Signal::Traces)?).build().map_err(failed)?,
            logs: over(LogExporter::builder().with_http(), through(Signal::Logs)?).build().map_err(failed)?,
            metrics: over(metrics, through(Signal::Metrics)?).build().map_err(failed)?,
        })
    }
}

/// The reader that exports metrics.
pub(super) fn reader(exporter: MetricExporter) -> PeriodicReader<MetricExporter> {
    PeriodicReader::builder(exporter).with_interval(INTERVAL).build()
}

/// Has an exporter send through a channel, whatever `OTEL_EXPORTER_OTLP_*` say: the settings have read them.
fn over<B: WithExportConfig + WithHttpConfig>(builder: B, through: Through) -> B {
    let builder = builder.with_protocol(opentelemetry_otlp::Protocol::HttpBinary);
    let builder = builder.with_endpoint("http://channel").with_timeout(through.channel.timeout());
    builder.with_http_client(through)
}

/// The HTTP client of one exporter, which takes nothing of a request but its body.
#[derive(Debug)]
struct Through {
    channel: Channel,
    signal: Signal,
    outage: Arc<Outage>,
    /// Exporters run on threads of the SDK.
    runtime: Handle,
}

impl Through {
    fn new(settings: &Exporter, signal: Signal, outage: &Arc<Outage>) -> Result<Self, Invalid> {
        let settings = Exporter { endpoint: endpoint(settings, signal), ..settings.clone() };
        let channel = Channel::new(&settings, signal);
        let channel = channel.map_err(|error| Invalid::new("telemetry", &error.what, error.message))?;
        Ok(Self { channel, signal, outage: outage.clone(), runtime: Handle::current() })
    }

    async fn send(&self, body: Bytes) -> Result<Response<Bytes>, HttpError> {
        let channel = self.channel.clone();
        let sent = self.runtime.spawn(async move { channel.export(body).await }).await?;
        self.outage.tell(self.signal, sent.as_ref().err());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = match sent {
            Ok(_) => StatusCode::OK,
            Err(Fail::Later { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::BAD_REQUEST,
        };
        Ok(response)
    }
}

impl HttpClient for Through {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.send(request.into_body()))
    }
}

/// Where a signal goes: over HTTP each has a path of its own.
fn endpoint(settings: &Exporter, signal: Signal) -> String {
    let path = match (settings.protocol, signal) {
        (Protocol::Grpc, _) => return settings.endpoint.clone(),
        (_, Signal::Traces) => "/v1/traces",
        (_, Signal::Logs) => "/v1/logs",
        (_, Signal::Metrics) => "/v1/metrics",
    };
    format!("{}{path}", settings.endpoint.trim_end_matches('/'))
}
