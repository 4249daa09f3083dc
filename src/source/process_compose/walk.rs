//! The moves that the transition table is made of: open a run, close it, tell of a restart.

use uuid::Uuid;

use super::clock::Mark;
use super::record::{Ending, Record, Run};
use crate::event::process::{ProcessData, ProcessState, Reason, RestartedBy, kind};
use crate::event::{Severity, Timestamp};
use crate::process_compose::{Class, Process};

/// Exit codes that a requested stop and a failure share.
const AMBIGUOUS: [i64; 4] = [-1, 130, 137, 143];

/// One event that a change of a process gives rise to.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its type, of [`kind`].
    pub kind: &'static str,
    /// When it happened, as far as can be told.
    pub ts: Timestamp,
    /// How loud it is.
    pub severity: Severity,
    /// The life of the supervisor that it belongs to.
    pub life: Timestamp,
    /// Its payload.
    pub data: ProcessData,
}

/// One look at one process.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) process: &'a Process,
    /// When it was seen.
    pub(super) at: Timestamp,
    /// When the answer was there, on the clock that nobody sets.
    pub(super) seen: &'a Mark,
    /// When it was asked for: it is no older than that, so no more time has passed for sure.
    pub(super) sent: &'a Mark,
    /// The name of the source, for the ids of runs.
    pub(super) source: &'a str,
    /// When its supervisor started.
    pub(super) life: Timestamp,
    /// How many replicas it has, where that is known.
    pub(super) replicas: Option<u64>,
    /// Its supervisor is seen for the first time.
    pub(super) first: bool,
    /// Frames came without a break since the last poll.
    pub(super) hinted: bool,
    /// A frame that came with this poll shows that it was asked to stop.
    pub(super) asked: bool,
    /// When a frame showed that it was launched.
    pub(super) launched: Option<Timestamp>,
    /// It is a frame: its status is no poll's.
    pub(super) frame: bool,
}

/// How a run ended.
pub(super) struct End {
    kind: &'static str,
    reason: Reason,
    exit_code: Option<i64>,
    inferred: bool,
    /// It ended when the next one started, at the latest.
    gave_way: bool,
}

impl End {
    pub(super) fn stopped(reason: Reason) -> Self {
        Self { kind: kind::STOPPED, reason, exit_code: None, inferred: false, gave_way: false }
    }

    pub(super) fn crashed(reason: Reason) -> Self {
        Self { kind: kind::CRASHED, reason, exit_code: None, inferred: false, gave_way: false }
    }

    pub(super) fn with_code(self, code: i64) -> Self {
        Self { exit_code: Some(code), ..self }
    }

    /// Deduced; its code is what nobody showed.
    pub(super) fn inferred(self) -> Self {
        Self { inferred: true, ..self }
    }

    /// Deduced from the run that is shown in its place.
    pub(super) fn gave_way(self) -> Self {
        Self { inferred: true, gave_way: true, ..self }
    }

    pub(super) fn code_unknown(self) -> Self {
        Self { exit_code: None, ..self }
    }
}

/// What is done to the record of one process, and the events of it.
pub(super) struct Walk<'a> {
    pub(super) record: Record,
    pub(super) changes: Vec<Change>,
    pub(super) view: View<'a>,
    /// The pair of classes stands in no row of the table.
    pub(super) unlisted: bool,
    /// The health that the events have told of.
    pub(super) health: String,
}

impl<'a> Walk<'a> {
    pub(super) fn new(record: Record, view: View<'a>) -> Self {
        let health = record.run.as_ref().map_or_else(|| "-".into(), |run| run.health.clone());
        Self { record, changes: Vec::new(), view, unlisted: false, health }
    }

    pub(super) fn tell(&mut self, kind: &'static str, ts: Timestamp, edit: impl FnOnce(&mut ProcessData)) {
        let process = self.view.process;
        let mut data = payload(process, &self.record);
        edit(&mut data);
        let severity = match kind {
            kind::CRASHED => Severity::Error,
            kind::UNHEALTHY => Severity::Warning,
            kind::STATUS_CHANGED => Severity::Debug,
            _ => Severity::Info,
        };
        self.changes.push(Change { kind, ts, severity, life: self.record.life, data });
    }

    /// Opens a run. Its pid is taken later where the supervisor may still show that of the run before.
    pub(super) fn open(&mut self, inferred: bool) {
        let process = self.view.process;
        let ts = self.started_at();
        let pid = (!self.record.is_old(process.pid)).then_some(process.pid);
        let id = run_id(self.view.source, &self.record, process, ts);
        self.record.run = Some(Run { id, pid, health: "-".into(), ending: None });
        self.record.turned = ts;
        self.health = "-".into();
        let (initial, inferred) = (self.view.first, inferred && self.view.launched.is_none());
        self.tell(kind::STARTED, ts, |data| {
            data.initial = initial;
            data.inferred = inferred && !initial;
        });
    }

    /// Closes the open run.
    pub(super) fn close(&mut self, end: End) {
        let Some(run) = self.record.run.take() else { return };
        let ts = match &end {
            End { gave_way: true, .. } => self.started_at(),
            End { inferred: true, .. } => self.within(self.view.at),
            End { .. } => self.ended_at(),
        };
        self.record.remember_closed(run.pid.unwrap_or(self.view.process.pid));
        self.record.turned = ts;
        let End { kind, reason, exit_code, inferred, .. } = end;
        self.tell(kind, ts, |data| {
            data.run_id = Some(run.id);
            data.exit_code = exit_code;
            data.reason = Some(reason);
            data.inferred = inferred;
            data.ambiguous = reason == Reason::Ambiguous;
        });
    }

