//! The start of a project: who waited for whom.
//!
//! Everything is told at once, when every process has been launched and is ready or over, or ten minutes after the
//! supervisor started: only then it is known which condition counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::run::{launched, message, waits_to_be_ready};
use crate::event::process::{DependenciesData, Dependency, Listed, ProcessData, ResourcesData, kind};
use crate::event::{Event, StreamId, Timestamp};
use crate::otel::span::{Link, Role, Span, Status};
use crate::otel::track::attributes::Set;
use crate::otel::track::open::{End, MAX_OPEN, Of, Open, Outcome};
use crate::otel::{Resource, SpanId, TraceId, names};

/// So long a start may take, by the events' own time.
const MAX_MS: i64 = 10 * 60 * 1000;
/// A listing of the dependencies that has not come after so long does not come: an old supervisor has none.
const LISTING_MS: i64 = 30 * 1000;

/// A start that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Startup {
    start: Timestamp,
    seq: u64,
    /// The parts of a listing that have come so far, then all of it.
    coming: Vec<Listed>,
    listed: Option<BTreeMap<String, Listed>>,
    /// What others wait for, by the process that they wait for.
    wanted: BTreeMap<String, BTreeSet<Wanted>>,
    seen: BTreeMap<String, Seen>,
}

/// What others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Wanted {
    Launched,
    Ready,
    Ended,
}

impl Wanted {
    fn of(condition: &str) -> Self {
        match condition {
            "healthy" | "log_ready" => Self::Ready,
            "completed" | "completed_successfully" => Self::Ended,
            _ => Self::Launched,
        }
    }
}

/// What has become of a process so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    resource: Arc<Resource>,
    status: String,
    probe: bool,
    launched: Option<Timestamp>,
    /// The run that was launched, and the event that told.
    run: Option<(Uuid, u64)>,
    ready: Option<Timestamp>,
    ended: Option<Ended>,
    /// When it was known that it would not run.
    skipped: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ended {
    at: Timestamp,
    failed: Option<String>,
}

