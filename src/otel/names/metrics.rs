//! The metrics that are made of events.

mod table;

use super::{Kind, Name};

pub use table::METRICS;

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instrument {
    /// What only rises: an OTLP sum, monotonic and cumulative.
    Counter,
    /// A number of things that can be added up, which rises and falls: a cumulative sum that is not monotonic.
    UpDownCounter,
    /// What is so at present.
    Gauge,
    /// How values are spread, by these upper bounds of its buckets; cumulative.
    Histogram(&'static [f64]),
}

/// One metric. No id of a session is ever among its attributes.
#[derive(Debug)]
pub struct Metric {
    /// Its place in [`METRICS`].
    pub id: Id,
    /// Its name, its unit, and the attributes that a point can have beside those of its resource.
    pub name: Name,
    /// How it counts.
    pub instrument: Instrument,
    /// Its name in Prometheus's OTLP receiver; a histogram is there with `_bucket`, `_count` and `_sum`. An
    /// attribute is there as a label with `_` for each dot.
    pub prometheus: &'static str,
}

impl Instrument {
    const fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::UpDownCounter => Kind::UpDownCounter,
            Self::Gauge => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

/// A metric, by its place in [`METRICS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the table says what each is")]
pub enum Id {
    ProcessStatus,
    ProcessUp,
    ProcessHealthy,
    ProcessStarts,
    ProcessRestarts,
    ProcessExits,
    ProcessRunDuration,
    ProcessReadyDuration,
    ProcessCpu,
    ProcessMemory,
    SourceUp,
    SessionActive,
    SessionInterrupted,
    SessionStarts,
    SessionEnds,
    SessionDuration,
    GenerationDuration,
    LevelDuration,
    NodeDuration,
    Nodes,
    NodeActive,
    QueueDepth,
    QueueWaitDuration,
    QueueDeduplicated,
    OperationDuration,
    TokenUsage,
    ProviderAttempts,
    ProviderRetries,
    ProviderActive,
    Events,
    MetricsOverflow,
}

impl Id {
    /// What is known of it.
    pub fn metric(self) -> &'static Metric {
        &METRICS[self as usize]
    }
}

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name.name == name)
}

/// What the table of all names takes in.
pub(super) fn names() -> impl Iterator<Item = &'static Name> {
    METRICS.iter().map(|metric| &metric.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_ids() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert_eq!(metric.id as usize, at, "{}", metric.name.name);
            assert_eq!(find(metric.name.name).map(|found| found.id), Some(metric.id));
        }
    }

    #[test]
    fn no_metric_has_an_attribute_that_every_session_has_another_value_of() {
        for attribute in METRICS.iter().flat_map(|metric| metric.name.attributes) {
            assert!(!attribute.ends_with(".id"), "{attribute}");
        }
    }

    #[test]
    fn bounds_rise() {
        for metric in &METRICS {
            if let Instrument::Histogram(bounds) = metric.instrument {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}", metric.name.name);
            }
        }
    }
}