    /// Tells that the count rose or that somebody restarted it; `unseen` runs lie in between.
    pub(super) fn restarted(&mut self, by: RestartedBy, restarts: i64, unseen: i64) {
        // Right after the end that it follows, else right before the start.
        let is_end = |change: &Change| [kind::STOPPED, kind::CRASHED].contains(&change.kind);
        let ts = if self.changes.iter().any(is_end) { self.record.turned } else { self.started_at() };
        self.tell(kind::RESTARTED, ts, |data| {
            data.by = Some(by);
            data.restarts = Some(u64::try_from(restarts).unwrap_or(0));
            data.unseen = Some(u64::try_from(unseen).unwrap_or(0));
            data.run_id = None;
        });
        self.record.restarts = restarts;
    }

    /// The end that the exit code tells.
    pub(super) fn by_code(&self) -> End {
        let (code, health) = (self.view.process.exit_code, self.health.as_str());
        let end = match self.record.run.as_ref().and_then(|run| run.ending) {
            Some(Ending::Asked) => End::stopped(Reason::Requested),
            Some(Ending::Probe) => End::crashed(Reason::Unhealthy),
            None if self.view.asked && health == "Not Ready" => End::crashed(Reason::Unhealthy),
            None if self.view.asked => End::stopped(Reason::Requested),
            None if health == "Not Ready" => End::crashed(Reason::Unhealthy),
            None if self.view.process.exited_well() => End::stopped(Reason::Exit),
            None if AMBIGUOUS.contains(&code) && !self.view.hinted => End::crashed(Reason::Ambiguous),
            None => End::crashed(Reason::Exit),
        };
        end.with_code(code)
    }

    /// The end of a run that the supervisor restarted by its policy: nobody asked for that.
    pub(super) fn by_policy(&self) -> End {
        let process = self.view.process;
        let killed = self.health == "Not Ready" && AMBIGUOUS.contains(&process.exit_code);
        let ending = self.record.run.as_ref().and_then(|run| run.ending);
        let end = match ending {
            Some(_) => End::crashed(Reason::Unhealthy),
            None if killed => End::crashed(Reason::Unhealthy),
            None if process.exited_well() => End::stopped(Reason::Exit),
            None => End::crashed(Reason::Exit),
        };
        end.with_code(process.exit_code)
    }

    /// The end of a run that somebody made room for another.
    pub(super) fn by_hand(&self) -> End {
        let probe = self.record.run.as_ref().is_some_and(|run| run.ending == Some(Ending::Probe));
        if probe { End::crashed(Reason::Unhealthy) } else { End::stopped(Reason::Requested) }
    }

    /// By how much the count of automatic restarts rose; a lower count is one that began again at 0.
    pub(super) fn rise(&self) -> i64 {
        let rise = self.view.process.restarts - self.record.restarts;
        if rise < 0 { self.view.process.restarts } else { rise }
    }

    /// A time that is not before the last event of this process, nor in the future.
    fn within(&self, ts: Timestamp) -> Timestamp {
        ts.min(self.view.at).max(self.record.turned.min(self.view.at))
    }

    fn started_at(&self) -> Timestamp {
        let View { process, at, launched, first, .. } = self.view;
        if first {
            return at;
        }
        if let Some(launched) = launched {
            return self.within(launched);
        }
        let new_start = process.process_start_time.filter(|start| {
            Some(*start) != self.record.process.process_start_time && process.restarts == 0 && *start <= at
        });
        // `age` counts back from now while it is up, from its end when it is not.
        let last = if self.view.process.class() == Some(Class::Up) { at } else { self.ended_at() };
        let stale = self.record.is_old(process.pid);
        let by_age = (!stale && process.age > 0).then(|| last.plus_millis(-(process.age / 1_000_000)));
        self.within(new_start.or(by_age).unwrap_or(last))
    }

    fn ended_at(&self) -> Timestamp {
        let end = self.view.process.process_end_time;
        let end = end.filter(|end| *end <= self.view.at && *end >= self.record.turned);
        self.within(end.unwrap_or(self.view.at))
    }
}

fn payload(process: &Process, record: &Record) -> ProcessData {
    let several = process.namespaces.len() > 1;
    ProcessData {
        process: process.name.clone(),
        namespace: process.namespace().to_owned(),
        namespaces: if several { process.namespaces.clone() } else { Vec::new() },
        run_id: record.run.as_ref().map(|run| run.id),
        exit_code: None,
        reason: None,
        by: None,
        restarts: None,
        unseen: None,
        previous_status: None,
        initial: false,
        inferred: false,
        ambiguous: false,
        state: ProcessState {
            name: process.name.clone(),
            namespace: process.namespace().to_owned(),
            status: process.status.clone(),
            is_ready: process.is_ready.clone(),
            has_ready_probe: process.has_ready_probe,
            restarts: u64::try_from(process.restarts).unwrap_or(0),
            exit_code: process.exit_code,
            is_running: process.running(),
            replicas: record.replicas,
            pid: process.pid,
            age: process.age,
            mem: process.mem,
            cpu: process.cpu,
        },
    }
}

/// The same run gets the same id however often it is worked out from the same two snapshots.
fn run_id(source: &str, record: &Record, process: &Process, ts: Timestamp) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:watchpost:run");
    let life = record.life.as_millis();
    let name = format!("{source}\0{life}\0{}\0{}\0{}", process.name, process.pid, ts.as_millis());
    Uuid::new_v5(&namespace, name.as_bytes())
}
