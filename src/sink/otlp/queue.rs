//! What events became, encoded, until it is settled. Pure.
//!
//! Records are gathered in chunks of about one request. Of each chunk the queue knows which parts are still to be
//! sent: all of it at first; what is refused is halved; what the receiver took, or refused record by record, is
//! in no part any more. So nothing that is known is lost at an error, nor when a call is dropped.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::letter;
use crate::event::{Logged, Offset};
use crate::otel::Resource;

/// How large a request may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    /// Of its records, without what stands around them.
    pub(super) bytes: usize,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// Not known yet.
    Open,
    /// The receiver has it.
    Taken,
    /// It will never take it, and why.
    Refused(Arc<str>),
}

/// Records that are sent together, if all goes well.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// What is to be sent, in order.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Item {
    /// The event that it comes from.
    offset: Offset,
    resource: Arc<Resource>,
    /// Where it ends in the chunk's bytes.
    end: usize,
    fate: Fate,
}

#[derive(Debug, Clone)]
struct Part {
    range: Range<usize>,
    /// Whether it is under way.
    away: bool,
}

/// Names what one request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    chunk: u64,
    start: usize,
    end: usize,
}

impl Key {
    pub(super) fn records(self) -> usize {
        self.end - self.start
    }
}

impl Chunk {
    /// Appends a record of the event at `offset`; `write` appends its bytes.
    pub(super) fn push(&mut self, offset: Offset, resource: Arc<Resource>, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.items.push(Item { offset, resource, end: self.bytes.len(), fate: Fate::Open });
    }

    fn start_of(&self, item: usize) -> usize {
        item.checked_sub(1).map_or(0, |before| self.items[before].end)
    }

    fn item(&self, index: usize) -> (&Resource, &[u8]) {
        (&self.items[index].resource, &self.bytes[self.start_of(index)..self.items[index].end])
    }

    /// Its records, each with what is observed.
    pub(super) fn items(&self) -> impl Iterator<Item = (&Resource, &[u8])> {
        (0..self.items.len()).map(|index| self.item(index))
    }

    fn is_over(&self, limits: Limits) -> bool {
        self.items.len() > limits.records || self.bytes.len() > limits.bytes
    }

    /// What was appended behind so many records, as a chunk of its own.
    fn split_off(&mut self, records: usize) -> Self {
        let start = self.start_of(records);
        let mut behind = self.as_large();
        behind.bytes.extend_from_slice(&self.bytes[start..]);
        self.bytes.truncate(start);
        behind.items.extend(self.items.drain(records..));
        behind.items.iter_mut().for_each(|item| item.end -= start);
        behind
    }

    /// An empty one with the room that this one took: the next request is much like the last.
    fn as_large(&self) -> Self {
        let (bytes, items) = (self.bytes.len(), self.items.len());
        Self { bytes: Vec::with_capacity(bytes), items: Vec::with_capacity(items), parts: Vec::new() }
    }

    /// The end of the longest piece from the start of a part that one request may carry: at least one record,
    /// none of an event behind `last`.
    fn cut(&self, part: &Range<usize>, limits: Limits, last: Offset) -> usize {
        let most = part.end.min(part.start.saturating_add(limits.records));
        let bytes = self.start_of(part.start).saturating_add(limits.bytes);
        let fits = |item: &Item| item.end <= bytes && item.offset <= last;
        let fit = self.items[part.start..most].partition_point(fits);
        part.start + fit.max(1)
    }
}

/// The records of the events that are not settled, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    /// The number of the first of them.
    first: u64,
    /// The chunk that is not full yet; it is in no part.
    open: Chunk,
    /// Events below this were folded.
    folded: Offset,
}

impl Queue {
    /// A call begins with the event at `from`: nothing is under way, and nothing below it is wanted any more.
    pub(super) fn begin(&mut self, from: Offset) {
        self.close();
        for chunk in &mut self.chunks {
            let items = &chunk.items;
            for part in &mut chunk.parts {
                part.away = false;
                part.range.start += items[part.range.clone()].partition_point(|item| item.offset < from);
            }
            chunk.parts.retain(|part| !part.range.is_empty());
        }
        self.forget(from.checked_sub(1));
    }

    /// The next piece to be sent, of no event behind the batch. Folds as many events as that takes.
    pub(super) fn next(
        &mut self,
        batch: &[Logged],
        limits: Limits,
        mut fold: impl FnMut(&Logged, &mut Chunk),
    ) -> Option<Key> {
        let last = batch.last()?.offset;
        loop {
            if let Some(key) = self.take(limits, last) {
                return Some(key);
            }
            if !self.fill(batch, limits, &mut fold) {
                return None;
            }
        }
    }

