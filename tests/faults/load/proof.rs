//! The proof that a store has all that was acknowledged, once, in order, and nothing torn.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchpost::event::Logged;
use watchpost::store::{Limit, Store, Tree};

use super::{
    Ledger, PROCESSES, PROCESSES_AT_ONCE, SNAPSHOTS, WORKERS, data, draft, process_key, seq, snapshot, stream,
    submission,
};

/// What is wrong, in words.
type Wrong = String;

/// Proves it, or says what is wrong. Gives how many events the store has.
pub(crate) fn prove(store: &Store, ledger: &Ledger) -> Result<u64, Wrong> {
    let report = store.check().map_err(|e| format!("check: {e}"))?;
    if report.violated > 0 {
        return Err(format!("check found {} violations: {:?}", report.violated, report.violations));
    }
    let present = read_log(store, ledger)?;
    for worker in 0..WORKERS {
        whole(worker, ledger.next(worker), present.get(&worker).copied().unwrap_or_default())?;
    }
    snapshots(store, ledger, present.get(&SNAPSHOTS).copied().unwrap_or_default())?;
    Ok(present.values().sum())
}

#[derive(Deserialize)]
struct Content {
    worker: u64,
    n: u64,
}

/// Reads the log from its start: how many events of each worker there are.
fn read_log(store: &Store, ledger: &Ledger) -> Result<BTreeMap<u64, u64>, Wrong> {
    let mut streams: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut present: BTreeMap<u64, u64> = BTreeMap::new();
    let mut next = 0;
    loop {
        let page = store.log(next, Limit::events(2000)).map_err(|e| format!("log from {next}: {e}"))?;
        if page.is_empty() {
            break;
        }
        for logged in page {
            if logged.offset != next {
                return Err(format!("offset {} stands where {next} belongs", logged.offset));
            }
            next += 1;
            let (worker, n) = one(&logged, ledger)?;
            let before = streams.entry((worker, n % super::STREAMS)).or_default();
            if logged.event.seq != *before + 1 {
                return Err(format!("seq {} comes after {before} in {}", logged.event.seq, logged.event.session));
            }
            *before += 1;
            *present.entry(worker).or_default() += 1;
        }
    }
    if next != store.range().end {
        return Err(format!("the log ends at {next}, the store says {}", store.range().end));
    }
    Ok(present)
}

/// Holds one event against what was sent and answered.
fn one(logged: &Logged, ledger: &Ledger) -> Result<(u64, u64), Wrong> {
    let event = &logged.event;
    let wrong = |what: &str| format!("{what}: offset {}, seq {} of {}", logged.offset, event.seq, event.session);
    let Content { worker, n } = event.data.read().map_err(|e| wrong(&e.to_string()))?;
    if event.session != stream(worker, n) || event.seq != seq(n) {
        return Err(wrong(&format!("worker {worker}'s event {n} stands elsewhere")));
    }
    if event.data != data(worker, n) || Some(event.id) != draft(worker, n).id.map(|id| id.event_id(&event.session))
    {
        return Err(wrong(&format!("worker {worker}'s event {n} has other content")));
    }
    match ledger.offsets(worker).get(n as usize) {
        Some(&offset) if offset != logged.offset => Err(wrong(&format!("acknowledged at offset {offset}"))),
        _ => Ok((worker, n)),
    }
}

/// All that was acknowledged is there, and of the one submission on its way all or nothing.
fn whole(worker: u64, acknowledged: u64, present: u64) -> Result<(), Wrong> {
    let on_its_way = submission(worker, acknowledged).drafts.len() as u64;
    if present == acknowledged || present == acknowledged + on_its_way {
        return Ok(());
    }
    Err(format!(
        "worker {worker}: {present} events are there, {acknowledged} were acknowledged, {on_its_way} were on their way"
    ))
}

/// Each process has the snapshot of the last event that wrote it.
fn snapshots(store: &Store, ledger: &Ledger, present: u64) -> Result<(), Wrong> {
    debug_assert!(ledger.next(SNAPSHOTS) <= present, "proved before");
    let turns = PROCESSES / PROCESSES_AT_ONCE;
    let mut found = BTreeMap::new();
    loop {
        let after = found.last_key_value().map(|(key, _): (&String, _)| key.clone());
        let page =
            store.scan(Tree::Snapshots, "load/", after.as_deref(), 1000).map_err(|e| format!("scan: {e}"))?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    for process in 0..PROCESSES {
        let turn = process / PROCESSES_AT_ONCE;
        let last = (turn < present).then(|| turn + (present - 1 - turn) / turns * turns);
        let expected = last.and_then(|n| snapshot(process, n).value);
        let value = found.get(&process_key(process));
        if value != expected.as_ref() {
            let text = |value: &Vec<u8>| String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
            return Err(format!(
                "process {process}: expected {:?}, found {:?}",
                expected.as_ref().map(text),
                value.map(text)
            ));
        }
    }
    Ok(())
}
