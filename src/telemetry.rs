//! Watchpost's own telemetry: its traces, logs and metrics, by the OpenTelemetry SDK.
//!
//! Metrics stand on `GET /metrics` of the API for Prometheus, always; with an exporter in the settings they also go
//! out over OTLP, and so do the log and a few spans. Nothing of it comes into Watchpost's own log of events, and
//! what is lost while a receiver is away stays lost: this is what Watchpost tells of itself, not what it keeps.
//!
//! No globals are installed here: whoever has a subscriber for `tracing` adds [`layers()`] to it.

mod export;
mod instruments;
mod layers;
pub mod names;
mod outage;
mod unnamed;

use std::path::{self, Path};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::export::Exporters;
use self::instruments::Observed;
use self::unnamed::Unnamed;
use crate::config::Settings;
use crate::deliver::Handle;
use crate::event::Invalid;
use crate::ingest::Ingest;
use crate::sink::otlp::metrics::Counts;
use crate::store::Store;

pub use instruments::Answered;
pub use layers::{Layers, Slots, layers};

/// A shutdown waits so long, at most, for what is still to be exported.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Watchpost's own telemetry; cheap to clone.
///
/// Where it exports, it has to be shut down: the last one dropped without would block for seconds.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    registry: Registry,
    metrics: SdkMeterProvider,
    exported: Option<Exported>,
    requests: Histogram<f64>,
    /// What is measured; the instruments hold it weakly, so that the store closes.
    observed: Mutex<Option<Arc<Observed>>>,
}

/// What goes over OTLP beside the metrics.
struct Exported {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
}

impl Telemetry {
    /// Starts what the settings say. To be called in a runtime, which the connection lives in.
    ///
    /// # Errors
    /// An exporter that cannot be: a certificate that cannot be read, an endpoint or a header that is none.
    pub fn start(settings: &Settings) -> Result<Self, Invalid> {
        let resource = resource(&settings.store.dir);
        let Some(exporter) = &settings.telemetry.exporter else { return Ok(Self::over(resource, None, None)) };
        let exporters = Exporters::new(exporter)?;
        let traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let logs = SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(Unnamed);
        let exported = Exported {
            traces: traces.with_batch_exporter(exporters.spans).build(),
            logs: logs.with_batch_exporter(exporters.logs).build(),
        };
        Ok(Self::over(resource, Some(exporters.metrics), Some(exported)))
    }

    /// Metrics to be read here, and nothing else, of a store that has no folder of its own.
    pub fn local() -> Self {
        Self::over(resource(Path::new("")), None, None)
    }

    fn over(resource: Resource, exporter: Option<MetricExporter>, exported: Option<Exported>) -> Self {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        let reader = reader.build().unwrap_or_else(|error| unreachable!("an empty registry takes it: {error}"));
        let metrics = SdkMeterProvider::builder().with_resource(resource).with_reader(reader);
        let metrics = match exporter {
            Some(exporter) => metrics.with_reader(export::reader(exporter)).build(),
            None => metrics.build(),
        };
        let requests = instruments::requests(&metrics.meter(names::SERVICE));
        Self(Arc::new(Inner { registry, metrics, exported, requests, observed: Mutex::default() }))
    }

    /// Measures these from now on, until it is shut down; to be called once.
    pub fn observe(&self, store: &Store, ingest: &Ingest, sinks: &[Handle], exports: Option<Arc<Counts>>) {
        let observed = Arc::new(Observed::new(store.clone(), ingest.clone(), sinks.to_vec(), exports));
        instruments::observe(&self.0.metrics.meter(names::SERVICE), &observed);
        *self.0.observed.lock().unwrap_or_else(PoisonError::into_inner) = Some(observed);
    }

    /// The metrics as Prometheus reads them (text format 0.0.4). It reads the store, so it blocks.
    ///
    /// # Errors
    /// A metric that the format does not have; none of ours.
    pub fn scrape(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather()).map_err(|error| error.to_string())
    }

    /// Counts a request that the API has answered.
    pub fn answered(&self, answered: &Answered<'_>) {
        self.0.requests.record(answered.took.as_secs_f64(), &answered.attributes());
    }

    /// Exports what is left, for at most [`FLUSH`], or until `force`; then measures nothing more. Whatever is still
    /// on its way is left to itself.
    pub async fn shutdown(&self, force: &CancellationToken) {
        let metrics = self.0.metrics.clone();
        let mut ended = vec![apart(move || metrics.shutdown_with_timeout(FLUSH))];
        if let Some(Exported { traces, logs }) = &self.0.exported {
            let (traces, logs) = (traces.clone(), logs.clone());
            ended.push(apart(move || traces.shutdown_with_timeout(FLUSH)));
            ended.push(apart(move || logs.shutdown_with_timeout(FLUSH)));
        }
        let all = async {
            for ended in ended {
                let _thread_could_not_be_started = ended.await;
            }
        };
        tokio::select! {
            _too_long = tokio::time::timeout(FLUSH, all) => {}
            () = force.cancelled() => {}
        }
        self.0.observed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Does something that may block on a thread that nobody has to wait for.
fn apart(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    let run = move || {
        // Shut down before, or no answer in time: there is nobody who could do more.
        let _told_by_the_exporter = work();
        let _nobody_waits = end.send(());
    };
    let _not_started = thread::Builder::new().name("watchpost-flush-telemetry".into()).spawn(run);
    ended
}

/// What Watchpost is, to whoever receives its telemetry; `OTEL_RESOURCE_ATTRIBUTES` may add to it. The instance is
/// the same at every start on that host and store, so that its series go on.
fn resource(store: &Path) -> Resource {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // From two places the same relative path names two stores.
    let store = path::absolute(store).unwrap_or_default();
    let instance = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("watchpost:{host}:{}", store.display()).as_bytes());
    Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_service_name(names::SERVICE)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_string()),
            KeyValue::new("host.name", host),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instance that `/metrics` tells of where nothing is exported.
    fn instance(dir: &str) -> String {
        let store = crate::config::Store { dir: dir.into(), ..crate::config::Store::default() };
        let settings = Settings { store, ..Settings::default() };
        let telemetry = Telemetry::start(&settings).expect("nothing is exported");
        telemetry.answered(&Answered { method: "GET", route: None, status: 200, took: Duration::ZERO });
        let page = telemetry.scrape().expect("metrics");
        let (_, rest) = page.split_once("service_instance_id=\"").expect("an instance");
        rest.split('"').next().expect("its end").to_owned()
    }

    #[test]
    fn an_instance_is_that_of_its_store_wherever_it_is_named_from() {
        let here = std::env::current_dir().expect("a folder").join("a");
        assert_eq!(instance("a"), instance(&here.to_string_lossy()));
        assert_ne!(instance("a"), instance("b"));
    }
}
