//! Every row of the transition table, every pair of classes, and what frames add.

mod hint;
mod pairs;
mod table;

use std::collections::BTreeMap;

use super::clock::Mark;
use super::diff::{Outcome, Poll, diff};
use super::hint::{Heard, Hint};
use super::record::Snapshot;
use super::walk::Change;
use crate::event::Timestamp;
use crate::event::process::kind;
use crate::process_compose::Process;

/// The time between two polls in these tests, in milliseconds.
const INTERVAL: u64 = 2000;

/// A process "p": status, pid, restarts, exit code. Its age is what it should be, unless a test sets it.
fn p(status: &str, pid: i64, restarts: i64, exit_code: i64) -> Process {
    Process {
        name: "p".into(),
        namespaces: vec!["default".into()],
        status: status.into(),
        is_ready: "-".into(),
        pid,
        restarts,
        exit_code,
        age: -1,
        ..Process::default()
    }
}

fn up(pid: i64) -> Process {
    p("Running", pid, 0, 0)
}

fn named(name: &str, process: Process) -> Process {
    Process { name: name.into(), ..process }
}

fn ready(is_ready: &str, process: Process) -> Process {
    Process { is_ready: is_ready.into(), ..process }
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis as i64)
}

/// A source that polls every two seconds and is told what each poll shows.
struct World {
    last: Snapshot,
    hint: Hint,
    now: u64,
    life: u64,
    boot: &'static str,
    last_sent: Option<u64>,
}

impl World {
    fn new() -> Self {
        let (last, hint) = (Snapshot::default(), Hint::default());
        Self { last, hint, now: 100_000, life: 0, boot: "boot", last_sent: None }
    }

    /// Frames come from now on.
    fn listening(mut self) -> Self {
        self.hint.connected(self.now);
        self
    }

    /// The age that the process has, where a test does not set it: that of its pid.
    fn with_age(&self, process: Process, now: u64) -> Process {
        if process.age >= 0 {
            return process;
        }
        let record = self.last.records.values().find(|record| record.process.pid == process.pid);
        let age = record.map_or(60_000_000_000, |record| {
            let elapsed = if process.running() { now.saturating_sub(record.seen.millis) } else { 0 };
            record.process.age + elapsed as i64 * 1_000_000
        });
        Process { age, ..process }
    }

    fn hear(&mut self, process: Process, after: u64) {
        let millis = self.now - INTERVAL + after;
        let process = self.with_age(process, millis);
        let connected = self.now - INTERVAL;
        let heard = Heard { process, snapshot: false, at: time(millis), millis, connected };
        self.hint.hear(heard);
    }

    fn poll(&mut self, processes: &[Process]) -> Outcome {
        let with_age = |process: &Process| (process.name.clone(), self.with_age(process.clone(), self.now));
        let poll = Poll {
            source: "main".into(),
            life: time(self.life),
            processes: processes.iter().map(with_age).collect(),
            replicas: BTreeMap::new(),
            at: time(self.now),
            seen: Mark { boot: self.boot.into(), millis: self.now },
            sent: Mark { boot: self.boot.into(), millis: self.now },
            began: self.life,
            last_sent: self.last_sent,
            settled: true,
        };
        let outcome = diff(&self.last, &self.hint, &poll);
        let again = diff(&self.last, &self.hint, &poll);
        assert_eq!(outcome.groups, again.groups, "the same arguments give the same events");
        for group in &outcome.groups {
            // Sorted by time, the events of a process stay in the order of the table.
            let times = group.changes.iter().filter(|c| c.kind != kind::STATUS_CHANGED).map(|c| c.ts);
            assert!(times.is_sorted(), "{:#?}", group.changes);
        }
        self.last = outcome.snapshot.clone();
        self.hint.used_before(self.now);
        self.last_sent = Some(self.now);
        self.now += INTERVAL;
        outcome
    }
}

fn changes(outcome: &Outcome) -> Vec<&Change> {
    outcome.groups.iter().flat_map(|group| &group.changes).collect()
}

/// An event in short: its type with what the table says of it; `status_changed` is left out.
fn short(change: &Change) -> String {
    let data = &change.data;
    let mut words = vec![change.kind.to_owned()];
    let flags = [(data.initial, "initial"), (data.inferred, "inferred"), (data.ambiguous, "ambiguous")];
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()));
    words.extend(data.reason.iter().map(word));
    words.extend(data.exit_code.iter().map(|code| format!("exit={code}")));
    words.extend(data.by.iter().map(word));
    words.extend(data.restarts.iter().map(|n| format!("restarts={n}")));
    words.extend(data.unseen.iter().map(|n| format!("unseen={n}")));
    words.join(" ")
}

/// What a word of the payload looks like in JSON.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value).expect("a word").trim_matches('"').to_owned()
}

fn told(outcome: &Outcome) -> Vec<String> {
    let all = changes(outcome).into_iter().filter(|change| change.kind != kind::STATUS_CHANGED);
    all.map(|change| {
        if change.data.process == "p" {
            short(change)
        } else {
            format!("{}: {}", change.data.process, short(change))
        }
    })
    .collect()
}

/// Polls one after the other; the events of the last one are compared.
#[track_caller]
fn check(polls: &[&[Process]], expected: &[&str]) {
    let mut world = World::new();
    let mut last = Outcome::default();
    for poll in polls {
        last = world.poll(poll);
    }
    assert_eq!(told(&last), expected);
    assert_eq!(last.unlisted, 0, "every row of the table is listed");
}

/// From one poll to the next, and the frames in between with the milliseconds at which they came.
#[track_caller]
fn check_hint(before: Process, frames: &[(u64, Process)], now: Process, expected: &[&str]) -> Vec<Change> {
    let mut world = World::new().listening();
    world.poll(&[before]);
    for (after, frame) in frames {
        world.hear(frame.clone(), *after);
    }
    let outcome = world.poll(&[now]);
    assert_eq!(told(&outcome), expected);
    changes(&outcome).into_iter().cloned().collect()
}
