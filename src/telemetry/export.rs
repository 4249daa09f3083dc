//! The exporters, over one gRPC connection.

use std::time::Duration;

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::outage::{Outage, Signal, Watched};
use crate::config::{Compression, Exporter, Protocol};
use crate::event::Invalid;
use crate::sink::otlp;

/// Metrics are exported this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// An exporter for each signal.
pub(super) struct Exporters {
    pub(super) spans: Watched<SpanExporter>,
    pub(super) logs: Watched<LogExporter>,
    pub(super) metrics: Metrics,
}

/// The exporter of metrics.
pub(super) struct Metrics(Watched<MetricExporter>);

impl Metrics {
    /// A reader that exports by it.
    pub(super) fn reader(self) -> PeriodicReader<Watched<MetricExporter>> {
        PeriodicReader::builder(self.0).with_interval(INTERVAL).build()
    }
}

/// Exporters that are not connected yet; one connection for all.
pub(super) fn exporters(settings: &Exporter) -> Result<Exporters, Invalid> {
    if settings.protocol != Protocol::Grpc {
        let expected = "grpc: Watchpost's own telemetry does not go over HTTP";
        return Err(Invalid::new("telemetry.protocol", "http/protobuf", expected));
    }
    let way = Way::new(settings)?;
    let spans = way.lead(SpanExporter::builder().with_tonic()).build().map_err(refused)?;
    let logs = way.lead(LogExporter::builder().with_tonic()).build().map_err(refused)?;
    let metrics = MetricExporter::builder().with_tonic().with_temporality(Temporality::Cumulative);
    let metrics = way.lead(metrics).build().map_err(refused)?;
    let outage = Outage::of(&settings.endpoint);
    Ok(Exporters {
        spans: Watched { exporter: spans, signal: Signal::Traces, outage: outage.clone() },
        logs: Watched { exporter: logs, signal: Signal::Logs, outage: outage.clone() },
        metrics: Metrics(Watched { exporter: metrics, signal: Signal::Metrics, outage }),
    })
}

fn refused(error: opentelemetry_otlp::ExporterBuildError) -> Invalid {
    Invalid::new("telemetry", "an exporter", error.to_string())
}

/// What all exporters have in common.
struct Way<'a> {
    settings: &'a Exporter,
    channel: Channel,
    headers: MetadataMap,
}

impl<'a> Way<'a> {
    fn new(settings: &'a Exporter) -> Result<Self, Invalid> {
        let unusable = |wrong: otlp::Invalid| Invalid::new("telemetry", &wrong.what, wrong.message);
        let (endpoint, headers) = otlp::way(settings).map_err(unusable)?;
        Ok(Self { settings, channel: endpoint.timeout(settings.timeout).connect_lazy(), headers })
    }

    fn lead<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> B {
        let headers = self.headers.clone();
        let builder = builder.with_channel(self.channel.clone()).with_timeout(self.settings.timeout);
        // In place of all headers: the SDK would add those of the environment, which are for the events' receiver.
        let builder = builder.with_interceptor(move |mut request: tonic::Request<()>| {
            *request.metadata_mut() = headers.clone();
            Ok(request)
        });
        match self.settings.compression {
            Compression::None => builder,
            Compression::Gzip => builder.with_compression(opentelemetry_otlp::Compression::Gzip),
            Compression::Zstd => builder.with_compression(opentelemetry_otlp::Compression::Zstd),
        }
    }
}
