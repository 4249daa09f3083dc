//! A receiver that is away: told once when it goes, and once when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// What is exported; each has a bit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Traces = 1,
    Logs = 2,
    Metrics = 4,
}

/// Which signals do not get through.
#[derive(Debug)]
pub(super) struct Outage {
    endpoint: String,
    failing: AtomicU8,
}

/// What an export says about the receiver.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Begins,
    Ends,
    Nothing,
}

impl Outage {
    pub(super) fn of(endpoint: &str) -> Arc<Self> {
        Arc::new(Self { endpoint: endpoint.into(), failing: AtomicU8::new(0) })
    }

    fn turn(&self, signal: Signal, exported: &OTelSdkResult) -> Turn {
        let bit = signal as u8;
        match exported {
            Err(OTelSdkError::AlreadyShutdown) => Turn::Nothing,
            Err(_) if self.failing.fetch_or(bit, Ordering::AcqRel) == 0 => Turn::Begins,
            Ok(()) if self.failing.fetch_and(!bit, Ordering::AcqRel) == bit => Turn::Ends,
            _ => Turn::Nothing,
        }
    }

    fn tell(&self, signal: Signal, exported: &OTelSdkResult) {
        let endpoint = &self.endpoint;
        match (self.turn(signal, exported), exported) {
            (Turn::Begins, Err(error)) => {
                tracing::warn!("own telemetry does not reach {endpoint}, what is not taken is lost: {error}");
            }
            (Turn::Ends, _) => tracing::info!("own telemetry reaches {endpoint} again"),
            _ => {}
        }
    }
}

/// An exporter whose failures are told.
#[derive(Debug)]
pub(super) struct Watched<E> {
    pub(super) exporter: E,
    pub(super) signal: Signal,
    pub(super) outage: Arc<Outage>,
}

impl<E> Watched<E> {
    fn told(&self, exported: OTelSdkResult) -> OTelSdkResult {
        self.outage.tell(self.signal, &exported);
        exported
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.told(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.told(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.told(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_several_signals_begins_once_and_ends_once() {
        let outage = Outage::of("here");
        let failed = || Err(OTelSdkError::InternalFailure("away".into()));
        let steps = [
            (Signal::Logs, Ok(()), Turn::Nothing),
            (Signal::Logs, failed(), Turn::Begins),
            (Signal::Logs, failed(), Turn::Nothing),
            (Signal::Traces, failed(), Turn::Nothing),
            (Signal::Metrics, Ok(()), Turn::Nothing),
            (Signal::Logs, Ok(()), Turn::Nothing),
            (Signal::Logs, Ok(()), Turn::Nothing),
            (Signal::Traces, Err(OTelSdkError::AlreadyShutdown), Turn::Nothing),
            (Signal::Traces, Ok(()), Turn::Ends),
            (Signal::Metrics, failed(), Turn::Begins),
        ];
        for (step, (signal, exported, expected)) in steps.into_iter().enumerate() {
            assert_eq!(outage.turn(signal, &exported), expected, "step {step}");
        }
    }
}
