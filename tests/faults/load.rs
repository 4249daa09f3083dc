//! The load that a writer puts on a store, the ledger of what it was answered, and the proof that the store
//! kept it.
//!
//! What a worker sends is worked out from its number and a count alone, so that nobody has to remember it:
//! its event `n` goes to its stream `n % STREAMS`, where it must get the seq `n / STREAMS + 1`.

mod ledger;
mod proof;
mod worker;

use std::hash::{DefaultHasher, Hash, Hasher};

use watchpost::event::{Data, Draft, Kind, SenderId, Severity, StreamId, Subject, Timestamp};
use watchpost::store::{Submission, Tree, Write};

pub(crate) use ledger::Ledger;
pub(crate) use proof::prove;
pub(crate) use worker::{Worker, start};

/// How many streams each worker writes to.
const STREAMS: u64 = 5;

/// The workers of a full load. Each has one submission on its way at a time.
pub(crate) const WORKERS: u64 = 5;

/// The worker whose events are large.
const LARGE: u64 = 3;

/// The worker that keeps the snapshot of [`PROCESSES`] processes beside its events.
const SNAPSHOTS: u64 = 4;

/// How many processes it has…
const PROCESSES: u64 = 10_000;

/// …and how many of them each of its submissions writes.
const PROCESSES_AT_ONCE: u64 = 500;

/// The most bytes of events in one submission.
const MAX_BYTES: usize = 400_000;

/// A number that looks random and is the same in every process.
fn mix(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn stream(worker: u64, n: u64) -> StreamId {
    StreamId::new(format!("hub-load-{worker}-{}", n % STREAMS)).expect("a plain id")
}

/// The seq that a worker's event must get.
fn seq(n: u64) -> u64 {
    n / STREAMS + 1
}

fn data(worker: u64, n: u64) -> Data {
    let luck = mix((worker, n));
    let large = luck.is_multiple_of(if worker == LARGE { 3 } else { 60 });
    let pad = if large { 10_000 + luck / 100 % 54_000 } else { luck / 100 % 700 };
    let pad = format!("{luck:016x}").repeat(pad as usize / 16);
    Data::parse(format!(r#"{{"worker":{worker},"n":{n},"pad":"{pad}"}}"#)).expect("an object")
}

/// Event `n` of a worker.
fn draft(worker: u64, n: u64) -> Draft {
    let kind = Kind::new("load_made").expect("a plain type");
    let subject = Subject::parse(format!("hub.load.{worker}.load_made")).expect("a plain subject");
    let mut draft = Draft::new(stream(worker, n), kind, subject, Severity::Info, data(worker, n));
    draft.id = Some(SenderId::new(format!("{worker}-{n}")).expect("a plain id"));
    draft.ts = Some(Timestamp::from_millis(1_700_000_000_000 + n as i64));
    draft
}

/// The submission of a worker that begins with its event `n`; how long it is follows from `n`.
fn submission(worker: u64, n: u64) -> Submission {
    let many = if worker == 0 && mix((worker, n, "many")).is_multiple_of(10) { 400 } else { 8 };
    let events = 1 + mix((worker, n, "events")) % many;
    let mut submission = Submission::default();
    let mut bytes = 0;
    for n in n..n + events {
        let draft = draft(worker, n);
        bytes += draft.size();
        if bytes > MAX_BYTES && !submission.drafts.is_empty()
            || worker == SNAPSHOTS && !submission.drafts.is_empty()
        {
            break;
        }
        submission.drafts.push(draft);
    }
    if worker == SNAPSHOTS {
        submission.writes = processes(n).map(|process| snapshot(process, n)).collect();
    }
    submission
}

/// The processes whose snapshots go along with event `n`.
fn processes(n: u64) -> impl Iterator<Item = u64> {
    let first = n * PROCESSES_AT_ONCE % PROCESSES;
    first..first + PROCESSES_AT_ONCE
}

fn process_key(process: u64) -> String {
    format!("load/{process:05}")
}

/// The snapshot of a process as event `n` left it; the first process has one that is stored in parts.
fn snapshot(process: u64, n: u64) -> Write {
    let length = if process == 0 { 2000 } else { 1 + mix((process, n)) % 40 };
    let value = format!("{n} {}", format!("{process:05}/{n:05} ").repeat(length as usize));
    Write { tree: Tree::Snapshots, key: process_key(process), value: Some(value.into_bytes()) }
}