    /// Folds until a chunk is full, or the batch at its end; whether there is a chunk more.
    fn fill(&mut self, batch: &[Logged], limits: Limits, fold: &mut impl FnMut(&Logged, &mut Chunk)) -> bool {
        let from = batch.partition_point(|logged| logged.offset < self.folded);
        for logged in &batch[from..] {
            let before = self.open.items.len();
            fold(logged, &mut self.open);
            self.folded = logged.offset + 1;
            if self.open.is_over(limits) {
                let behind = if before > 0 { self.open.split_off(before) } else { self.open.as_large() };
                self.close();
                self.open = behind;
                return true;
            }
        }
        self.close()
    }

    /// Puts the open chunk behind the others, if there is something in it.
    fn close(&mut self) -> bool {
        let mut chunk = std::mem::take(&mut self.open);
        let records = chunk.items.len();
        if records > 0 {
            chunk.parts.push(Part { range: 0..records, away: false });
            self.chunks.push_back(chunk);
        }
        records > 0
    }

    fn take(&mut self, limits: Limits, last: Offset) -> Option<Key> {
        for (chunk, number) in self.chunks.iter_mut().zip(self.first..) {
            let Some(at) = chunk.parts.iter().position(|part| !part.away) else { continue };
            let range = chunk.parts[at].range.clone();
            if chunk.items[range.start].offset > last {
                return None;
            }
            let end = chunk.cut(&range, limits, last);
            chunk.parts[at] = Part { range: range.start..end, away: true };
            if end < range.end {
                chunk.parts.insert(at + 1, Part { range: end..range.end, away: false });
            }
            return Some(Key { chunk: number, start: range.start, end });
        }
        None
    }

    /// The bytes of a piece's records.
    pub(super) fn size(&self, key: Key) -> usize {
        self.chunk(key).map_or(0, |chunk| chunk.items[key.end - 1].end - chunk.start_of(key.start))
    }

    /// A piece's records, each with what is observed.
    pub(super) fn items(&self, key: Key) -> impl Iterator<Item = (&Resource, &[u8])> {
        self.chunk(key).into_iter().flat_map(move |chunk| (key.start..key.end).map(|index| chunk.item(index)))
    }

    fn chunk(&self, key: Key) -> Option<&Chunk> {
        self.chunks.get(usize::try_from(key.chunk.checked_sub(self.first)?).ok()?)
    }

    /// The chunk of a piece under way, and the place of its part.
    fn part(&mut self, key: Key) -> Option<(&mut Chunk, usize)> {
        let chunk = self.chunks.get_mut(usize::try_from(key.chunk.checked_sub(self.first)?).ok()?)?;
        let at = chunk.parts.iter().position(|part| part.range == (key.start..key.end) && part.away)?;
        Some((chunk, at))
    }

    /// The fate of all records of a piece is known.
    pub(super) fn decide(&mut self, key: Key, fate: &Fate) {
        if let Some((chunk, at)) = self.part(key) {
            chunk.parts.remove(at);
            chunk.items[key.start..key.end].iter_mut().for_each(|item| item.fate = fate.clone());
        }
    }

    /// A piece of two records or more is to be sent as two.
    pub(super) fn halve(&mut self, key: Key) {
        if let Some((chunk, at)) = self.part(key) {
            let middle = key.start + key.records() / 2;
            let halves = [key.start..middle, middle..key.end];
            chunk.parts.splice(at..=at, halves.map(|range| Part { range, away: false }));
        }
    }

    /// A piece is to be sent again.
    pub(super) fn put_back(&mut self, key: Key) {
        if let Some((chunk, at)) = self.part(key) {
            chunk.parts[at].away = false;
        }
    }

    /// The first event of which something is to be sent, or that was not folded.
    fn first_open(&self) -> Offset {
        let in_chunk = |chunk: &Chunk| chunk.parts.first().map(|part| chunk.items[part.range.start].offset);
        let open = self.open.items.first().map(|item| item.offset);
        self.chunks.iter().find_map(in_chunk).or(open).unwrap_or(self.folded).min(self.folded)
    }

    /// So many events from the start of the batch have their fate.
    pub(super) fn settled(&self, batch: &[Logged]) -> usize {
        let open = self.first_open();
        batch.partition_point(|logged| logged.offset < open)
    }

