//! The account: what the events say of runs, held against what the processes told of their own lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use watchpost::demo::Truth;
use watchpost::event::process::{Reason, kind};
use watchpost::event::{Event, Timestamp};
use watchpost::process_compose::base_name;

/// What the events say, and what was true.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Runs that the processes themselves told of, until the last poll.
    pub(crate) truth: usize,
    pub(crate) started: usize,
    ended: usize,
    pub(crate) unseen: u64,
    /// Runs that nothing showed: they must be among the unseen, or were over when the source began.
    pub(crate) never_shown: usize,
    inferred: usize,
    pub(crate) ambiguous: usize,
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

/// The process events among these.
pub(crate) fn told(events: &[Event]) -> Vec<Told> {
    let one = |event: &Event| Some(Told { kind: event.kind.to_string(), data: event.data.read().ok()? });
    events.iter().filter_map(one).collect()
}

/// One line an account.
pub(crate) fn print(title: &str, accounts: &[(&str, Account)]) {
    let mut table = format!("{title}\nrecording          true  started  unseen  ended  inferred  ambiguous\n");
    for (name, account) in accounts {
        let Account { truth, started, unseen, ended, inferred, ambiguous, .. } = account;
        writeln!(table, "{name:<17} {truth:>5} {started:>8} {unseen:>7} {ended:>6} {inferred:>9} {ambiguous:>10}")
            .expect("a string");
    }
    println!("{table}");
}
