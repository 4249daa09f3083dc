//! The names of attributes.

use super::{Form, Kind, Name, Source};

/// Declares a constant for each attribute, and the table of all; an attribute's doc comment is what the table
/// says about it.
macro_rules! attributes {
    ($($(#[doc = $about:literal])* $constant:ident = $name:literal, $source:ident, $form:ident $(, $unit:literal)?;)*) => {
        $($(#[doc = $about])* pub const $constant: &str = $name;)*

        /// All of them.
        pub(super) const ALL: &[Name] = &[$(Name {
            name: $name,
            kind: Kind::Attribute(Form::$form),
            source: Source::$source,
            unit: concat!($($unit)?),
            about: concat!($($about),*).trim_ascii(),
            attributes: &[],
        }),*];
    };
}

attributes! {
    // What every record has
    /// The event's id: the same everywhere.
    EVENT_ID = "watchpost.event.id", Own, Text;
    /// The event's type.
    EVENT_TYPE = "watchpost.event.type", Own, Text;
    /// The event's place in its stream, from 1.
    EVENT_SEQ = "watchpost.event.seq", Own, Int;
    /// The NATS subject of the event.
    EVENT_SUBJECT = "watchpost.event.subject", Own, Text;
    /// How many observers the event came through, where it came through any.
    EVENT_HOPS = "watchpost.event.hops", Own, Int;
    /// When it happened, RFC 3339, where that is outside what OTLP can say (1970 to 2262).
    EVENT_TIME = "watchpost.event.time", Own, Text;
    /// How loud events are: `debug`, `info`, `warning`, `error`, or `other`.
    EVENT_SEVERITY = "watchpost.event.severity", Own, Text;
    /// How long what ended with this event had taken.
    EVENT_DURATION = "watchpost.event.duration", Own, Int, "ms";
    /// The stream that the event belongs to.
    STREAM_ID = "watchpost.stream.id", Own, Text;
    /// The stream's class: `process`, `source`, `session`, `hub` or `observer`.
    STREAM_CLASS = "watchpost.stream.class", Own, Text;
    /// Joins events across streams.
    CORRELATION_ID = "watchpost.correlation.id", Own, Text;
    /// The parent of the span that the sender was in, as the sender gave it.
    TRACE_PARENT_ID = "watchpost.trace.parent_id", Own, Text;
    /// A field of the payload that has no name of its own: a scalar as it is, all else as JSON.
    DATA_FIELD = "watchpost.data.<field>", Own, Json;

    // Where it comes from
    /// Of the resource: a process's name without its replica; a session's service, else its command; a hub's id.
    SERVICE_NAME = "service.name", SemConv, Text;
    /// Of the resource: a process's namespace.
    SERVICE_NAMESPACE = "service.namespace", SemConv, Text;
    /// Of the resource: a process's source and replica.
    SERVICE_INSTANCE_ID = "service.instance.id", SemConv, Text;
    /// The host that the event comes from.
    HOST_NAME = "host.name", SemConv, Text;
    /// The user whose event it is.
    USER_NAME = "user.name", SemConv, Text;
    /// The hub that took the event in.
    HUB_ID = "watchpost.hub.id", Own, Text;
    /// The source's name in the configuration.
    SOURCE_NAME = "watchpost.source.name", Own, Text;
    /// The service that the event's origin names.
    ORIGIN_SERVICE = "watchpost.origin.service", Own, Text;

    // Errors
    /// The class of the error, one of few.
    ERROR_TYPE = "error.type", SemConv, Text;
    /// What went wrong, in words; the conventions have given up their `error.message`.
    ERROR_MESSAGE = "watchpost.error.message", Own, Text;

    // Processes
    /// The process id, 0 where it has none.
    PROCESS_PID = "process.pid", SemConv, Int;
    /// The exit code of the run or the session that ends, -1 for any death by signal.
    PROCESS_EXIT_CODE = "process.exit.code", SemConv, Int;
    /// The replica's name.
    PROCESS_NAME = "watchpost.process.name", Own, Text;
    /// The process's namespace; the first where it has several.
    PROCESS_NAMESPACE = "watchpost.process.namespace", Own, Text;
    /// All its namespaces, where it has several.
    PROCESS_NAMESPACES = "watchpost.process.namespaces", Own, Texts;
    /// One life of the process.
    PROCESS_RUN_ID = "watchpost.process.run.id", Own, Text;
    /// The supervisor's word for the process's status; on a metric in snake_case.
    PROCESS_STATUS = "watchpost.process.status", Own, Text;
    /// The status before.
    PROCESS_PREVIOUS_STATUS = "watchpost.process.previous_status", Own, Text;
    /// `Ready`, `Not Ready` or `-`.
    PROCESS_READINESS = "watchpost.process.readiness", Own, Text;
    /// Whether a probe of readiness or liveness is configured.
    PROCESS_READY_PROBE = "watchpost.process.ready_probe", Own, Bool;
    /// Whether the process runs.
    PROCESS_RUNNING = "watchpost.process.running", Own, Bool;
    /// The last exit code; while the process runs, that of the run before.
    PROCESS_LAST_EXIT_CODE = "watchpost.process.last_exit_code", Own, Int;
    /// Why the run ended: `exit`, `requested`, `unhealthy`, `launch_error`, `removed`, `cancelled`, `supervisor_restarted` or `ambiguous`.
    PROCESS_EXIT_REASON = "watchpost.process.exit.reason", Own, Text;
    /// Automatic restarts so far.
    PROCESS_RESTART_COUNT = "watchpost.process.restart.count", Own, Int, "{restart}";
    /// Who restarted it: `policy`, `manual`, `watch` or `reconfigured`.
    PROCESS_RESTART_BY = "watchpost.process.restart.by", Own, Text;
    /// Runs in between that no poll and no frame showed.
    PROCESS_RESTART_UNSEEN = "watchpost.process.restart.unseen", Own, Int, "{run}";
    /// How many replicas it has.
    PROCESS_REPLICAS = "watchpost.process.replicas", Own, Int, "{replica}";
    /// The time since the last launch.
    PROCESS_AGE = "watchpost.process.age", Own, Int, "ns";
    /// Resident memory, -1 where unknown.
    PROCESS_MEMORY = "watchpost.process.memory", Own, Int, "By";
    /// Percent of one processor, -1 where unknown.
    PROCESS_CPU = "watchpost.process.cpu", Own, Double, "%";
    /// It was running already when it was first seen.
    PROCESS_INITIAL = "watchpost.process.initial", Own, Bool;
    /// Deduced from what came before and after, not seen.
    PROCESS_INFERRED = "watchpost.process.inferred", Own, Bool;
    /// The exit code alone cannot tell a requested stop from a failure.
    PROCESS_AMBIGUOUS = "watchpost.process.ambiguous", Own, Bool;
    /// The parts of one sample of what the processes use have the same number, the next sample a greater one.
    SAMPLE_ID = "watchpost.sample.id", Own, Int;
    /// Which part of the sample it is, from 1.
    SAMPLE_PART = "watchpost.sample.part", Own, Int;
    /// How many parts the sample has.
    SAMPLE_PARTS = "watchpost.sample.parts", Own, Int, "{part}";
    /// What each process used.
    SAMPLE_PROCESSES = "watchpost.sample.processes", Own, Json;
    /// The parts of one listing of a project's processes have the same number, the next listing a greater one.
    LISTING_ID = "watchpost.listing.id", Own, Int;
    /// Which part of the listing it is, from 1.
    LISTING_PART = "watchpost.listing.part", Own, Int;
    /// How many parts the listing has.
    LISTING_PARTS = "watchpost.listing.parts", Own, Int, "{part}";
    /// Each process, and what it waits for before it is launched.
    LISTING_PROCESSES = "watchpost.listing.processes", Own, Json;
    /// Whether every process was launched, and ready or over, within ten minutes.
    STARTUP_COMPLETE = "watchpost.startup.complete", Own, Bool;
    /// How many processes were to be launched with the project.
    STARTUP_PROCESSES = "watchpost.startup.processes", Own, Int, "{process}";
    /// What the process waited for, and until when: `db healthy`.
    STARTUP_DEPENDENCIES = "watchpost.startup.dependencies", Own, Texts;

    // Sources
    /// Where the source reads from.
    URL_FULL = "url.full", SemConv, Text;
    /// How many polls in a row had failed.
    SOURCE_FAILED_POLLS = "watchpost.source.failed_polls", Own, Int, "{poll}";
    /// How long the source was down.
    SOURCE_DOWN_TIME = "watchpost.source.down_time", Own, Int, "ms";

    // Sessions
    /// The session.
    SESSION_ID = "session.id", SemConv, Text;
    /// What the session runs: the program, or the name of the command.
    PROCESS_COMMAND = "process.command", SemConv, Text;
    /// The arguments of the session's command.
    PROCESS_COMMAND_ARGS = "process.command_args", SemConv, Texts;
    /// The folder in which the session runs.
    PROCESS_WORKING_DIRECTORY = "process.working_directory", SemConv, Text;
    /// The revision that is checked out there.
    VCS_REVISION = "vcs.ref.head.revision", SemConv, Text;
    /// The session's command in a few words.
    SESSION_SUMMARY = "watchpost.session.summary", Own, Text;
    /// The name that a person gave the session.
    SESSION_NAME = "watchpost.session.name", Own, Text;
    /// The service that the session belongs to.
    SESSION_SERVICE = "watchpost.session.service", Own, Text;
    /// How the session ended: `completed` or `failed`.
    SESSION_STATUS = "watchpost.session.status", Own, Text;
    /// What the session counted, by name.
    SESSION_COUNTS = "watchpost.session.counts", Own, Json;
    /// A person closed the session, as nobody would resume it.
    SESSION_CLOSED = "watchpost.session.closed", Own, Bool;
    /// Why the session ended or was interrupted: `writer_gone`, `idle`, or other words.
    SESSION_REASON = "watchpost.session.reason", Own, Text;
    /// How long nothing had been heard of the session's writer.
    SESSION_IDLE_TIME = "watchpost.session.idle_time", Own, Int, "ms";
    /// How long the session's writer was away.
    SESSION_AWAY_TIME = "watchpost.session.away_time", Own, Int, "ms";
    /// The session's segment, from 1.
    SESSION_SEGMENT = "watchpost.session.segment", Own, Int;
    /// The seq of the interruption that a resumption ends.
    SESSION_INTERRUPTED_SEQ = "watchpost.session.interrupted_seq", Own, Int;
    /// When commits began to fail, RFC 3339.
    INGEST_FAILING_SINCE = "watchpost.ingest.failing_since", Own, Text;
    /// How long commits had failed.
    INGEST_FAILING_TIME = "watchpost.ingest.failing_time", Own, Int, "ms";
    /// How many events of the session were refused meanwhile.
    INGEST_REFUSED_EVENTS = "watchpost.ingest.refused_events", Own, Int, "{event}";

    // Plans, levels and nodes
    /// The plan.
    PLAN_ID = "watchpost.plan.id", Own, Text;
    /// The type of frame that is generated.
    PLAN_FRAME_TYPE = "watchpost.plan.frame_type", Own, Text;
    /// Whether frames that are there already are made anew.
    PLAN_FORCE = "watchpost.plan.force", Own, Bool;
    /// Whether the nodes below are generated too.
    PLAN_RECURSIVE = "watchpost.plan.recursive", Own, Bool;
    /// The level, from 0.
    LEVEL_INDEX = "watchpost.level.index", Own, Int;
    /// How many levels the plan has.
    LEVEL_TOTAL_COUNT = "watchpost.level.total_count", Own, Int, "{level}";
    /// The node.
    NODE_ID = "watchpost.node.id", Own, Text;
    /// The node's path.
    NODE_PATH = "watchpost.node.path", Own, Text;
    /// Why the node is not generated.
    NODE_SKIP_REASON = "watchpost.node.skip_reason", Own, Text;
    /// The paths or ids of the descendants that lack what the node needs.
    NODE_MISSING = "watchpost.node.missing", Own, Texts;
    /// How many nodes the plan or the level has.
    NODE_TOTAL_COUNT = "watchpost.node.total_count", Own, Int, "{node}";
    /// How many nodes of the plan or the level were generated.
    NODE_GENERATED_COUNT = "watchpost.node.generated_count", Own, Int, "{node}";
    /// How many nodes of the plan or the level failed.
    NODE_FAILED_COUNT = "watchpost.node.failed_count", Own, Int, "{node}";

    // Requests and providers
    /// The request.
    REQUEST_ID = "watchpost.request.id", Own, Text;
    /// The request whose answer this one gets.
    REQUEST_ORIGINAL_ID = "watchpost.request.original_id", Own, Text;
    /// Which try it is, from 1.
    REQUEST_ATTEMPT = "watchpost.request.attempt", Own, Int;
    /// How long is waited before the next try.
    REQUEST_RETRY_AFTER = "watchpost.request.retry_after", Own, Double, "s";
    /// How long the request waited.
    QUEUE_WAIT_TIME = "watchpost.queue.wait_time", Own, Int, "ms";
    /// Requests that wait.
    QUEUE_PENDING = "watchpost.queue.pending", Own, Int, "{request}";
    /// Requests that a worker has.
    QUEUE_PROCESSING = "watchpost.queue.processing", Own, Int, "{request}";
    /// Requests that were answered so far.
    QUEUE_COMPLETED = "watchpost.queue.completed", Own, Int, "{request}";
    /// Requests that failed so far.
    QUEUE_FAILED = "watchpost.queue.failed", Own, Int, "{request}";
    /// The agent that generates.
    GEN_AI_AGENT_ID = "gen_ai.agent.id", SemConv, Text;
    /// The provider.
    GEN_AI_PROVIDER_NAME = "gen_ai.provider.name", SemConv, Text;
    /// The model that was asked.
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model", SemConv, Text;
    /// What was asked of the model, such as `chat`.
    GEN_AI_OPERATION_NAME = "gen_ai.operation.name", SemConv, Text;
    /// Tokens sent.
    GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens", SemConv, Int, "{token}";
    /// Tokens received.
    GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens", SemConv, Int, "{token}";
    /// Why the model stopped: a list of one.
    GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons", SemConv, Texts;
    /// The kind of tokens that a metric counts: `input` or `output`.
    GEN_AI_TOKEN_TYPE = "gen_ai.token.type", SemConv, Text;

    // Scanner and watcher
    /// The folder that is scanned.
    SCAN_PATH = "watchpost.scan.path", Own, Text;
    /// Nodes found so far.
    SCAN_NODE_COUNT = "watchpost.scan.node_count", Own, Int, "{node}";
    /// How many nodes are expected.
    SCAN_EXPECTED_COUNT = "watchpost.scan.expected_count", Own, Int, "{node}";
    /// The folder that is watched.
    WATCH_PATH = "watchpost.watch.path", Own, Text;
    /// How many changes were taken in at once.
    WATCH_EVENT_COUNT = "watchpost.watch.event_count", Own, Int, "{change}";
    /// How many nodes they touched.
    WATCH_AFFECTED_NODES = "watchpost.watch.affected_nodes", Own, Int, "{node}";
    /// The file that changed.
    FILE_PATH = "file.path", SemConv, Text;
    /// How the file changed: `created`, `modified`, `removed` or `renamed`.
    FILE_CHANGE = "watchpost.file.change", Own, Text;

    // Of metrics alone
    /// How what a metric counts or measures ended: `completed`, `failed`, `interrupted`, `skipped`.
    OUTCOME = "watchpost.outcome", Own, Text;
    /// What a metric of the queue counts: `pending` or `processing`.
    QUEUE_STATE = "watchpost.queue.state", Own, Text;
    /// The metric some of whose points went into its overflow.
    METRIC_NAME = "watchpost.metric.name", Own, Text;
    /// True on the point that takes in what a metric has too many label values for.
    METRIC_OVERFLOW = "otel.metric.overflow", Spec, Bool;
    /// The sink.
    SINK_NAME = "watchpost.sink.name", Own, Text;
    /// The kind of dead letter.
    DEAD_LETTER_KIND = "watchpost.dead_letter.kind", Own, Text;

    // For the Elasticsearch exporter of the Collector, which takes them away
    /// The id that the document gets: the event's.
    DOCUMENT_ID = "elasticsearch.document_id", Backend, Text;
    /// The data stream's dataset: `watchpost`.
    DATA_STREAM_DATASET = "data_stream.dataset", Backend, Text;
    /// The data stream's namespace: the UTC day of the commit, YYYYMMDD.
    DATA_STREAM_NAMESPACE = "data_stream.namespace", Backend, Text;
}