impl Startup {
    /// Begins with the first event of a supervisor, unless that runs for long already.
    pub(super) fn begin(event: &Event) -> Option<Self> {
        let life = super::life(&event.session);
        let start = if life > 0 { Timestamp::from_millis(life).min(event.ts) } else { event.ts };
        let startup = Self {
            start,
            seq: event.seq,
            coming: Vec::new(),
            listed: None,
            wanted: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        (event.seq == 1 && event.ts < start.plus_millis(MAX_MS)).then_some(startup)
    }

    /// Takes a listing of the dependencies, or a part of one.
    pub(super) fn listed(&mut self, data: DependenciesData) {
        self.take(data.processes, data.part, data.parts);
    }

    /// Takes a sample of what is used in the place of a listing that does not come.
    pub(super) fn sampled(&mut self, data: ResourcesData, at: Timestamp) {
        if self.listed.is_none() && at >= self.start.plus_millis(LISTING_MS) {
            let listed = data.processes.into_iter().map(|usage| Listed {
                process: usage.process,
                namespace: usage.namespace,
                status: String::new(),
                depends_on: Vec::new(),
            });
            self.take(listed.collect(), data.part, data.parts);
        }
    }

    fn take(&mut self, processes: Vec<Listed>, part: u32, parts: u32) {
        if part <= 1 {
            self.coming.clear();
        }
        let room = MAX_OPEN.saturating_sub(self.coming.len());
        self.coming.extend(processes.into_iter().take(room));
        if part >= parts {
            let listed = std::mem::take(&mut self.coming);
            self.wanted.clear();
            for Dependency { process, condition } in listed.iter().flat_map(|process| &process.depends_on) {
                self.wanted.entry(process.clone()).or_default().insert(Wanted::of(condition));
            }
            self.listed = Some(listed.into_iter().map(|listed| (listed.process.clone(), listed)).collect());
        }
    }

    /// Takes an event of a process.
    pub(super) fn process(&mut self, event: &Event, data: &ProcessData, resource: &Arc<Resource>) {
        if self.seen.len() >= MAX_OPEN && !self.seen.contains_key(&data.process) {
            return;
        }
        let seen = self.seen.entry(data.process.clone()).or_default();
        seen.resource = resource.clone();
        seen.status.clone_from(&data.state.status);
        seen.probe |= waits_to_be_ready(data);
        match event.kind.as_str() {
            kind::STARTED => {
                // What is launched again is still on its way.
                seen.ended = None;
                seen.launched.get_or_insert(launched(event, data).max(self.start));
                seen.run = seen.run.or(data.run_id.map(|id| (id, event.seq)));
                if data.state.is_ready == "Ready" {
                    seen.ready.get_or_insert(event.ts);
                }
            }
            kind::HEALTHY => drop(seen.ready.get_or_insert(event.ts)),
            kind::STOPPED => seen.ended = Some(Ended { at: event.ts, failed: None }),
            kind::CRASHED => seen.ended = Some(Ended { at: event.ts, failed: Some(message(data)) }),
            kind::STATUS_CHANGED if data.state.status == "Skipped" => seen.skipped = Some(event.ts),
            _ => {}
        }
    }

    /// Whether every process is where it should be, or there has been time enough for that.
    pub(super) fn is_over(&self, at: Timestamp) -> bool {
        at >= self.start.plus_millis(MAX_MS) || self.is_complete()
    }

    fn is_complete(&self) -> bool {
        let Some(listed) = &self.listed else { return false };
        listed.values().all(|process| !self.is_expected(process) || self.settled(&process.process).is_some())
    }

    /// Whether it is launched with the project at all, as far as anybody saw.
    fn is_expected(&self, process: &Listed) -> bool {
        let status = match self.seen.get(&process.process) {
            Some(seen) if seen.launched.or(seen.skipped).is_some() => return true,
            Some(seen) => seen.status.as_str(),
            None => process.status.as_str(),
        };
        // What is over already was so before anybody looked.
        !["Disabled", "Foreground", "Scheduled", "Watching", "Completed", "Skipped", "Error"].contains(&status)
    }

    /// When a process was launched and ready, or over.
    fn settled(&self, name: &str) -> Option<Timestamp> {
        let seen = self.seen.get(name)?;
        if let Some(ended) = &seen.ended {
            return (seen.status != "Restarting").then_some(ended.at);
        }
        let ready = if seen.probe { seen.ready } else { seen.launched };
        seen.skipped.or_else(|| Some(seen.launched?.max(ready?).max(self.goal(name)?)))
    }

    /// When those that wait for it may go on, else when it is ready.
    fn goal(&self, name: &str) -> Option<Timestamp> {
        let seen = self.seen.get(name)?;
        let Some(wanted) = self.wanted.get(name) else {
            return if seen.probe { seen.ready } else { seen.launched };
        };
        let reached = |wanted: &Wanted| match wanted {
            Wanted::Launched => seen.launched,
            Wanted::Ready => seen.ready,
            Wanted::Ended => seen.ended.as_ref().map(|ended| ended.at),
        };
        let reached: Option<Vec<Timestamp>> = wanted.iter().map(reached).collect();
        reached?.into_iter().max()
    }

    /// Tells of all of it.
    pub(super) fn close(
        self,
        stream: &StreamId,
        source: &str,
        resource: &Arc<Resource>,
        at: Timestamp,
        spans: &mut Vec<Span>,
    ) {
        let trace_id = TraceId::of_startup(stream);
        let root = SpanId::of(trace_id, self.seq, Role::Startup);
        let complete = self.is_complete();
        let expected = || self.listed.iter().flat_map(BTreeMap::values).filter(|process| self.is_expected(process));
        let last = expected().filter_map(|process| self.settled(&process.process)).max();
        let end = if complete { last.unwrap_or(self.start) } else { at.min(self.start.plus_millis(MAX_MS)) };
        let telling = Telling { startup: &self, stream, trace_id, root, end };
        for process in expected() {
            spans.extend(telling.wait(process));
            spans.extend(telling.launch(process));
        }
        let attributes = Set::default()
            .text(names::SOURCE_NAME, Some(source))
            .with(names::STARTUP_COMPLETE, complete)
            .with(names::STARTUP_PROCESSES, expected().count() as u64);
        let open = Open { span_id: root, attributes, ..Open::new(Role::Startup, self.start, "startup", Of::Root) };
        let outcome = if complete { Outcome::Completed } else { Outcome::Interrupted };
        spans.push(open.close(trace_id, resource, End::new(end, outcome)));
    }
}

/// A start that is being told of.
struct Telling<'a> {
    startup: &'a Startup,
    stream: &'a StreamId,
    trace_id: TraceId,
    root: SpanId,
    /// The end of the whole.
    end: Timestamp,
}

