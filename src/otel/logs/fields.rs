//! Which attribute each field of a known payload becomes.
//!
//! What is not in these tables becomes `watchpost.data.<field>`, so that they may lag behind the payloads.

use crate::event::process::kind as process;
use crate::event::session::kind;
use crate::event::{Class, source};
use crate::otel::names::Form::{Bool, Double, Int, Json, Text, Texts};
use crate::otel::names::{self, Form};

/// A field, the attribute that it becomes, and the type that it must have for that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) field: &'static str,
    pub(super) attribute: &'static str,
    pub(super) form: Form,
    /// The attribute is a list of which this is the one text.
    pub(super) listed: bool,
}

const fn row(field: &'static str, attribute: &'static str, form: Form) -> Row {
    Row { field, attribute, form, listed: false }
}

/// The object in a process event whose fields stand here as `state.<field>`.
pub(super) const STATE: &str = "state";

/// What stands before their names.
pub(super) const STATE_PREFIX: &str = "state.";

/// Whether a field counts only where the one that it is another name of is not there.
pub(super) fn is_alias(field: &str) -> bool {
    field == ERROR_TYPE_ALIAS.field
}

/// The rows of a type.
pub(super) fn of(class: Class, kind: &str) -> &'static [Row] {
    match class {
        Class::Process if kind == process::RESOURCES_SAMPLED => RESOURCES,
        Class::Process if kind == process::DEPENDENCIES_LISTED => DEPENDENCIES,
        Class::Process => PROCESS,
        Class::Source if matches!(kind, source::kind::SOURCE_DOWN | source::kind::SOURCE_UP) => SOURCE,
        Class::Session => session(kind),
        Class::Source | Class::Hub | Class::Observer => &[],
    }
}

const PROCESS: &[Row] = &[
    row("process", names::PROCESS_NAME, Text),
    row("namespace", names::PROCESS_NAMESPACE, Text),
    row("namespaces", names::PROCESS_NAMESPACES, Texts),
    row("run_id", names::PROCESS_RUN_ID, Text),
    row("exit_code", names::PROCESS_EXIT_CODE, Int),
    row("reason", names::PROCESS_EXIT_REASON, Text),
    row("by", names::PROCESS_RESTART_BY, Text),
    row("restarts", names::PROCESS_RESTART_COUNT, Int),
    row("unseen", names::PROCESS_RESTART_UNSEEN, Int),
    row("previous_status", names::PROCESS_PREVIOUS_STATUS, Text),
    row("initial", names::PROCESS_INITIAL, Bool),
    row("inferred", names::PROCESS_INFERRED, Bool),
    row("ambiguous", names::PROCESS_AMBIGUOUS, Bool),
    row("state.name", names::PROCESS_NAME, Text),
    row("state.namespace", names::PROCESS_NAMESPACE, Text),
    row("state.status", names::PROCESS_STATUS, Text),
    row("state.is_ready", names::PROCESS_READINESS, Text),
    row("state.has_ready_probe", names::PROCESS_READY_PROBE, Bool),
    row("state.restarts", names::PROCESS_RESTART_COUNT, Int),
    row("state.exit_code", names::PROCESS_LAST_EXIT_CODE, Int),
    row("state.is_running", names::PROCESS_RUNNING, Bool),
    row("state.replicas", names::PROCESS_REPLICAS, Int),
    row("state.pid", names::PROCESS_PID, Int),
    row("state.age", names::PROCESS_AGE, Int),
    row("state.mem", names::PROCESS_MEMORY, Int),
    row("state.cpu", names::PROCESS_CPU, Double),
];

const RESOURCES: &[Row] = &[
    row("source", names::SOURCE_NAME, Text),
    row("sample", names::SAMPLE_ID, Int),
    row("part", names::SAMPLE_PART, Int),
    row("parts", names::SAMPLE_PARTS, Int),
    row("processes", names::SAMPLE_PROCESSES, Json),
];

const DEPENDENCIES: &[Row] = &[
    row("source", names::SOURCE_NAME, Text),
    row("listing", names::LISTING_ID, Int),
    row("part", names::LISTING_PART, Int),
    row("parts", names::LISTING_PARTS, Int),
    row("processes", names::LISTING_PROCESSES, Json),
];

const SOURCE: &[Row] = &[
    row("source", names::SOURCE_NAME, Text),
    row("url", names::URL_FULL, Text),
    row("failed_polls", names::SOURCE_FAILED_POLLS, Int),
    ERROR,
    row("down_ms", names::SOURCE_DOWN_TIME, Int),
];

