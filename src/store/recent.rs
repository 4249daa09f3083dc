//! The newest events as they were committed: who reads the log at its end has them without reading or unpacking.
//!
//! ```text
//! log  ──────────────┬────────────────┬──────►
//!                    │ kept           │ end
//!      a reader that is behind        readers near the end
//! ```
//!
//! An event is kept while a reader near the end has still to come to it; one that has fallen further behind reads
//! the store until it is near again. So nothing is kept while nobody reads, or when all have read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Error, Limit, Store};
use crate::event::{Logged, Offset};

/// So many events are kept at most.
const MAX_EVENTS: usize = 16_384;
/// And so many bytes of their payloads.
const MAX_BYTES: usize = 8 << 20;

/// What is kept, and for whom.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Their offsets follow each other.
    events: VecDeque<Logged>,
    bytes: usize,
    /// The offset that each reader will read next.
    readers: BTreeMap<u64, Offset>,
    /// The number of the next reader.
    next: u64,
}

impl Recent {
    /// Takes the events of a commit, in the order of the log, where anybody reads them.
    pub(super) fn push(&self, events: impl FnOnce() -> Vec<Logged>) {
        if self.kept().readers.is_empty() {
            return;
        }
        let events = events();
        let mut kept = self.kept();
        for logged in events {
            let follows = kept.events.back().is_none_or(|last| last.offset + 1 == logged.offset);
            if !follows {
                kept.clear();
            }
            kept.bytes += size(&logged);
            kept.events.push_back(logged);
        }
        kept.let_go();
    }

    /// Lets go of everything, as what is stored has changed otherwise than by a commit.
    pub(super) fn clear(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// The offsets of what is kept.
    fn has(&self, offset: Offset) -> bool {
        self.events.front().is_some_and(|first| first.offset <= offset)
            && self.events.back().is_some_and(|last| offset <= last.offset)
    }

    /// Lets go of what no reader near the end will read, and of the oldest where there is too much.
    fn let_go(&mut self) {
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            self.pop();
        }
        let Some(last) = self.events.back().map(|last| last.offset) else { return };
        let near = |next: &&Offset| **next + MAX_EVENTS as u64 > last;
        let needed = self.readers.values().filter(near).min().copied().unwrap_or(Offset::MAX);
        while self.events.front().is_some_and(|first| first.offset < needed) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(logged) = self.events.pop_front() {
            self.bytes -= size(&logged);
        }
    }

    /// The log from an offset on, before `end`, where that needs nothing but what is kept.
    fn read(&self, from: Offset, end: Offset, limit: Limit) -> Option<Vec<Logged>> {
        if from >= end {
            return Some(Vec::new());
        }
        let skipped = self.events.front().filter(|_| self.has(from)).map(|first| from - first.offset)?;
        let mut bytes = 0;
        let fits = |logged: &&Logged| {
            let is_first = bytes == 0;
            bytes += size(logged);
            logged.offset < end && (is_first || bytes <= limit.bytes)
        };
        let behind = self.events.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        Some(behind.take(limit.events).take_while(fits).cloned().collect())
    }
}

fn size(logged: &Logged) -> usize {
    logged.event.data.get().len()
}

/// A reader of the log that goes along with its end.
pub struct LogReader {
    store: Store,
    key: u64,
}

impl Store {
    /// A reader of the log that goes along with its end, for as long as it is held.
    pub fn log_reader(&self) -> LogReader {
        let mut kept = self.shared.recent.kept();
        let key = kept.next;
        kept.next += 1;
        kept.readers.insert(key, 0);
        drop(kept);
        LogReader { store: self.clone(), key }
    }
}

impl LogReader {
    /// The log from an offset on, oldest first: as [`Store::log`].
    ///
    /// # Errors
    /// As with [`Store::log`].
    pub fn log(&self, from: Offset, limit: Limit) -> Result<Vec<Logged>, Error> {
        let kept = self.kept().read(from, self.end(), limit);
        let events = match kept {
            Some(events) => events,
            None => self.store.log(from, limit)?,
        };
        let mut kept = self.kept();
        kept.readers.insert(self.key, events.last().map_or(from, |last| last.offset + 1));
        kept.let_go();
        Ok(events)
    }

    /// The durable end of the log.
    pub fn end(&self) -> Offset {
        self.store.range().end
    }

