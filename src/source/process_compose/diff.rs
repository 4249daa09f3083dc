//! The difference between the last snapshot and a new one, as events: one pure function.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clock::Mark;
use super::hint::{Heard, Hint};
use super::record::{Record, Snapshot};
use super::rename;
use super::table::{step, step_gone, step_health};
use super::walk::{Change, View, Walk};
use crate::event::Timestamp;
use crate::event::process::Reason;
use crate::process_compose::{Class, Process};

/// An answer can overtake the frames of what it shows; so long is waited for them where they matter.
pub const SETTLE: Duration = Duration::from_millis(250);

/// What one poll showed.
#[derive(Debug, Clone)]
pub struct Poll {
    /// The name of the source.
    pub source: String,
    /// When the supervisor started; the epoch where it does not say.
    pub life: Timestamp,
    /// Every process.
    pub processes: BTreeMap<String, Process>,
    /// Replicas by name, as far as they are known.
    pub replicas: BTreeMap<String, u64>,
    /// When the answer was there.
    pub at: Timestamp,
    /// The same on the clock that nobody sets.
    pub seen: Mark,
    /// When it was asked for: what a frame told before is older.
    pub sent: Mark,
    /// When the supervisor started, on the same clock; 0 where it does not say.
    pub began: u64,
    /// When the last good poll was sent, on the same clock; `None` for the first one.
    pub last_sent: Option<u64>,
    /// Frames have had [`SETTLE`] since the answer to come in too.
    pub settled: bool,
}

/// The changes of one process, with the records to be saved along with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// By name; `None` forgets it.
    pub records: Vec<(String, Option<Record>)>,
    /// In the order in which they happened.
    pub changes: Vec<Change>,
}

/// What a poll tells.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The new last snapshot.
    pub snapshot: Snapshot,
    /// The processes of which something has to be saved.
    pub groups: Vec<Group>,
    /// How many pairs of classes stand in no row of the table.
    pub unlisted: u64,
}

impl Outcome {
    /// Whether an end is told that a frame which is still on its way could make clear.
    pub fn is_ambiguous(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.changes).any(|change| change.data.ambiguous)
    }

    fn save(&mut self, records: Vec<(String, Option<Record>)>, changes: Vec<Change>) {
        self.groups.push(Group { records, changes });
    }
}

/// Compares. `hint` may hold frames from before the request and from after it.
///
/// A poll by another life of the supervisor ends what was open in the last one and is a baseline for the new
/// one. The result is the same for the same arguments, ids of runs included.
pub fn diff(last: &Snapshot, hint: &Hint, poll: &Poll) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut records, old): (BTreeMap<&str, &Record>, BTreeMap<&str, &Record>) =
        last.records.iter().map(|(name, record)| (name.as_str(), record)).partition(|(_, r)| r.life == poll.life);
    // Without a change of supervisor, all frames are of this one.
    let changed = last.life.is_some_and(|life| life != poll.life);
    let ours = |frame: &Heard| !changed || frame.connected >= poll.began;
    let frames = Frames::sort(hint.frames().iter().filter(|frame| ours(frame)), poll.sent.millis);
    let theirs = Frames::sort(hint.frames().iter().filter(|frame| !ours(frame)), poll.sent.millis);
    let look = Look { poll, first: last.life != Some(poll.life), hinted: is_whole(hint, poll) };

    for (name, record) in old {
        let (record, mut changes) = look.old_frames(record.clone(), theirs.of(name));
        let process = record.process.clone();
        let walk = step_gone(record, look.at_poll(&process, false), Reason::SupervisorRestarted);
        changes.extend(walk.changes);
        outcome.save(vec![(name.to_owned(), None)], changes);
    }
    let renamed = rename::find(&records, poll);
    for (to, from) in &renamed {
        if let Some(record) = records.remove(from.as_str()) {
            records.insert(to, record);
        }
    }
    let names: BTreeSet<&str> = records.keys().copied().chain(poll.processes.keys().map(String::as_str)).collect();
    for name in names {
        let from = renamed.get(name);
        let before = records.get(name).copied();
        let heard = frames.of_both(from.map(String::as_str), name);
        let (after, changes, unlisted) = look.one(before.cloned(), &heard, name);
        outcome.unlisted += unlisted;
        let same = matches!((before, &after), (Some(before), Some(after)) if before.same(after));
        if !same || !changes.is_empty() || from.is_some() {
            let forgotten = from.map(|from| (from.clone(), None));
            outcome.save(forgotten.into_iter().chain([(name.to_owned(), after.clone())]).collect(), changes);
        }
        if let Some(after) = after {
            outcome.snapshot.records.insert(name.to_owned(), after);
        }
    }
    outcome.snapshot.life = Some(poll.life);
    outcome
}

