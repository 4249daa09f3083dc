//! Scaling from 1 to n, or from 9 to 10, gives living processes new names: the run goes on.

use std::collections::BTreeMap;

use super::diff::Poll;
use super::record::Record;
use crate::process_compose::{Class, Process, base_name};

/// The names that are new with the names that their processes had before.
pub(super) fn find(records: &BTreeMap<&str, &Record>, poll: &Poll) -> BTreeMap<String, String> {
    let gone = records.iter().filter(|(name, _)| !poll.processes.contains_key(**name));
    let mut fresh: Vec<&Process> =
        poll.processes.values().filter(|process| !records.contains_key(process.name.as_str())).collect();
    let mut renamed = BTreeMap::new();
    for (name, record) in gone {
        let found = fresh.iter().position(|p| are_siblings(name, &p.name) && is_same(record, p, poll));
        if let Some(at) = found {
            renamed.insert(fresh.swap_remove(at).name.clone(), (*name).to_owned());
        }
    }
    renamed
}

fn is_same(record: &Record, process: &Process, poll: &Poll) -> bool {
    let before = &record.process;
    if process.pid == 0 {
        let same = record.class != Class::Idle && process.class() == Some(record.class);
        return same && process.process_end_time == before.process_end_time;
    }
    if process.pid != before.pid {
        return false;
    }
    let elapsed = poll.sent.since(&record.seen).filter(|_| record.class == Class::Up && process.running());
    let expected = elapsed.map(|elapsed| before.age / 1_000_000 + elapsed as i64);
    expected.is_none_or(|expected| process.age / 1_000_000 + 1500 >= expected)
}

/// `worker`, `worker-0` and `worker-00` are names of one process.
fn are_siblings(a: &str, b: &str) -> bool {
    base_name(a) == base_name(b) || a == base_name(b) || base_name(a) == b
}
