//! The metrics as a table.

use super::super::{Name, Source, attributes as attribute};
use super::{Id, Instrument, Metric};

/// Advised for `gen_ai.client.operation.duration` by the conventions.
const OPERATION: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

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

/// What a row says.
struct Row {
    id: Id,
    name: &'static str,
    source: Source,
    instrument: Instrument,
    unit: &'static str,
    attributes: &'static [&'static str],
    about: &'static str,
    prometheus: &'static str,
}

impl Row {
    const fn metric(self) -> Metric {
        let Self { id, name, source, instrument, unit, attributes, about, prometheus } = self;
        let name = Name { name, kind: instrument.kind(), source, unit, about, attributes };
        Metric { id, name, instrument, prometheus }
    }
}

/// All of them, in the order of [`Id`].
pub static METRICS: [Metric; 31] = [
    Row {
        id: Id::ProcessStatus,
        name: "watchpost.process.status",
        source: Source::Own,
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[attribute::PROCESS_STATUS],
        about: "What the supervisor says a process does: 1 for the present word, 0 for those that it had before.",
        prometheus: "watchpost_process_status_ratio",
    }
    .metric(),
    Row {
        id: Id::ProcessUp,
        name: "watchpost.process.up",
        source: Source::Own,
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "Whether a run of the process is open.",
        prometheus: "watchpost_process_up_ratio",
    }
    .metric(),
    Row {
        id: Id::ProcessHealthy,
        name: "watchpost.process.healthy",
        source: Source::Own,
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "Whether the last probe passed; absent where none has told.",
        prometheus: "watchpost_process_healthy_ratio",
    }
    .metric(),
    Row {
        id: Id::ProcessStarts,
        name: "watchpost.process.starts",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{start}",
        attributes: &[],
        about: "Runs that began, those between two polls that only the supervisor's count tells of included.",
        prometheus: "watchpost_process_starts_total",
    }
    .metric(),
    Row {
        id: Id::ProcessRestarts,
        name: "watchpost.process.restarts",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{restart}",
        attributes: &[],
        about: "Restarts, those that nobody saw included.",
        prometheus: "watchpost_process_restarts_total",
    }
    .metric(),
    Row {
        id: Id::ProcessExits,
        name: "watchpost.process.exits",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{exit}",
        attributes: &[attribute::OUTCOME, attribute::PROCESS_EXIT_REASON],
        about: "Runs that ended.",
        prometheus: "watchpost_process_exits_total",
    }
    .metric(),
    Row {
        id: Id::ProcessRunDuration,
        name: "watchpost.process.run.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &[attribute::OUTCOME],
        about: "How long a run lasted.",
        prometheus: "watchpost_process_run_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::ProcessReadyDuration,
        name: "watchpost.process.ready.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &[],
        about: "How long a run took until it was ready.",
        prometheus: "watchpost_process_ready_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::ProcessCpu,
        name: "process.cpu.utilization",
        source: Source::SemConv,
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[],
        about: "What a process that is up uses of the processors; 1 is one whole processor.",
        prometheus: "process_cpu_utilization_ratio",
    }
    .metric(),
    Row {
        id: Id::ProcessMemory,
        name: "process.memory.usage",
        source: Source::SemConv,
        instrument: Instrument::UpDownCounter,
        unit: "By",
        attributes: &[],
        about: "What a process that is up holds of the memory.",
        prometheus: "process_memory_usage_bytes",
    }
    .metric(),
    Row {
        id: Id::SourceUp,
        name: "watchpost.source.up",
        source: Source::Own,
        instrument: Instrument::Gauge,
        unit: "1",
        attributes: &[attribute::SOURCE_NAME],
        about: "Whether the source answers.",
        prometheus: "watchpost_source_up_ratio",
    }
    .metric(),
    Row {
        id: Id::SessionActive,
        name: "watchpost.session.active",
        source: Source::Own,
        instrument: Instrument::UpDownCounter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions that run.",
        prometheus: "watchpost_session_active",
    }
    .metric(),
    Row {
        id: Id::SessionInterrupted,
        name: "watchpost.session.interrupted",
        source: Source::Own,
        instrument: Instrument::UpDownCounter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions whose writer is gone, and that may be resumed.",
        prometheus: "watchpost_session_interrupted",
    }
    .metric(),
    Row {
        id: Id::SessionStarts,
        name: "watchpost.session.starts",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{session}",
        attributes: &[],
        about: "Sessions that began; one that is resumed began once.",
        prometheus: "watchpost_session_starts_total",
    }
    .metric(),
    Row {
        id: Id::SessionEnds,
        name: "watchpost.session.ends",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{session}",
        attributes: &[attribute::OUTCOME],
        about: "Sessions that ended, and interruptions (`interrupted`).",
        prometheus: "watchpost_session_ends_total",
    }
    .metric(),
    Row {
        id: Id::SessionDuration,
        name: "watchpost.session.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &[attribute::OUTCOME],
        about: "How long a segment of a session lasted.",
        prometheus: "watchpost_session_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::GenerationDuration,
        name: "watchpost.generation.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &[attribute::OUTCOME],
        about: "How long a plan ran.",
        prometheus: "watchpost_generation_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::LevelDuration,
        name: "watchpost.level.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(LONG),
        unit: "s",
        attributes: &[attribute::OUTCOME],
        about: "How long a level took.",
        prometheus: "watchpost_level_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::NodeDuration,
        name: "watchpost.node.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &[attribute::OUTCOME],
        about: "How long a node took.",
        prometheus: "watchpost_node_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::Nodes,
        name: "watchpost.nodes",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{node}",
        attributes: &[attribute::OUTCOME],
        about: "Nodes that were generated (`completed`), failed, or were skipped.",
        prometheus: "watchpost_nodes_total",
    }
    .metric(),
    Row {
        id: Id::NodeActive,
        name: "watchpost.node.active",
        source: Source::Own,
        instrument: Instrument::UpDownCounter,
        unit: "{node}",
        attributes: &[],
        about: "Nodes that are being generated.",
        prometheus: "watchpost_node_active",
    }
    .metric(),
    Row {
        id: Id::QueueDepth,
        name: "watchpost.queue.depth",
        source: Source::Own,
        instrument: Instrument::Gauge,
        unit: "{request}",
        attributes: &[attribute::QUEUE_STATE],
        about: "Requests in the queues of the sessions that run, as these told last.",
        prometheus: "watchpost_queue_depth",
    }
    .metric(),
    Row {
        id: Id::QueueWaitDuration,
        name: "watchpost.queue.wait.duration",
        source: Source::Own,
        instrument: Instrument::Histogram(SHORT),
        unit: "s",
        attributes: &[],
        about: "How long a request waited in the queue.",
        prometheus: "watchpost_queue_wait_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::QueueDeduplicated,
        name: "watchpost.queue.deduplicated",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{request}",
        attributes: &[],
        about: "Requests that got the answer of another one.",
        prometheus: "watchpost_queue_deduplicated_total",
    }
    .metric(),
    Row {
        id: Id::OperationDuration,
        name: "gen_ai.client.operation.duration",
        source: Source::SemConv,
        instrument: Instrument::Histogram(OPERATION),
        unit: "s",
        attributes: &[
            attribute::GEN_AI_OPERATION_NAME,
            attribute::GEN_AI_PROVIDER_NAME,
            attribute::GEN_AI_REQUEST_MODEL,
            attribute::ERROR_TYPE,
        ],
        about: "How long a request to a provider took, all attempts together; not where nobody saw its end.",
        prometheus: "gen_ai_client_operation_duration_seconds",
    }
    .metric(),
    Row {
        id: Id::TokenUsage,
        name: "gen_ai.client.token.usage",
        source: Source::SemConv,
        instrument: Instrument::Histogram(TOKENS),
        unit: "{token}",
        attributes: &[
            attribute::GEN_AI_OPERATION_NAME,
            attribute::GEN_AI_PROVIDER_NAME,
            attribute::GEN_AI_REQUEST_MODEL,
            attribute::GEN_AI_TOKEN_TYPE,
        ],
        about: "Tokens of a request that was answered.",
        prometheus: "gen_ai_client_token_usage",
    }
    .metric(),
    Row {
        id: Id::ProviderAttempts,
        name: "watchpost.provider.attempts",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{attempt}",
        attributes: &[attribute::GEN_AI_PROVIDER_NAME, attribute::GEN_AI_REQUEST_MODEL, attribute::OUTCOME],
        about: "Attempts that ended.",
        prometheus: "watchpost_provider_attempts_total",
    }
    .metric(),
    Row {
        id: Id::ProviderRetries,
        name: "watchpost.provider.retries",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{retry}",
        attributes: &[attribute::GEN_AI_PROVIDER_NAME, attribute::GEN_AI_REQUEST_MODEL],
        about: "Attempts that follow one that failed.",
        prometheus: "watchpost_provider_retries_total",
    }
    .metric(),
    Row {
        id: Id::ProviderActive,
        name: "watchpost.provider.active",
        source: Source::Own,
        instrument: Instrument::UpDownCounter,
        unit: "{request}",
        attributes: &[attribute::GEN_AI_PROVIDER_NAME, attribute::GEN_AI_REQUEST_MODEL],
        about: "Requests that a provider works on.",
        prometheus: "watchpost_provider_active",
    }
    .metric(),
    Row {
        id: Id::Events,
        name: "watchpost.events",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{event}",
        attributes: &[attribute::STREAM_CLASS, attribute::EVENT_SEVERITY],
        about: "Events that were committed.",
        prometheus: "watchpost_events_total",
    }
    .metric(),
    Row {
        id: Id::MetricsOverflow,
        name: "watchpost.metrics.overflow",
        source: Source::Own,
        instrument: Instrument::Counter,
        unit: "{point}",
        attributes: &[attribute::METRIC_NAME],
        about: "What was measured into the series with `otel.metric.overflow`, as its metric has too many others.",
        prometheus: "watchpost_metrics_overflow_total",
    }
    .metric(),
];
