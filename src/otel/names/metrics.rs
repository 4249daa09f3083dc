//! The metrics that are made of events.

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

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its place in [`METRICS`].
    pub id: Id,
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// How it counts.
    pub instrument: Instrument,
    /// Its unit, in UCUM.
    pub unit: &'static str,
    /// The attributes that a point can have, beside those of its resource. No id of a session is ever among them.
    pub attributes: &'static [&'static str],
    /// What it tells.
    pub about: &'static str,
    /// Its name in Prometheus's OTLP receiver; a histogram is there with `_bucket`, `_count` and `_sum`.
    pub prometheus: &'static str,
}

/// Advised for `gen_ai.client.operation.duration` by the conventions.
const OPERATION: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Advised for `gen_ai.client.token.usage` by the conventions.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// From a step of a program to minutes.
const SHORT: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// From a second to a week.
const LONG: &[f64] = &[
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 43200.0, 86400.0,
    604_800.0,
];

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
    METRICS.iter().find(|metric| metric.name == name)
}

/// All of them, in the order of [`Id`].
pub static METRICS: [Metric; 31] = [
    Metric {
        id: Id::ProcessStatus,
        name: "watchpost.process.status",
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &["watchpost.process.status"],
        about: "What the supervisor says a process does: 1 for the present word, 0 for those that it had before.",
        prometheus: "watchpost_process_status_ratio",
    },
    Metric {
        id: Id::ProcessUp,
        name: "watchpost.process.up",
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "Whether a run of the process is open.",
        prometheus: "watchpost_process_up_ratio",
    },
    Metric {
        id: Id::ProcessHealthy,
        name: "watchpost.process.healthy",
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "Whether the last probe passed; absent where none has told.",
        prometheus: "watchpost_process_healthy_ratio",
    },
    Metric {
        id: Id::ProcessStarts,
        name: "watchpost.process.starts",
        instrument: Instrument::Counter,
        unit: "{start}",
        attributes: &[],
        about: "Runs that began, those between two polls that only the supervisor's count tells of included.",
        prometheus: "watchpost_process_starts_total",
    },
    Metric {
        id: Id::ProcessRestarts,
        name: "watchpost.process.restarts",
        instrument: Instrument::Counter,
        unit: "{restart}",
        attributes: &[],
        about: "Restarts, those that nobody saw included.",
        prometheus: "watchpost_process_restarts_total",
    },
    Metric {
        id: Id::ProcessExits,
        name: "watchpost.process.exits",
        instrument: Instrument::Counter,
        unit: "{exit}",
        attributes: &["watchpost.outcome", "watchpost.process.exit.reason"],
        about: "Runs that ended.",
        prometheus: "watchpost_process_exits_total",
    },
    Metric {
        id: Id::ProcessRunDuration,
        name: "watchpost.process.run.duration",
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &["watchpost.outcome"],
        about: "How long a run lasted.",
        prometheus: "watchpost_process_run_duration_seconds",
    },
    Metric {
        id: Id::ProcessReadyDuration,
        name: "watchpost.process.ready.duration",
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &[],
        about: "How long a run took until it was ready.",
        prometheus: "watchpost_process_ready_duration_seconds",
    },
    Metric {
        id: Id::ProcessCpu,
        name: "process.cpu.utilization",
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "What a process that is up uses of the processors; 1 is one whole processor.",
        prometheus: "process_cpu_utilization_ratio",
    },
    Metric {
        id: Id::ProcessMemory,
        name: "process.memory.usage",
        instrument: Instrument::UpDownCounter,
        unit: "By",
        attributes: &[],
        about: "What a process that is up holds of the memory.",
        prometheus: "process_memory_usage_bytes",
    },
    Metric {
        id: Id::SourceUp,
        name: "watchpost.source.up",
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &["watchpost.source.name"],
        about: "Whether the source answers.",
        prometheus: "watchpost_source_up_ratio",
    },
    Metric {
        id: Id::SessionActive,
        name: "watchpost.session.active",
        instrument: Instrument::UpDownCounter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions that run.",
        prometheus: "watchpost_session_active",
    },
    Metric {
        id: Id::SessionInterrupted,
        name: "watchpost.session.interrupted",
        instrument: Instrument::UpDownCounter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions whose writer is gone, and that may be resumed.",
        prometheus: "watchpost_session_interrupted",
    },
    Metric {
        id: Id::SessionStarts,
        name: "watchpost.session.starts",
        instrument: Instrument::Counter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions that began; one that is resumed began once.",
        prometheus: "watchpost_session_starts_total",
    },
    Metric {
        id: Id::SessionEnds,
        name: "watchpost.session.ends",
        instrument: Instrument::Counter,
        unit: "{session}",
        attributes: &["watchpost.outcome"],
        about: "Sessions that ended, and interruptions (`interrupted`).",
        prometheus: "watchpost_session_ends_total",
    },
    Metric {
        id: Id::SessionDuration,
        name: "watchpost.session.duration",
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &["watchpost.outcome"],
        about: "How long a segment of a session lasted.",
        prometheus: "watchpost_session_duration_seconds",
    },
    Metric {
        id: Id::GenerationDuration,
        name: "watchpost.generation.duration",
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &["watchpost.outcome"],
        about: "How long a plan ran.",
        prometheus: "watchpost_generation_duration_seconds",
    },
    Metric {
        id: Id::LevelDuration,
        name: "watchpost.level.duration",
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &["watchpost.outcome"],
        about: "How long a level took.",
        prometheus: "watchpost_level_duration_seconds",
    },
    Metric {
        id: Id::NodeDuration,
        name: "watchpost.node.duration",
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &["watchpost.outcome"],
        about: "How long a node took.",
        prometheus: "watchpost_node_duration_seconds",
    },
    Metric {
        id: Id::Nodes,
        name: "watchpost.nodes",
        instrument: Instrument::Counter,
        unit: "{node}",
        attributes: &["watchpost.outcome"],
        about: "Nodes that were generated (`completed`), failed, or were skipped.",
        prometheus: "watchpost_nodes_total",
    },
    Metric {
        id: Id::NodeActive,
        name: "watchpost.node.active",
        instrument: Instrument::UpDownCounter,
        unit: "{node}",
        attributes: &[],
        about: "Nodes that are being generated.",
        prometheus: "watchpost_node_active",
    },
    Metric {
        id: Id::QueueDepth,
        name: "watchpost.queue.depth",
        instrument: Instrument::Gauge,
        unit: "{request}",
        attributes: &["watchpost.queue.state"],
        about: "Requests in the queues of the sessions that run, as these told last.",
        prometheus: "watchpost_queue_depth",
    },
    Metric {
        id: Id::QueueWaitDuration,
        name: "watchpost.queue.wait.duration",
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &[],
        about: "How long a request waited in the queue.",
        prometheus: "watchpost_queue_wait_duration_seconds",
    },
    Metric {
        id: Id::QueueDeduplicated,
        name: "watchpost.queue.deduplicated",
        instrument: Instrument::Counter,
        unit: "{request}",
        attributes: &[],
        about: "Requests that got the answer of another one.",
        prometheus: "watchpost_queue_deduplicated_total",
    },
    Metric {
        id: Id::OperationDuration,
        name: "gen_ai.client.operation.duration",
        instrument: Instrument::Histogram(OPERATION),
        unit: "s",
        attributes: &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"],
        about: "How long a request to a provider took, all attempts together.",
        prometheus: "gen_ai_client_operation_duration_seconds",
    },
    Metric {
        id: Id::TokenUsage,
        name: "gen_ai.client.token.usage",
        instrument: Instrument::Histogram(TOKENS),
        unit: "{token}",
        attributes: &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"],
        about: "Tokens of a request that was answered.",
        prometheus: "gen_ai_client_token_usage",
    },
    Metric {
        id: Id::ProviderAttempts,
        name: "watchpost.provider.attempts",
        instrument: Instrument::Counter,
        unit: "{attempt}",
        attributes: &["gen_ai.provider.name", "gen_ai.request.model", "watchpost.outcome"],
        about: "Attempts that ended.",
        prometheus: "watchpost_provider_attempts_total",
    },
    Metric {
        id: Id::ProviderRetries,
        name: "watchpost.provider.retries",
        instrument: Instrument::Counter,
        unit: "{retry}",
        attributes: &["gen_ai.provider.name", "gen_ai.request.model"],
        about: "Attempts that follow one that failed.",
        prometheus: "watchpost_provider_retries_total",
    },
    Metric {
        id: Id::ProviderActive,
        name: "watchpost.provider.active",
        instrument: Instrument::UpDownCounter,
        unit: "{request}",
        attributes: &["gen_ai.provider.name", "gen_ai.request.model"],
        about: "Requests that a provider works on.",
        prometheus: "watchpost_provider_active",
    },
    Metric {
        id: Id::Events,
        name: "watchpost.events",
        instrument: Instrument::Counter,
        unit: "{event}",
        attributes: &["watchpost.stream.class", "watchpost.event.severity"],
        about: "Events that were committed.",
        prometheus: "watchpost_events_total",
    },
    Metric {
        id: Id::MetricsOverflow,
        name: "watchpost.metrics.overflow",
        instrument: Instrument::Counter,
        unit: "{point}",
        attributes: &["watchpost.metric.name"],
        about: "What was measured into the series with `otel.metric.overflow`, as its metric has too many others.",
        prometheus: "watchpost_metrics_overflow_total",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_ids() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert_eq!(metric.id as usize, at, "{}", metric.name);
            assert_eq!(find(metric.name).map(|found| found.id), Some(metric.id));
        }
    }

    #[test]
    fn no_metric_has_an_attribute_that_every_session_has_another_value_of() {
        for attribute in METRICS.iter().flat_map(|metric| metric.attributes) {
            assert!(!attribute.ends_with(".id"), "{attribute}");
        }
    }

    #[test]
    fn bounds_rise() {
        for metric in &METRICS {
            if let Instrument::Histogram(bounds) = metric.instrument {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }
}
