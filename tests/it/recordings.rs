//! The eight recordings of a real process-compose, held against what its processes told of their own lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use watchpost::demo::{Event, Recording, Truth};
use watchpost::event::Timestamp;
use watchpost::event::process::{Reason, kind};
use watchpost::process_compose::{Frame, Process, Project, base_name};
use watchpost::source::process_compose::diff::{Outcome, Poll, SETTLE, diff};
use watchpost::source::process_compose::hint::{Heard, Hint};
use watchpost::source::process_compose::record::Snapshot;
use watchpost::source::process_compose::{Change, Mark};

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
        let mut changes: Vec<Change> = groups.into_iter().flat_map(|group| group.changes).collect();
        changes.sort_by_key(|change| change.ts);
        self.changes.extend(changes);
        self.unlisted += unlisted;
        self.last = snapshot;
        self.hint.used_before(sent);
        self.last_sent = Some(sent);
        self.last_good = t_ms;
        true
    }
}

/// What the events say, and what was true.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Runs that the processes themselves told of, until the last poll.
    pub(crate) truth: usize,
    started: usize,
    ended: usize,
    unseen: u64,
    /// Runs that nothing showed: they must be among the unseen, or were over when the source began.
    never_shown: usize,
    inferred: usize,
    ambiguous: usize,
    /// Runs and ends that are missing, doubled, invented or wrongly named; must be empty.
    pub(crate) wrong: Vec<String>,
}

impl Account {
    /// The runs that the events tell of.
    pub(crate) fn runs(&self) -> usize {
        self.started + self.unseen as usize
    }
}

/// One event, as far as the account needs it.
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) data: watchpost::event::process::ProcessData,
}

/// Processes that tell nothing of their own lives, or that a launcher stands for.
const SILENT: [&str; 3] = ["line", "badcmd", "daemon"];

/// Holds events against the truth. `shown` has the pids of the runs that polls and frames showed.
pub(crate) fn account(truth: &[Truth], until: Timestamp, shown: &BTreeSet<i64>, told: &[Told]) -> Account {
    let mut account = Account::default();
    let mut wrong = Vec::new();
    let mut opened: BTreeMap<i64, Vec<uuid::Uuid>> = BTreeMap::new();
    let mut ends: BTreeMap<uuid::Uuid, Vec<&Told>> = BTreeMap::new();
    let mut pidless: Vec<(String, uuid::Uuid)> = Vec::new();
    for event in told.iter().filter(|event| !SILENT.contains(&event.data.process.as_str())) {
        account.inferred += usize::from(event.data.inferred);
        account.ambiguous += usize::from(event.data.ambiguous);
        account.unseen += event.data.unseen.unwrap_or(0);
        let id = event.data.run_id;
        match event.kind.as_str() {
            kind::STARTED => {
                account.started += 1;
                let (pid, id) = (event.data.state.pid, id.expect("a run id"));
                if pid == 0 || opened.contains_key(&pid) {
                    pidless.push((event.data.process.clone(), id));
                } else {
                    opened.entry(pid).or_default().push(id);
                }
            }
            kind::STOPPED | kind::CRASHED => {
                account.ended += 1;
                ends.entry(id.expect("a run id")).or_default().push(event);
            }
            _ => {}
        }
    }
    let is_true = |line: &&Truth| !SILENT.iter().any(|name| line.name.starts_with(&format!("{name}#")));
    let starts = || truth.iter().filter(is_true).filter(|line| line.what == "start");
    // A poll may show it Running before it has its pid: then it is the next of its process.
    for (process, id) in pidless {
        let next = starts().find(|line| !opened.contains_key(&line.pid) && is_of(line, &process));
        match next {
            Some(line) => opened.entry(line.pid).or_default().push(id),
            None => wrong.push(format!("{process} {id}: started, but never was")),
        }
    }
    for start in starts() {
        let ids = opened.remove(&start.pid).unwrap_or_default();
        if ids.is_empty() && start.at > until {
            continue;
        }
        account.truth += 1;
        let end = truth.iter().find(|line| line.pid == start.pid && line.what == "end");
        let case = format!("{} {}", start.name, start.pid);
        match ids.as_slice() {
            [] if shown.contains(&start.pid) => wrong.push(format!("{case}: no start")),
            [] => account.never_shown += 1,
            [id] => {
                let told = ends.remove(id).unwrap_or_default();
                // What ends after the last poll may be told or not.
                let end = end.filter(|end| end.at <= until || !told.is_empty());
                check_end(&case, end, &told, &mut wrong);
            }
            _ => wrong.push(format!("{case}: started {} times", ids.len())),
        }
    }
    wrong.extend(opened.keys().map(|pid| format!("pid {pid}: started, but never was")));
    wrong.extend(ends.keys().map(|id| format!("run {id}: ended, but never was")));
    account.wrong = wrong;
    account
}

fn is_of(line: &Truth, process: &str) -> bool {
    let name = line.name.split('#').next().unwrap_or_default();
    base_name(process) == name || process == "dots.and-dash_x" && name == "dots"
}

fn check_end(case: &str, end: Option<&Truth>, told: &[&Told], wrong: &mut Vec<String>) {
    match (end, told) {
        (Some(end), [event]) => {
            let expected = match (end.how.as_str(), event.data.process.as_str()) {
                // Told to stop by its own probe.
                ("TERM", "a") if event.data.reason == Some(Reason::Unhealthy) => kind::CRASHED,
                // Its exit code 3 counts as success.
                ("TERM" | "0", _) | ("3", "clean3") => kind::STOPPED,
                _ => kind::CRASHED,
            };
            // Without frames nobody can tell; then the event says so.
            if event.kind != expected && !event.data.ambiguous {
                wrong.push(format!("{case}: ended by {}, told as {} {:?}", end.how, event.kind, event.data.reason));
            }
        }
        // The supervisor was killed, and its processes with it, without a word.
        (None, [event]) if event.data.reason == Some(Reason::SupervisorRestarted) => {}
        (None, []) => {}
        (end, told) => wrong.push(format!("{case}: {} ends, told {} times", end.iter().count(), told.len())),
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

pub(crate) fn print(title: &str, accounts: &[(&str, Account)]) {
    let mut table = format!("{title}\nrecording          true  started  unseen  ended  inferred  ambiguous\n");
    for (name, account) in accounts {
        let Account { truth, started, unseen, ended, inferred, ambiguous, .. } = account;
        writeln!(table, "{name:<17} {truth:>5} {started:>8} {unseen:>7} {ended:>6} {inferred:>9} {ambiguous:>10}")
            .expect("a string");
    }
    println!("{table}");
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