impl Telling<'_> {
    /// A process that waits for others, from the supervisor's start until it is launched.
    fn wait(&self, process: &Listed) -> Option<Span> {
        if process.depends_on.is_empty() {
            return None;
        }
        let texts: Vec<String> =
            process.depends_on.iter().map(|on| format!("{} {}", on.process, on.condition)).collect();
        let attributes = Set::default().texts(names::STARTUP_DEPENDENCIES, texts.iter().map(String::as_str));
        let seen = self.startup.seen.get(&process.process);
        let end = match (seen.and_then(|seen| seen.launched), seen.and_then(|seen| seen.skipped)) {
            (Some(launched), _) => End::new(launched, Outcome::Completed),
            (None, Some(skipped)) => End::new(skipped, Outcome::Skipped),
            (None, None) => End::new(self.end, Outcome::Interrupted),
        };
        Some(self.span(process, Role::StartupWait, "waiting", self.startup.start, attributes, Vec::new(), end))
    }

    /// A process from its launch until those that wait for it may go on.
    fn launch(&self, process: &Listed) -> Option<Span> {
        let seen = self.startup.seen.get(&process.process)?;
        let start = seen.launched?;
        let goal = self.startup.goal(&process.process);
        let end = match (goal, &seen.ended) {
            (_, Some(Ended { at, failed: Some(error) })) if goal.is_none_or(|goal| goal >= *at) => {
                End { status: Status::Error(error.clone()), ..End::new(*at, Outcome::Failed) }
            }
            (Some(goal), _) => End::new(goal, Outcome::Completed),
            (None, Some(ended)) => End::new(ended.at, Outcome::Completed),
            (None, None) => End::new(self.end, Outcome::Interrupted),
        };
        let link = |(run, seq)| {
            let trace_id = TraceId::of_run(self.stream, run);
            Link { trace_id, span_id: SpanId::of(trace_id, seq, Role::Run), attributes: Vec::new() }
        };
        let links = seen.run.map(link).into_iter().collect();
        Some(self.span(process, Role::StartupProcess, "launch", start, Set::default(), links, end))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one span")]
    fn span(
        &self,
        process: &Listed,
        role: Role,
        name: &str,
        start: Timestamp,
        attributes: Set,
        links: Vec<Link>,
        end: End,
    ) -> Span {
        let about = Set::default()
            .text(names::PROCESS_NAME, Some(&process.process))
            .text(names::PROCESS_NAMESPACE, Some(&process.namespace));
        let open = Open {
            span_id: SpanId::of_one(self.trace_id, self.startup.seq, role, &process.process),
            parent: Some(self.root),
            attributes: about.and(attributes),
            links,
            ..Open::new(role, start, name, Of::Root)
        };
        let seen = self.startup.seen.get(&process.process);
        let resource = seen.map(|seen| seen.resource.clone()).unwrap_or_else(|| {
            Arc::new(Resource {
                service_name: process.process.clone().into(),
                service_namespace: Some(process.namespace.clone().into()),
                ..Resource::default()
            })
        });
        open.close(self.trace_id, &resource, end)
    }
}