    /// The refused records of settled events, by each event's place among them.
    pub(super) fn refused(&self, settled: &[Logged]) -> Vec<(usize, Vec<letter::Item<'_>>)> {
        let mut events: Vec<(usize, Vec<letter::Item<'_>>)> = Vec::new();
        for chunk in &self.chunks {
            for (index, item) in chunk.items.iter().enumerate() {
                let Fate::Refused(reason) = &item.fate else { continue };
                let Ok(event) = settled.binary_search_by_key(&item.offset, |logged| logged.offset) else {
                    continue;
                };
                let (resource, bytes) = chunk.item(index);
                let refused = (resource, bytes, reason.as_ref());
                match events.last_mut().filter(|(last, _)| *last == event) {
                    Some((_, items)) => items.push(refused),
                    None => events.push((event, vec![refused])),
                }
            }
        }
        events
    }

    /// Events up to this one are settled, and told so.
    pub(super) fn forget(&mut self, through: Option<Offset>) {
        let Some(through) = through else { return };
        let done =
            |chunk: &Chunk| chunk.parts.is_empty() && chunk.items.last().is_none_or(|item| item.offset <= through);
        while self.chunks.front().is_some_and(done) {
            self.chunks.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::testing;

    fn log(events: Range<Offset>) -> Vec<Logged> {
        let event = Arc::new(testing::event("proc-main-1", "started"));
        events.map(|offset| Logged { offset, event: Arc::clone(&event) }).collect()
    }

    const LIMITS: Limits = Limits { records: 4, bytes: 1000 };

    /// The next piece, where each event becomes as many records of ten bytes as `records` says.
    fn next(queue: &mut Queue, batch: &[Logged], records: fn(Offset) -> usize) -> Option<Key> {
        queue.next(batch, LIMITS, |logged, chunk| {
            for _ in 0..records(logged.offset) {
                chunk.push(logged.offset, Arc::default(), |bytes| bytes.extend_from_slice(&[0; 10]));
            }
        })
    }

    #[test]
    fn an_event_is_settled_with_all_its_records_and_one_without_with_its_predecessors() {
        // Event 1 becomes six records, more than a request takes; the others none, but for the last.
        let records = |offset| [0, 6, 0, 0, 1][usize::try_from(offset).expect("small")];
        let (mut queue, batch) = (Queue::default(), log(0..5));
        queue.begin(0);
        let keys: Vec<Key> = std::iter::from_fn(|| next(&mut queue, &batch, records)).collect();
        assert_eq!(keys.iter().map(|key| key.records()).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!(queue.settled(&batch), 1);
        queue.decide(keys[2], &Fate::Taken);
        queue.decide(keys[0], &Fate::Refused("no".into()));
        assert_eq!(queue.settled(&batch), 1);
        queue.decide(keys[1], &Fate::Taken);
        assert_eq!(queue.settled(&batch), 5);
        let refused = queue.refused(&batch);
        assert_eq!((refused.len(), refused[0].0, refused[0].1.len()), (1, 1, 4));
    }

    #[test]
    fn what_was_halved_stays_so_when_the_call_is_dropped_and_nothing_is_folded_again() {
        let (mut queue, batch) = (Queue::default(), log(0..4));
        queue.begin(0);
        let whole = next(&mut queue, &batch, |_| 1).expect("a piece");
        queue.halve(whole);
        let first = next(&mut queue, &batch, |_| 1).expect("a piece");
        assert_eq!(first.records(), 2);
        queue.begin(0);
        let again: Vec<usize> =
            std::iter::from_fn(|| next(&mut queue, &batch, |_| panic!("folded again")).map(Key::records)).collect();
        assert_eq!(again, [2, 2]);
    }

    #[test]
    fn events_that_the_log_no_longer_has_are_not_sent() {
        let (mut queue, batch) = (Queue::default(), log(0..8));
        queue.begin(0);
        while next(&mut queue, &batch, |_| 1).is_some() {}
        queue.begin(6);
        let left = next(&mut queue, &batch[6..], |_| 1).expect("a piece");
        assert_eq!((left.records(), queue.size(left), queue.settled(&batch)), (2, 20, 6));
        queue.decide(left, &Fate::Taken);
        assert_eq!(queue.settled(&batch[6..]), 2);
        queue.forget(Some(7));
        assert!(queue.chunks.is_empty());
    }
}