const ERROR: Row = row("error", names::ERROR_MESSAGE, Text);
const ERROR_TYPE: Row = row("error.type", names::ERROR_TYPE, Text);
const ERROR_TYPE_ALIAS: Row = row("error_type", names::ERROR_TYPE, Text);
const DURATION: Row = row("duration_ms", names::EVENT_DURATION, Int);
const PLAN: Row = row("plan_id", names::PLAN_ID, Text);
const LEVEL: Row = row("level_index", names::LEVEL_INDEX, Int);
const NODE: Row = row("node_id", names::NODE_ID, Text);
const PATH: Row = row("path", names::NODE_PATH, Text);
const NODES: Row = row("total_nodes", names::NODE_TOTAL_COUNT, Int);
const LEVELS: Row = row("total_levels", names::LEVEL_TOTAL_COUNT, Int);
const TOTAL: Row = row("total_count", names::NODE_TOTAL_COUNT, Int);
const GENERATED: Row = row("generated_count", names::NODE_GENERATED_COUNT, Int);
const FAILED: Row = row("failed_count", names::NODE_FAILED_COUNT, Int);
const REQUEST: Row = row("request_id", names::REQUEST_ID, Text);
const ATTEMPT: Row = row("attempt", names::REQUEST_ATTEMPT, Int);
const PROVIDER: Row = row("provider", names::GEN_AI_PROVIDER_NAME, Text);
const MODEL: Row = row("model", names::GEN_AI_REQUEST_MODEL, Text);
const OPERATION: Row = row("operation", names::GEN_AI_OPERATION_NAME, Text);
const REASON: Row = row("reason", names::SESSION_REASON, Text);
const EXPECTED: Row = row("total_nodes", names::SCAN_EXPECTED_COUNT, Int);
const FOUND: Row = row("node_count", names::SCAN_NODE_COUNT, Int);

fn session(kind: &str) -> &'static [Row] {
    match kind {
        kind::SESSION_STARTED => {
            const {
                &[
                    row("command", names::PROCESS_COMMAND, Text),
                    row("command_summary", names::SESSION_SUMMARY, Text),
                    row("args", names::PROCESS_COMMAND_ARGS, Texts),
                    row("cwd", names::PROCESS_WORKING_DIRECTORY, Text),
                    row("user", names::USER_NAME, Text),
                    row("host", names::HOST_NAME, Text),
                    row("git_revision", names::VCS_REVISION, Text),
                    row("name", names::SESSION_NAME, Text),
                    row("service", names::SESSION_SERVICE, Text),
                ]
            }
        }
        kind::SESSION_ENDED => {
            const {
                &[
                    row("status", names::SESSION_STATUS, Text),
                    row("exit_code", names::PROCESS_EXIT_CODE, Int),
                    ERROR,
                    row("counts", names::SESSION_COUNTS, Json),
                    row("closed", names::SESSION_CLOSED, Bool),
                    REASON,
                ]
            }
        }
        kind::SESSION_INTERRUPTED => const { &[REASON, row("idle_ms", names::SESSION_IDLE_TIME, Int)] },
        kind::SESSION_RESUMED => {
            const {
                &[
                    row("segment", names::SESSION_SEGMENT, Int),
                    row("interrupted_seq", names::SESSION_INTERRUPTED_SEQ, Int),
                    row("away_ms", names::SESSION_AWAY_TIME, Int),
                ]
            }
        }
        kind::INGEST_FAILED => {
            const {
                &[
                    ERROR,
                    row("since", names::INGEST_FAILING_SINCE, Text),
                    row("failing_ms", names::INGEST_FAILING_TIME, Int),
                    row("refused", names::INGEST_REFUSED_EVENTS, Int),
                ]
            }
        }
        _ => plan(kind),
    }
}

