//! The eight recordings of a real process-compose, held against what its processes told of their own lives.

use std::collections::{BTreeMap, BTreeSet};

use watchpost::demo::{Event, Recording};
use watchpost::event::Timestamp;
use watchpost::event::process::kind;
use watchpost::process_compose::{Frame, Process, Project};
use watchpost::source::process_compose::diff::{Outcome, Poll, SETTLE, diff};
use watchpost::source::process_compose::hint::{Heard, Hint};
use watchpost::source::process_compose::record::Snapshot;
use watchpost::source::process_compose::{Change, Mark};

use super::support::account::{Account, Told, account, print};

pub(crate) const RECORDINGS: [&str; 8] = [
    "by_hand.0.5",
    "by_hand.2",
    "health.0.5",
    "restarts.0.5",
    "schedule.0.5",
    "start_and_end.0.5",
    "start_and_end.2",
    "supervisor.0.5",
];

pub(crate) fn read(name: &str) -> Recording {
    let path = format!("{}/tests/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    Recording::parse(&text).expect(name)
}

/// How the frames come in.
#[derive(Clone, Copy)]
struct Frames {
    /// Whether there are any: none before process-compose v1.110.
    any: bool,
    /// So many milliseconds after they were recorded.
    late: u64,
    /// Every poll was sent so many milliseconds before its answer was recorded.
    sent_before: u64,
}

/// Feeds the diff with the recording's own times, as fast as it goes.
struct Replay {
    wall: Timestamp,
    last: Snapshot,
    hint: Hint,
    connected: u64,
    last_sent: Option<u64>,
    changes: Vec<Change>,
    unlisted: u64,
    last_good: u64,
}

/// The machine had been up for so long when the recordings began.
const UP: u64 = 1_000_000;

impl Replay {
    fn run(recording: &Recording, frames: Frames) -> Self {
        let mut replay = Self {
            wall: recording.wall,
            last: Snapshot::default(),
            hint: Hint::default(),
            connected: 0,
            last_sent: None,
            changes: Vec::new(),
            unlisted: 0,
            last_good: 0,
        };
        let late = |event: &Event| if matches!(event, Event::Answer(_)) { 0 } else { frames.late };
        let mut events: Vec<_> = recording.events.iter().map(|(t, event)| (t + late(event), event)).collect();
        events.sort_by_key(|(t, _)| *t);
        let mut processes = None;
        let mut events = events.into_iter().peekable();
        while let Some((t_ms, event)) = events.next() {
            match event {
                Event::Answer(answer) if answer.path == "/processes" => {
                    processes = (answer.status == 200).then_some(&answer.body);
                }
                Event::Answer(answer) => {
                    if let Some(body) = processes.take().filter(|_| answer.status == 200) {
                        if replay.poll(t_ms, frames.sent_before, body, &answer.body, false) {
                            continue;
                        }
                        // As the source does: frames that are on their way are waited for.
                        let soon = t_ms + SETTLE.as_millis() as u64;
                        while let Some((t_ms, Event::Frame(text))) =
                            events.next_if(|(t, e)| *t <= soon && matches!(e, Event::Frame(_)))
                        {
                            replay.hear(t_ms, text);
                        }
                        replay.poll(t_ms, frames.sent_before, body, &answer.body, true);
                    }
                }
                _ if !frames.any => {}
                Event::Opened => {
                    replay.connected = UP + t_ms;
                    replay.hint.connected(UP + t_ms);
                }
                Event::Closed => replay.hint.broken(),
                Event::Frame(text) => replay.hear(t_ms, text),
            }
        }
        replay
    }

    fn hear(&mut self, t_ms: u64, text: &str) {
        let frame: Frame = serde_json::from_str(text).expect("a frame");
        let (at, millis) = (self.wall.plus_millis(t_ms as i64), UP + t_ms);
        let connected = self.connected;
        self.hint.hear(Heard { process: frame.state, snapshot: frame.snapshot, at, millis, connected });
    }

    /// Whether it was clear; else it has to be asked again once frames have settled.
    fn poll(&mut self, t_ms: u64, sent_before: u64, processes: &str, project: &str, settled: bool) -> bool {
        let project: Project = serde_json::from_str(project).expect("a project");
        let data: BTreeMap<String, Vec<Process>> = serde_json::from_str(processes).expect("processes");
        let sent = UP + t_ms - sent_before;
        let poll = Poll {
            source: "main".into(),
            life: project.start_time.expect("a start"),
            processes: data["data"].iter().map(|p| (p.name.clone(), p.clone())).collect(),
            replicas: BTreeMap::new(),
            at: self.wall.plus_millis(t_ms as i64),
            seen: Mark { boot: "boot".into(), millis: UP + t_ms },
            sent: Mark { boot: "boot".into(), millis: sent },
            began: (UP + t_ms).saturating_sub(project.up_time as u64 / 1_000_000),
            last_sent: self.last_sent,
            settled,
        };
        let outcome = diff(&self.last, &self.hint, &poll);
        if outcome.is_ambiguous() && !settled && self.hint.is_live() {
            return false;
        }
        let Outcome { snapshot, groups, unlisted } = outcome;
        for group in groups {
            // Sorted by time, the events of a process stay in the order of the table.
            let times = || group.changes.iter().filter(|c| c.kind != kind::STATUS_CHANGED).map(|c| c.ts);
            assert!(times().is_sorted(), "{:#?}", group.changes);
            self.changes.extend(group.changes);
        }
        self.unlisted += unlisted;
        self.last = snapshot;
        self.hint.used_before(sent);
        self.last_sent = Some(sent);
        self.last_good = t_ms;
        true
    }
}

/// The pids that polls and frames showed; those that were over at the first poll are known by frames alone.
pub(crate) fn shown(recording: &Recording, all_frames: bool) -> BTreeSet<i64> {
    let (mut pids, mut over) = (BTreeSet::new(), None);
    for (_, event) in &recording.events {
        match event {
            Event::Answer(answer) if answer.path == "/processes" && answer.status == 200 => {
                let data: BTreeMap<String, Vec<Process>> = serde_json::from_str(&answer.body).expect("processes");
                let ended = data["data"].iter().filter(|process| !process.running());
                over.get_or_insert_with(|| ended.map(|process| process.pid).collect::<BTreeSet<_>>());
                pids.extend(data["data"].iter().map(|process| process.pid));
            }
            Event::Frame(text) => {
                let frame: Frame = serde_json::from_str(text).expect("a frame");
                pids.extend(Some(frame.state.pid).filter(|_| all_frames));
            }
            _ => {}
        }
    }
    let over = over.filter(|_| !all_frames).unwrap_or_default();
    pids.difference(&over).copied().collect()
}

fn replay(name: &str, frames: Frames) -> (Account, u64) {
    let recording = read(name);
    let replay = Replay::run(&recording, frames);
    let until = recording.wall.plus_millis(replay.last_good as i64);
    let told: Vec<Told> =
        replay.changes.into_iter().map(|change| Told { kind: change.kind.into(), data: change.data }).collect();
    let shown = shown(&recording, frames.any && frames.late == 0);
    (account(&recording.truth, until, &shown, &told), replay.unlisted)
}

/// Every run has its start and its end, each once; requested stops are stopped, failures crashed.
#[track_caller]
fn check(title: &str, frames: Frames) -> Vec<(&'static str, Account)> {
    let mut accounts = Vec::new();
    for name in RECORDINGS {
        let (account, unlisted) = replay(name, frames);
        assert!(account.wrong.is_empty(), "{title}, {name}: {:#?}", account.wrong);
        // What was over before the first poll was told of by nobody.
        assert_eq!(account.truth, account.runs() + account.never_shown, "{title}, {name}: runs");
        assert_eq!(unlisted, 0, "{title}, {name}");
        accounts.push((name, account));
    }
    print(title, &accounts);
    accounts
}

fn sum(accounts: &[(&str, Account)], of: impl Fn(&Account) -> usize) -> usize {
    accounts.iter().map(|(_, account)| of(account)).sum()
}

#[test]
fn polls_and_frames_give_the_whole_account() {
    let accounts = check("polls and frames", Frames { any: true, late: 0, sent_before: 0 });
    assert_eq!(sum(&accounts, |a| a.truth), 70);
    assert_eq!(sum(&accounts, |a| a.unseen as usize + a.never_shown + a.ambiguous), 0, "frames leave nothing open");
}

#[test]
fn frames_that_come_late_change_nothing_in_the_account() {
    for late in [3, 40, 200] {
        check(&format!("frames {late} ms late"), Frames { any: true, late, sent_before: 0 });
    }
    check("polls that take 4 ms", Frames { any: true, late: 0, sent_before: 4 });
    check("polls that take 60 ms", Frames { any: true, late: 0, sent_before: 60 });
}

#[test]
fn polls_alone_give_the_account_as_far_as_they_can() {
    let accounts = check("polls alone", Frames { any: false, late: 0, sent_before: 0 });
    // Four asked-for stops between two polls, and two SEGVs, look alike.
    assert_eq!(sum(&accounts, |a| a.ambiguous), 6);
}
