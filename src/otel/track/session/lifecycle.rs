//! A session's segments: each a root span, all in one trace.

use super::{End, Of, On, Open, Outcome, Session, Set, Text, own};
use crate::event::session::{IngestFailed, SessionEnded, SessionInterrupted, SessionResumed, SessionStarted};
use crate::event::{Event, Trace};
use crate::otel::span::{Link, Role};
use crate::otel::track::attributes::short;
use crate::otel::{Resource, SpanId, names};

use std::sync::Arc;

impl Session {
    pub(super) fn session_started(&mut self, event: &Event, on: &mut On<'_>) -> SpanId {
        self.end_segment(End::new(on.ts, Outcome::Interrupted), "begun anew", on);
        let data: SessionStarted<'_> = on.read();
        let id = self.id_of(on.seq, Role::Session);
        self.caller = event.trace.as_ref().and_then(|trace| caller(trace, id));
        if let Some(service) = data.service.as_ref().or(data.command.as_ref()) {
            self.resource =
                Arc::new(Resource { service_name: short(service).to_owned().into(), ..Resource::default() });
        }
        if let Some(command) = own(data.command.as_ref()) {
            self.name = format!("session {command}");
        }
        self.about = about(&data);
        self.segment = 0;
        let root = self.open_segment(None, on);
        let started = Open {
            parent: Some(root),
            span_id: self.id_of(on.seq, Role::SessionStarted),
            attributes: self.root_attributes(),
            ..Open::new(Role::SessionStarted, on.ts, "session started", Of::Root)
        };
        on.spans.push(started.close(self.trace_id, &self.resource, End::new(on.ts, Outcome::Completed)));
        root
    }

    pub(super) fn session_resumed(&mut self, on: &mut On<'_>) -> SpanId {
        self.end_segment(End::new(on.ts, Outcome::Interrupted), "begun anew", on);
        let data: SessionResumed = on.read();
        self.open_segment(data.segment, on)
    }

    pub(super) fn session_interrupted(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: SessionInterrupted<'_> = on.read();
        let reason = data.reason.as_ref().map_or("interrupted", Text::as_str);
        self.end_segment(End::new(on.ts, Outcome::Interrupted), reason, on);
        self.last_root
    }

    pub(super) fn session_ended(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: SessionEnded<'_> = on.read();
        let failed = data.status.as_ref().is_some_and(|status| status.as_str() == "failed");
        let end = match failed {
            true => End::failed(on.ts, data.error.as_deref().or(Some("failed")), None),
            false => End::new(on.ts, Outcome::Completed),
        };
        let more = Set::default()
            .some(names::PROCESS_EXIT_CODE, data.exit_code)
            .text(names::SESSION_STATUS, data.status.as_deref())
            .text(names::SESSION_REASON, data.reason.as_deref())
            .some(names::SESSION_CLOSED, data.closed);
        self.end_segment(end.with(more), "session ended", on);
        self.ended = true;
        self.last_root
    }

    pub(super) fn ingest_failed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: IngestFailed<'_> = on.read();
        let error = data.error.as_ref().map_or("events could not be taken", Text::as_str);
        self.lost = Some(short(error).to_owned());
        self.last_root
    }

    /// Opens the root of the next segment.
    pub(super) fn open_segment(&mut self, number: Option<u64>, on: &On<'_>) -> SpanId {
        self.segment = number.unwrap_or(self.segment.saturating_add(1));
        let span_id = self.id_of(on.seq, Role::Session);
        let link = |span_id| Link { trace_id: self.trace_id, span_id, attributes: Vec::new() };
        let root = Open {
            span_id,
            parent: self.caller,
            attributes: self.root_attributes(),
            links: self.last_root.map(link).into_iter().collect(),
            ..Open::new(Role::Session, on.ts, self.name.clone(), Of::Root)
        };
        let key = (on.seq, Role::Session);
        self.open.insert(key, root);
        self.root = Some(key);
        self.last_root = Some(span_id);
        span_id
    }

    fn root_attributes(&self) -> Set {
        self.session_id().with(names::SESSION_SEGMENT, self.segment).and(self.about.clone())
    }

    /// Closes all that is open, children before their parents: the root as told, what is below it as interrupted.
    pub(super) fn end_segment(&mut self, end: End, reason: &str, on: &mut On<'_>) {
        let undecided: Vec<String> = self.undecided.iter().cloned().collect();
        for id in undecided {
            self.give_up(&id, on);
        }
        let interrupted = || {
            End::new(end.at, Outcome::Interrupted).with(Set::default().text(names::SESSION_REASON, Some(reason)))
        };
        while let Some(key) = self.open.last() {
            let end = if Some(key) == self.root { self.root_end(end.clone(), reason) } else { interrupted() };
            self.close(key, end, on);
        }
        self.root = None;
        self.lost = None;
        self.requests.clear();
        self.undecided.clear();
    }

    fn root_end(&mut self, end: End, reason: &str) -> End {
        let interrupted = end.outcome == Outcome::Interrupted;
        let end =
            if interrupted { end.with(Set::default().text(names::SESSION_REASON, Some(reason))) } else { end };
        match self.lost.take() {
            // What is missing is known to be missing, however it ended.
            Some(error) => End { outcome: end.outcome, ..End::failed(end.at, Some(&error), Some("ingest_failed")) }
                .with(end.attributes),
            None => end,
        }
    }
}

/// The span that called: what is called the parent, else the span that the sender says it is in, unless that is
/// the session's own.
fn caller(trace: &Trace, own: SpanId) -> Option<SpanId> {
    let parse = |id: &Option<String>| id.as_deref().and_then(SpanId::parse).filter(|id| *id != own);
    parse(&trace.parent_id).or_else(|| parse(&trace.span_id))
}

fn about(data: &SessionStarted<'_>) -> Set {
    Set::default()
        .text(names::PROCESS_COMMAND, data.command.as_deref())
        .texts(names::PROCESS_COMMAND_ARGS, data.args.iter().flatten().map(Text::as_str))
        .text(names::PROCESS_WORKING_DIRECTORY, data.cwd.as_deref())
        .text(names::VCS_REVISION, data.git_revision.as_deref())
        .text(names::SESSION_SUMMARY, data.command_summary.as_deref())
        .text(names::SESSION_NAME, data.name.as_deref())
        .text(names::USER_NAME, data.user.as_deref())
        .text(names::HOST_NAME, data.host.as_deref())
}