fn is_whole(hint: &Hint, poll: &Poll) -> bool {
    poll.settled && poll.last_sent.is_some_and(|sent| hint.is_whole_since(sent))
}

/// Frames by the name of the process.
struct Frames<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a Heard>>,
    sent: u64,
}

impl<'a> Frames<'a> {
    fn sort(frames: impl Iterator<Item = &'a Heard>, sent: u64) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&Heard>> = BTreeMap::new();
        for frame in frames {
            by_name.entry(&frame.process.name).or_default().push(frame);
        }
        Self { by_name, sent }
    }

    fn of(&self, name: &str) -> Of<'a> {
        let frames = self.by_name.get(name).cloned().unwrap_or_default();
        let (before, later) = frames.into_iter().partition(|frame| frame.millis < self.sent);
        Of { before, later }
    }

    fn of_both(&self, from: Option<&str>, name: &str) -> Of<'a> {
        let mut of = self.of(name);
        if let Some(from) = from {
            let old = self.of(from);
            of.before.splice(0..0, old.before);
            of.later.splice(0..0, old.later);
        }
        of
    }
}

/// The frames of one process: those older than the poll, and those that came while it was under way.
struct Of<'a> {
    before: Vec<&'a Heard>,
    later: Vec<&'a Heard>,
}

/// What all looks of one poll share.
struct Look<'a> {
    poll: &'a Poll,
    first: bool,
    hinted: bool,
}

impl<'a> Look<'a> {
    fn at_poll<'b>(&'b self, process: &'b Process, asked: bool) -> View<'b> {
        let poll = self.poll;
        View {
            process,
            at: poll.at,
            seen: &poll.seen,
            sent: &poll.sent,
            source: &poll.source,
            life: poll.life,
            replicas: poll.replicas.get(&process.name).copied(),
            first: self.first,
            hinted: self.hinted,
            asked,
            launched: None,
            frame: false,
        }
    }

    /// One process: first what frames told, then what the poll shows.
    fn one(&self, before: Option<Record>, heard: &Of<'_>, name: &str) -> (Option<Record>, Vec<Change>, u64) {
        let mut told = Told { record: before, changes: Vec::new(), launched: None, unlisted: 0 };
        for frame in &heard.before {
            told.frame(self, frame);
        }
        let Some(process) = self.poll.processes.get(name) else {
            told.record = told.record.take().and_then(|record| self.absent(record, &mut told.changes));
            return (told.record, told.changes, told.unlisted);
        };
        let pid = told.record.as_ref().and_then(|record| record.run.as_ref()?.pid);
        let ends = |frame: &&&Heard| frame.process.class() == Some(Class::Terminating);
        let asked = heard.later.iter().filter(ends).any(|frame| pid.is_none_or(|pid| pid == frame.process.pid));
        let view = View { launched: told.launched, ..self.at_poll(process, asked) };
        // What a frame showed before the first poll is the baseline already.
        let view = View { first: self.first && told.record.is_none(), ..view };
        let record = told.record.take();
        told.apply(step(record, view));
        (told.record, told.changes, told.unlisted)
    }

