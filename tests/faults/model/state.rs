//! The model: what a store has, as plain lists and maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use watchpost::event::{Class, Data, Draft, Kind, Offset, SenderId, Severity, StreamId, Subject, Timestamp};
use watchpost::store::Tree;

use super::step::{STREAMS, Sent};

/// The time of the earliest event.
const EPOCH: i64 = 1_700_000_000_000;

pub(super) const KINDS: [&str; 3] = ["started", "stopped", "crashed"];

/// A stream by its number: of each class that is kept in another way.
pub(super) fn stream(number: u8) -> StreamId {
    let names = ["proc-main-1700000000000", "hub-builds", "session-1", "source-main", "session-2"];
    StreamId::new(names[usize::from(number) % names.len()]).expect("a plain id")
}

/// The first events of the sessions.
pub(super) fn starts() -> Vec<Draft> {
    let sessions = (0..STREAMS).map(stream).filter(|id| id.class() == Class::Session);
    let start = |id: StreamId| {
        let kind = Kind::new("session_started").expect("a plain type");
        let subject = Subject::session(&id, &kind).expect("a plain subject");
        let data = Data::parse("{}".into()).expect("an object");
        Draft { ts: Some(time(0)), ..Draft::new(id, kind, subject, Severity::Info, data) }
    };
    sessions.map(start).collect()
}

/// The time that a number stands for.
pub(super) fn time(number: u8) -> Timestamp {
    Timestamp::from_millis(EPOCH + i64::from(number) * 1000)
}

/// An event that is in the store.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) draft: Draft,
    pub(super) id: Uuid,
    pub(super) seq: u64,
    pub(super) offset: Offset,
}

/// What a sender sends; `n` makes its content unlike any other.
pub(super) fn draft(sent: &Sent, n: usize) -> Draft {
    let kind = KINDS[usize::from(sent.kind) % KINDS.len()];
    let stream = stream(sent.stream);
    let subject = match stream.class() {
        Class::Session => format!("core.session.{stream}.{kind}"),
        Class::Hub => format!("hub.h{}.builds.{kind}", sent.kind % 2),
        _ => format!("core.process.ns{}.p{}.{kind}", sent.kind % 2, sent.kind % 5),
    };
    let data = format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(sent.size));
    let mut draft = Draft::new(
        stream,
        Kind::new(kind).expect("a plain type"),
        Subject::parse(subject).expect("a plain subject"),
        Severity::Info,
        Data::parse(data).expect("an object"),
    );
    draft.ts = Some(time(sent.kind.rotate_left(3)));
    draft.id = sent.id.map(|(id, _)| sender(sent.stream, id));
    draft
}

/// A sender's id: a UUID for every other number.
fn sender(stream: u8, id: u8) -> SenderId {
    let text = match id % 2 {
        0 => format!("018f3c5e-7b1a-7c3d-9e4f-0000000{stream:02x}{id:03x}"),
        _ => format!("sent-{id}"),
    };
    SenderId::new(text).expect("a plain id")
}

/// What one call of the engine changes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A batch: events in the order of their offsets, and records.
    Batch(Vec<Arc<Entry>>, Vec<(Record, Option<Vec<u8>>)>),
    /// Streams begin later.
    Trim(BTreeMap<StreamId, u64>),
    /// Nothing that is seen.
    Index,
}

/// A record beside the log.
pub(super) type Record = (Tree, String);

/// What is in the store.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Every event that ever was, by its offset.
    pub(super) log: Vec<Arc<Entry>>,
    /// The first seq that is still there, where that is not 1.
    pub(super) first_seq: BTreeMap<StreamId, u64>,
    pub(super) records: BTreeMap<Record, Vec<u8>>,
}

impl State {
    pub(super) fn take(&mut self, change: &Change) {
        match change {
            Change::Batch(events, records) => {
                self.log.extend(events.iter().cloned());
                for (record, value) in records {
                    match value {
                        Some(value) => self.records.insert(record.clone(), value.clone()),
                        None => self.records.remove(record),
                    };
                }
            }
            Change::Trim(first_seq) => self.first_seq.extend(first_seq.clone()),
            Change::Index => {}
        }
    }

    pub(super) fn is_trimmed(&self, entry: &Entry) -> bool {
        self.first_seq.get(&entry.draft.session).is_some_and(|first| entry.seq < *first)
    }

    /// The seq that the next event of a stream gets.
    pub(super) fn next_seq(&self, stream: &StreamId) -> u64 {
        self.log.iter().filter(|entry| entry.draft.session == *stream).count() as u64 + 1
    }

    /// The event that was sent under an id.
    pub(super) fn sent(&self, stream: &StreamId, id: &SenderId) -> Option<&Arc<Entry>> {
        let same = |entry: &&Arc<Entry>| entry.draft.session == *stream && entry.draft.id.as_ref() == Some(id);
        self.log.iter().find(same)
    }

    /// What a reader may see of the log up to an offset.
    pub(super) fn visible(&self, end: Offset) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.log[..end as usize].iter().filter(|entry| !self.is_trimmed(entry))
    }
}
