//! The layers of a subscriber that carry own logs and spans, once it is known where they go.

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry, reload};

use super::{Exported, Telemetry, names};

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Layers for a subscriber over a [`Registry`], to be added first.
pub type Layers = Vec<Boxed>;

/// Where telemetry that is started later finds its layers.
pub struct Slots {
    logs: Slot,
    spans: Slot,
}

/// A layer that is not there yet. Its filter stands outside of it, as the registry has to know a filter from the
/// start.
struct Slot {
    layer: reload::Handle<Option<Boxed>, Registry>,
    filter: reload::Handle<Targets, Registry>,
}

/// Layers that do nothing until their slots are filled.
pub fn layers() -> (Layers, Slots) {
    let ((logs, in_logs), (spans, in_spans)) = (slot(), slot());
    (vec![logs, spans], Slots { logs: in_logs, spans: in_spans })
}

fn slot() -> (Boxed, Slot) {
    let (layer, to_layer) = reload::Layer::new(None);
    let (filter, to_filter) = reload::Layer::new(Targets::new());
    (layer.with_filter(filter).boxed(), Slot { layer: to_layer, filter: to_filter })
}

impl Slot {
    fn fill(&self, layer: Boxed, filter: Targets) {
        // Where the subscriber is gone, nobody logs.
        let _gone = self.layer.reload(Some(layer)).and_then(|()| self.filter.reload(filter));
    }
}

impl Slots {
    /// From now on the log and the spans of this process go where `telemetry` exports to, if it does.
    pub fn fill(&self, telemetry: &Telemetry) {
        let Some(Exported { traces, logs }) = &telemetry.0.exported else { return };
        self.logs.fill(OpenTelemetryTracingBridge::new(logs).boxed(), logged());
        let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer(names::SERVICE));
        let spans = spans.with_location(false).with_threads(false).with_tracked_inactivity(false);
        let spans = spans.with_target(false).with_level(false);
        self.spans.fill(spans.boxed(), Targets::new().with_target(names::SPANS, LevelFilter::DEBUG));
    }
}

/// What is said on the way to the receiver, which a failure must not add to.
const OF_THE_WAY: [&str; 9] = [
    "watchpost::telemetry",
    "opentelemetry",
    "tonic",
    "h2",
    "hyper",
    "tower",
    "reqwest",
    "rustls",
    // As on the standard error: whoever uses a connection tells of its loss.
    "async_nats",
];

/// What of the log goes out: as on the standard error where nothing else is asked for.
fn logged() -> Targets {
    let targets = Targets::new().with_default(LevelFilter::WARN).with_target("watchpost", LevelFilter::INFO);
    targets.with_targets(OF_THE_WAY.map(|target| (target, LevelFilter::OFF)))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_is_said_on_the_way_to_the_receiver_does_not_go_there() {
        for (target, level, goes) in [
            ("watchpost::daemon", Level::INFO, true),
            ("watchpost::daemon", Level::DEBUG, false),
            ("sled", Level::WARN, true),
            ("watchpost::telemetry::outage", Level::WARN, false),
            ("opentelemetry_sdk", Level::ERROR, false),
            ("opentelemetry-otlp", Level::ERROR, false),
            ("h2::proto", Level::ERROR, false),
            ("hyper_util::client", Level::ERROR, false),
            ("tonic::transport", Level::ERROR, false),
        ] {
            assert_eq!(logged().would_enable(target, &level), goes, "{target} {level}");
        }
    }
}
