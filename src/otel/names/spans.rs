//! The names of spans and of what happens in them.

use super::attributes::*;
use super::{Kind, Name, Source};
use crate::otel::span::Role;

/// What is known of the spans of a role.
pub fn of(role: Role) -> &'static Name {
    // They stand in the order of the roles.
    &ALL[role as usize]
}

const fn span(name: &'static str, about: &'static str, attributes: &'static [&'static str]) -> Name {
    Name { name, kind: Kind::Span, source: Source::Own, unit: "", about, attributes }
}

const fn event(name: &'static str, about: &'static str, attributes: &'static [&'static str]) -> Name {
    Name { kind: Kind::SpanEvent, ..span(name, about, attributes) }
}

/// Of both spans that stand for a session.
const SESSION: &[&str] = &[
    SESSION_ID,
    SESSION_SEGMENT,
    PROCESS_COMMAND,
    PROCESS_COMMAND_ARGS,
    PROCESS_WORKING_DIRECTORY,
    VCS_REVISION,
    SESSION_SUMMARY,
    SESSION_NAME,
    USER_NAME,
    HOST_NAME,
    OUTCOME,
    PROCESS_EXIT_CODE,
    SESSION_STATUS,
    SESSION_REASON,
    SESSION_CLOSED,
    ERROR_TYPE,
];

/// Of a node, generated or not.
const NODE: &[&str] =
    &[SESSION_ID, PLAN_ID, LEVEL_INDEX, NODE_ID, NODE_PATH, NODE_SKIP_REASON, OUTCOME, SESSION_REASON, ERROR_TYPE];

/// Of a run, whole or until it is ready.
const RUN: &[&str] = &[
    PROCESS_NAME,
    PROCESS_NAMESPACE,
    PROCESS_RUN_ID,
    PROCESS_PID,
    SOURCE_NAME,
    HOST_NAME,
    PROCESS_INITIAL,
    PROCESS_INFERRED,
    PROCESS_AMBIGUOUS,
    PROCESS_EXIT_CODE,
    PROCESS_EXIT_REASON,
    OUTCOME,
    ERROR_TYPE,
];

/// All of them: the spans in the order of their roles, then the events.
pub(super) const ALL: &[Name] = &[
    span(
        "session {command}",
        "A segment of a session, from its start, or where it is resumed, to its end, or where it is interrupted. The root of its trace, or below the span of whoever called; linked to the segment before.",
        SESSION,
    ),
    span(
        "session started",
        "Sent at once, so that the trace of a session that still runs has a name. No time passes in it; below the root, which comes when the segment ends.",
        SESSION,
    ),
    span(
        "generation",
        "A plan that runs, below the session.",
        &[
            SESSION_ID,
            NODE_ID,
            NODE_PATH,
            GEN_AI_AGENT_ID,
            GEN_AI_PROVIDER_NAME,
            PLAN_FRAME_TYPE,
            PLAN_FORCE,
            PLAN_RECURSIVE,
            NODE_TOTAL_COUNT,
            LEVEL_TOTAL_COUNT,
            PLAN_ID,
            NODE_GENERATED_COUNT,
            NODE_FAILED_COUNT,
            OUTCOME,
            SESSION_REASON,
            ERROR_TYPE,
        ],
    ),
    span(
        "level {index}",
        "A level of a plan, below its generation.",
        &[
            SESSION_ID,
            PLAN_ID,
            LEVEL_INDEX,
            NODE_TOTAL_COUNT,
            NODE_GENERATED_COUNT,
            NODE_FAILED_COUNT,
            OUTCOME,
            SESSION_REASON,
        ],
    ),
    span("node", "The generation of a node, below its level.", NODE),
    span("node skipped", "A node that is not generated, with the reason. No time passes in it.", NODE),
    span(
        "queue wait",
        "A request from being put into the queue until a worker takes it, below its node. One that gets the answer to another has the outcome `skipped`.",
        &[SESSION_ID, REQUEST_ID, PLAN_ID, NODE_ID, NODE_PATH, REQUEST_ORIGINAL_ID, OUTCOME, SESSION_REASON],
    ),
    span(
        "{operation} {model}",
        "A request to a provider, all attempts together, below its node; of the kind client. Where the last attempt failed it ends with that, and is sent when the node ends.",
        &[
            SESSION_ID,
            GEN_AI_OPERATION_NAME,
            GEN_AI_PROVIDER_NAME,
            GEN_AI_REQUEST_MODEL,
            REQUEST_ID,
            NODE_ID,
            GEN_AI_USAGE_INPUT_TOKENS,
            GEN_AI_USAGE_OUTPUT_TOKENS,
            GEN_AI_RESPONSE_FINISH_REASONS,
            REQUEST_ATTEMPT,
            OUTCOME,
            SESSION_REASON,
            ERROR_TYPE,
        ],
    ),
    span(
        "attempt",
        "One attempt of a request, below it.",
        &[
            SESSION_ID,
            GEN_AI_OPERATION_NAME,
            GEN_AI_PROVIDER_NAME,
            GEN_AI_REQUEST_MODEL,
            REQUEST_ID,
            NODE_ID,
            REQUEST_ATTEMPT,
            OUTCOME,
            SESSION_REASON,
            ERROR_TYPE,
        ],
    ),
    span("run", "One life of a process, from its launch to its end. The root of a trace of its own.", RUN),
    span(
        "run ready",
        "A run from its launch until it is healthy for the first time, below it; where it ends before, until then.",
        RUN,
    ),
    span(
        "startup",
        "The start of a project, from that of its supervisor until every process is launched, and ready or over; after ten minutes it is told of as it stands. The root of a trace of its own, one for each life of a supervisor.",
        &[SOURCE_NAME, STARTUP_COMPLETE, STARTUP_PROCESSES, OUTCOME],
    ),
    span(
        "waiting",
        "A process that waits for others, from the supervisor's start to its launch, below the start of the project.",
        &[PROCESS_NAME, PROCESS_NAMESPACE, STARTUP_DEPENDENCIES, OUTCOME],
    ),
    span(
        "launch",
        "A process from its launch until those that wait for it may go on, below the start of the project; linked to its run.",
        &[PROCESS_NAME, PROCESS_NAMESPACE, OUTCOME],
    ),
    event("retry", "In a request: another attempt follows.", &[REQUEST_ATTEMPT, REQUEST_RETRY_AFTER, ERROR_TYPE]),
    event("healthy", "In a run: its probe passed.", &[]),
    event("unhealthy", "In a run: its probe failed.", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spans_stand_in_the_order_of_their_roles() {
        for (role, name) in
            [(Role::Session, "session {command}"), (Role::Attempt, "attempt"), (Role::StartupProcess, "launch")]
        {
            assert_eq!(of(role).name, name);
        }
        assert_eq!(ALL.iter().filter(|name| name.kind == Kind::Span).count(), Role::StartupProcess as usize + 1);
    }
}
