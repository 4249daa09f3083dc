//! One life of one process: from its launch over its being ready to its end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::process::{ProcessData, Reason, kind};
use crate::event::{Event, Timestamp};
use crate::otel::span::{Role, Span, SpanEvent, Status};
use crate::otel::track::attributes::Set;
use crate::otel::track::open::{End, Of, Open, Outcome};
use crate::otel::{Resource, SpanId, TraceId, names};

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    seq: u64,
    trace_id: TraceId,
    resource: Arc<Resource>,
    span: Open,
    /// Whether it is told of when it becomes ready.
    probe: bool,
    /// It was, or it was so before anybody looked.
    ready: bool,
}

/// When a process was launched: one that ran already when it was first seen tells its age.
pub(super) fn launched(event: &Event, data: &ProcessData) -> Timestamp {
    let age = if data.initial { data.state.age.max(0) / 1_000_000 } else { 0 };
    event.ts.plus_millis(-age)
}

/// Whether a process shows that it is not ready yet, or is: a probe of its life alone tells nothing of that.
pub(super) fn waits_to_be_ready(data: &ProcessData) -> bool {
    data.state.has_ready_probe && data.state.is_ready != "-"
}

impl Run {
    pub(super) fn open(id: Uuid, event: &Event, data: &ProcessData, resource: &Arc<Resource>) -> Self {
        let trace_id = TraceId::of_run(&event.session, id);
        let flag = |set: Set, name, flag| if flag { set.with(name, true) } else { set };
        let attributes = Set::default()
            .text(names::PROCESS_NAME, Some(&data.process))
            .text(names::PROCESS_NAMESPACE, Some(&data.namespace))
            .with(names::PROCESS_RUN_ID, id.to_string())
            .some(names::PROCESS_PID, Some(data.state.pid).filter(|pid| *pid > 0))
            .text(names::SOURCE_NAME, event.origin.source.as_deref())
            .text(names::HOST_NAME, event.origin.host.as_deref());
        let attributes = flag(attributes, names::PROCESS_INITIAL, data.initial);
        let attributes = flag(attributes, names::PROCESS_INFERRED, data.inferred);
        let span = Open::new(Role::Run, launched(event, data), "run", Of::Root);
        Self {
            seq: event.seq,
            trace_id,
            resource: resource.clone(),
            span: Open { span_id: SpanId::of(trace_id, event.seq, Role::Run), attributes, ..span },
            probe: waits_to_be_ready(data),
            ready: data.initial && data.state.is_ready == "Ready",
        }
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn span_id(&self) -> SpanId {
        self.span.span_id
    }

    /// `healthy` or `unhealthy`. The first time that it is healthy it is ready.
    pub(super) fn health(&mut self, event: &Event, spans: &mut Vec<Span>) {
        let kind = event.kind.as_str();
        self.span.happened(SpanEvent { time: event.ts, name: kind.to_owned(), attributes: Vec::new() });
        if kind == kind::HEALTHY && !self.ready {
            self.ready = true;
            spans.push(self.until_ready(End::new(event.ts, Outcome::Completed)));
        }
    }

    /// `stopped` or `crashed`.
    pub(super) fn end(
        mut self,
        event: &Event,
        data: &ProcessData,
        resource: &Arc<Resource>,
        spans: &mut Vec<Span>,
    ) {
        // Scaling gives a process another name while it runs.
        self.resource = resource.clone();
        let crashed = event.kind.as_str() == kind::CRASHED;
        let reason = data.reason.map(reason);
        let end = match crashed {
            true => End::failed(event.ts, Some(&message(data)), reason),
            false => End::new(event.ts, Outcome::Completed),
        };
        let flag = |set: Set, name, flag| if flag { set.with(name, true) } else { set };
        let more =
            Set::default().some(names::PROCESS_EXIT_CODE, data.exit_code).text(names::PROCESS_EXIT_REASON, reason);
        let more = flag(more, names::PROCESS_INFERRED, data.inferred);
        self.close(end.with(flag(more, names::PROCESS_AMBIGUOUS, data.ambiguous)), spans);
    }

    /// Closes it, and what it is until it is ready before it.
    pub(super) fn close(self, end: End, spans: &mut Vec<Span>) {
        if self.probe && !self.ready {
            let outcome = if end.outcome == Outcome::Failed { Outcome::Failed } else { Outcome::Interrupted };
            let status = if outcome == Outcome::Failed { end.status.clone() } else { Status::Unset };
            spans.push(self.until_ready(End { status, ..End::new(end.at, outcome) }));
        }
        spans.push(self.span.close(self.trace_id, &self.resource, end));
    }

    fn until_ready(&self, end: End) -> Span {
        let open = Open {
            span_id: SpanId::of(self.trace_id, self.seq, Role::RunReady),
            parent: Some(self.span.span_id),
            attributes: self.span.attributes.clone(),
            ..Open::new(Role::RunReady, self.span.start, "run ready", Of::Root)
        };
        open.close(self.trace_id, &self.resource, end)
    }
}

/// Why it failed, in few words.
pub(super) fn message(data: &ProcessData) -> String {
    match (data.reason, data.exit_code) {
        (None | Some(Reason::Exit | Reason::Ambiguous), Some(code)) => format!("exit code {code}"),
        (Some(Reason::Unhealthy), _) => "its probe failed".into(),
        (Some(Reason::LaunchError), _) => "it could not be launched".into(),
        (reason, _) => reason.map_or("it crashed", self::reason).into(),
    }
}

/// A reason as the events have it.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Exit => "exit",
        Reason::Requested => "requested",
        Reason::Unhealthy => "unhealthy",
        Reason::LaunchError => "launch_error",
        Reason::Removed => "removed",
        Reason::Cancelled => "cancelled",
        Reason::SupervisorRestarted => "supervisor_restarted",
        Reason::Ambiguous => "ambiguous",
    }
}