    /// A process that the poll does not list: a rename may show it under another name in the next one.
    fn absent(&self, record: Record, changes: &mut Vec<Change>) -> Option<Record> {
        if !record.missing {
            return Some(Record { missing: true, ..record });
        }
        let process = record.process.clone();
        changes.extend(step_gone(record, self.at_poll(&process, false), Reason::Removed).changes);
        None
    }

    /// What frames told of the supervisor before this one: it stops its processes when it ends.
    fn old_frames(&self, record: Record, heard: Of<'_>) -> (Record, Vec<Change>) {
        let kept = record.clone();
        let mut told = Told { record: Some(record), changes: Vec::new(), launched: None, unlisted: 0 };
        for frame in heard.before {
            told.frame(self, frame);
        }
        for change in &mut told.changes {
            if change.data.reason == Some(Reason::Requested) {
                change.data.reason = Some(Reason::SupervisorRestarted);
            }
        }
        (told.record.unwrap_or(kept), told.changes)
    }
}

/// What is known of one process while its frames are gone through.
struct Told {
    record: Option<Record>,
    changes: Vec<Change>,
    /// When a frame showed it being launched, while no run is open.
    launched: Option<Timestamp>,
    unlisted: u64,
}

impl Told {
    fn apply(&mut self, walk: Walk<'_>) {
        self.unlisted += u64::from(walk.unlisted);
        self.changes.extend(walk.changes);
        self.record = Some(walk.record);
        self.launched = None;
    }

    fn frame(&mut self, look: &Look<'_>, frame: &Heard) {
        let seen = Mark { millis: frame.millis, ..look.poll.seen.clone() };
        let baseline = look.first && frame.snapshot && self.record.is_none();
        let process = self.normal(&frame.process);
        let view = View {
            at: frame.at,
            seen: &seen,
            sent: &seen,
            life: self.record.as_ref().map_or(look.poll.life, |record| record.life),
            first: baseline,
            // Where the connection was open, a stop would have shown as Terminating first.
            hinted: !frame.snapshot,
            launched: self.launched,
            frame: true,
            ..look.at_poll(&process, false)
        };
        let Some(class) = process.class() else { return };
        if baseline {
            self.apply(step(None, view));
        } else if class == Class::Up {
            self.up(view, frame.snapshot);
        } else if self.ends_a_run(&process, class) {
            let record = self.record.take();
            self.apply(step(record, view));
        }
    }

    /// A Running frame is built before the launch: it has no pid to be trusted, but the time.
    fn up(&mut self, view: View<'_>, snapshot: bool) {
        let run = self.record.as_ref().and_then(|record| record.run.as_ref());
        let shown = run.is_some_and(|run| run.pid == Some(view.process.pid));
        if run.is_none() && !snapshot {
            self.launched = Some(view.at);
        } else if shown && let Some(record) = self.record.take() {
            self.apply(step_health(record, view));
        }
    }

    /// Whether a frame tells of a run that no event has closed yet.
    fn ends_a_run(&self, process: &Process, class: Class) -> bool {
        let pid = process.pid;
        let run = self.record.as_ref().and_then(|record| record.run.as_ref());
        let is_old = self.record.as_ref().map_or(pid == 0, |record| record.is_old(pid));
        match (class, run) {
            (Class::Terminating | Class::Ended | Class::Restarting, None) => !is_old,
            (Class::Terminating | Class::Ended | Class::Restarting, Some(run)) => {
                run.pid == Some(pid) || (run.pid.is_none() && !is_old)
            }
            (Class::Error, None) => self.record.as_ref().is_none_or(|record| record.class != Class::Error),
            _ => false,
        }
    }

    /// The Restarting frame is built before the count rises.
    fn normal(&self, process: &Process) -> Process {
        let mut process = process.clone();
        if process.class() == Some(Class::Restarting) {
            let told = self.record.as_ref().map_or(process.restarts, |record| record.restarts);
            process.restarts = process.restarts.max(told + 1);
        }
        process
    }
}