fn plan(kind: &str) -> &'static [Row] {
    match kind {
        kind::PLAN_CONSTRUCTED => {
            const {
                &[
                    PLAN,
                    NODE,
                    PATH,
                    row("agent_id", names::GEN_AI_AGENT_ID, Text),
                    row("provider_name", names::GEN_AI_PROVIDER_NAME, Text),
                    row("frame_type", names::PLAN_FRAME_TYPE, Text),
                    row("force", names::PLAN_FORCE, Bool),
                    row("recursive", names::PLAN_RECURSIVE, Bool),
                    NODES,
                    LEVELS,
                ]
            }
        }
        kind::DESCENDANT_CHECK_STARTED | kind::DESCENDANT_CHECK_PASSED => const { &[PLAN, NODE, PATH] },
        kind::DESCENDANT_CHECK_FAILED => const { &[PLAN, NODE, PATH, row("missing", names::NODE_MISSING, Texts)] },
        kind::NODE_SKIPPED => const { &[PLAN, NODE, PATH, LEVEL, row("reason", names::NODE_SKIP_REASON, Text)] },
        kind::GENERATION_STARTED => const { &[PLAN, NODES, LEVELS] },
        kind::LEVEL_STARTED => const { &[PLAN, LEVEL, TOTAL] },
        kind::NODE_GENERATION_STARTED => const { &[PLAN, LEVEL, NODE, PATH] },
        kind::NODE_GENERATION_COMPLETED => const { &[PLAN, LEVEL, NODE, PATH, DURATION] },
        kind::NODE_GENERATION_FAILED => const { &[PLAN, LEVEL, NODE, PATH, ERROR, ERROR_TYPE, ERROR_TYPE_ALIAS] },
        kind::LEVEL_COMPLETED => const { &[PLAN, LEVEL, GENERATED, FAILED, TOTAL] },
        kind::GENERATION_COMPLETED => const { &[PLAN, GENERATED, FAILED, TOTAL] },
        kind::GENERATION_FAILED => const { &[PLAN, ERROR, ERROR_TYPE, ERROR_TYPE_ALIAS] },
        _ => request(kind),
    }
}

fn request(kind: &str) -> &'static [Row] {
    match kind {
        kind::REQUEST_ENQUEUED => const { &[REQUEST, PLAN, NODE, PATH] },
        kind::REQUEST_DEDUPLICATED => {
            const { &[REQUEST, NODE, row("original_request_id", names::REQUEST_ORIGINAL_ID, Text)] }
        }
        kind::REQUEST_PROCESSING => const { &[REQUEST, NODE, row("wait_ms", names::QUEUE_WAIT_TIME, Int)] },
        kind::QUEUE_STATS => {
            const {
                &[
                    row("pending", names::QUEUE_PENDING, Int),
                    row("processing", names::QUEUE_PROCESSING, Int),
                    row("completed", names::QUEUE_COMPLETED, Int),
                    row("failed", names::QUEUE_FAILED, Int),
                ]
            }
        }
        kind::PROVIDER_REQUEST_SENT
        | kind::PROVIDER_RESPONSE_RECEIVED
        | kind::PROVIDER_REQUEST_FAILED
        | kind::PROVIDER_REQUEST_RETRYING => CALL,
        _ => files(kind),
    }
}

/// The four types of calls have no field whose name means two things.
const CALL: &[Row] = &[
    REQUEST,
    NODE,
    ATTEMPT,
    PROVIDER,
    MODEL,
    OPERATION,
    row("input_tokens", names::GEN_AI_USAGE_INPUT_TOKENS, Int),
    row("output_tokens", names::GEN_AI_USAGE_OUTPUT_TOKENS, Int),
    DURATION,
    Row { listed: true, ..row("finish_reason", names::GEN_AI_RESPONSE_FINISH_REASONS, Text) },
    ERROR,
    ERROR_TYPE,
    ERROR_TYPE_ALIAS,
    row("retry_after", names::REQUEST_RETRY_AFTER, Double),
];

fn files(kind: &str) -> &'static [Row] {
    match kind {
        kind::SCAN_STARTED => const { &[row("path", names::SCAN_PATH, Text), EXPECTED] },
        kind::SCAN_PROGRESS => const { &[FOUND, EXPECTED] },
        kind::SCAN_COMPLETED => const { &[FOUND, EXPECTED, DURATION] },
        kind::WATCH_STARTED => const { &[row("path", names::WATCH_PATH, Text)] },
        kind::FILE_CHANGED => {
            const { &[row("kind", names::FILE_CHANGE, Text), row("path", names::FILE_PATH, Text)] }
        }
        kind::BATCH_PROCESSED => {
            const {
                &[
                    row("event_count", names::WATCH_EVENT_COUNT, Int),
                    row("affected_nodes", names::WATCH_AFFECTED_NODES, Int),
                ]
            }
        }
        _ => &[],
    }
}