    /// Whether reading from there costs next to nothing.
    pub fn is_near(&self, offset: Offset) -> bool {
        self.kept().has(offset)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.store.shared.recent.kept()
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let mut kept = self.kept();
        kept.readers.remove(&self.key);
        kept.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Draft, Kind, Severity, StreamId, Subject};
    use crate::store::{Flusher, Submission, Writer};

    fn opened() -> (Store, Writer, Flusher) {
        let store = Store::memory();
        let (writer, flusher) = store.writer().expect("an empty store");
        (store, writer, flusher)
    }

    /// Commits so many events, of two streams in turn, with so many bytes of payload.
    fn commit(writer: &mut Writer, flusher: &Flusher, events: usize, bytes: usize) {
        let draft = |n: usize| {
            let kind = Kind::new("started").expect("a type");
            let stream = StreamId::new(format!("proc-main-{}", n % 2)).expect("an id");
            let subject = Subject::process("core.process", "default", "web", &kind).expect("a subject");
            let data = Data::parse(format!("{{\"text\":\"{}\"}}", "x".repeat(bytes))).expect("an object");
            Draft::new(stream, kind, subject, Severity::Info, data)
        };
        let drafts = (0..events).map(draft).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room");
        flusher.flush(writer.next_offset()).expect("durable");
    }

    fn kept(store: &Store) -> Vec<Offset> {
        store.shared.recent.kept().events.iter().map(|logged| logged.offset).collect()
    }

    #[test]
    fn readers_at_the_end_have_the_same_events_in_common_and_nothing_is_kept_behind_them() {
        let (store, mut writer, flusher) = opened();
        let readers = [store.log_reader(), store.log_reader()];
        commit(&mut writer, &flusher, 5, 10);
        assert_eq!(kept(&store), [0, 1, 2, 3, 4]);
        let [first, second] = readers.each_ref().map(|reader| {
            assert!(reader.is_near(0));
            reader.log(0, Limit::events(3)).expect("readable")
        });
        assert_eq!(first, store.log(0, Limit::events(3)).expect("readable"));
        assert!(first.iter().zip(&second).all(|(one, other)| std::sync::Arc::ptr_eq(&one.event, &other.event)));
        assert_eq!(kept(&store), [3, 4], "what the slower one has still to read");
        drop(readers);
        assert_eq!(kept(&store), [0; 0]);
        commit(&mut writer, &flusher, 5, 10);
        assert_eq!(kept(&store), [0; 0], "nobody reads");
    }

    #[test]
    fn what_is_not_durable_yet_is_not_read_and_what_was_lost_is_not_kept() {
        let (store, mut writer, flusher) = opened();
        let reader = store.log_reader();
        commit(&mut writer, &flusher, 1, 10);
        writer.apply(&[Submission::default()]).expect("room");
        let draft = reader.log(0, Limit::events(9)).expect("readable").remove(0).event;
        let again = Draft::new(
            draft.session.clone(),
            draft.kind.clone(),
            draft.subject.clone(),
            draft.severity.clone(),
            draft.data.clone(),
        );
        writer.apply(&[Submission::events(vec![again])]).expect("room");
        assert_eq!(kept(&store), [1]);
        assert_eq!(reader.log(1, Limit::events(9)).expect("readable"), []);
        writer.recover("a test").expect("it opens again");
        assert_eq!(kept(&store), [0; 0]);
    }

    #[test]
    fn a_reader_that_stays_behind_does_not_make_it_grow_and_reads_the_store() {
        let (store, mut writer, flusher) = opened();
        let (behind, ahead) = (store.log_reader(), store.log_reader());
        let mut at = 0;
        for _ in 0..40 {
            commit(&mut writer, &flusher, 512, 10);
            at = ahead.log(at, Limit::events(512)).expect("readable").last().expect("events").offset + 1;
        }
        assert!(kept(&store).is_empty(), "the one that reads has read all, the other is far behind");
        let page = behind.log(0, Limit::events(9)).expect("readable");
        assert_eq!(page, store.log(0, Limit::events(9)).expect("readable"));
        let stays = store.log_reader();
        stays.log(at, Limit::events(9)).expect("readable");
        commit(&mut writer, &flusher, 400, 40_000);
        assert!(kept(&store).len() * 40_000 <= MAX_BYTES, "{} events", kept(&store).len());
        assert_eq!(stays.log(at, Limit::events(2)).expect("readable").len(), 2);
    }
}
