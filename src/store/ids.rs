//! The ids that senders gave, remembered so that a repeat is noticed.
//!
//! An id is kept as a 64-bit hash of (stream, id) with where its event stands; whoever finds one looks at the
//! event itself. The newest ids are in memory and in the log; each [`SEGMENT`] of them, or each [`SPAN`] of
//! the log, is written to the database at once, sorted and packed, and of a written segment only a Bloom
//! filter stays in memory. What is not written yet is read from the end of the log again at the next open.
//!
//! ```text
//! segment       → where it ends, when it was closed, how many ids
//! segment hash  → ids in the order of their hashes, from that one on, up to 2 KB
//! ```

use std::collections::HashMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::{Engine, Op, Pair, Tree};
use super::record::MAX_RUN;
use super::{Error, key, read};
use crate::event::{Offset, StreamId, Timestamp};

/// A segment is closed at so many ids.
const SEGMENT: usize = 16_384;
/// A segment is closed when so much of the log has gone by, so that little is read again at an open.
const SPAN: u64 = 65_536;
/// Ids are remembered at least so long…
const KEEP_MILLIS: i64 = 24 * 3600 * 1000;
/// …and while fewer than so many later events were committed…
const KEEP_EVENTS: u64 = 1_000_000;
/// …but never more than so many.
const MOST: u64 = 10_000_000;

/// Where an event with a sender's id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) offset: Offset,
    pub(super) seq: u64,
}

type Entries = Vec<(u64, Place)>;

/// What stays in memory of a written segment.
struct Segment {
    /// Its number, which its keys begin with.
    number: u64,
    end: Offset,
    closed: i64,
    count: u64,
    bloom: Bloom,
}

/// What a segment's first record says of it.
#[derive(Serialize, Deserialize)]
struct Header {
    end: Offset,
    closed: i64,
    count: u64,
}

/// All remembered ids.
#[derive(Default)]
pub(super) struct Ids {
    current: HashMap<u64, Vec<Place>>,
    count: usize,
    /// Where the current segment begins.
    begin: Offset,
    segments: Vec<Segment>,
}

/// FNV-1a, which is the same on every machine and in every version.
fn hash(stream: &StreamId, id: Uuid) -> u64 {
    let bytes = stream.as_str().bytes().chain([0]).chain(id.into_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Its high bits depend little on the last bytes: mixed once more, as in SplitMix64.
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 31)
}

impl Ids {
    /// Reads the filters of what is written, and the end of the log.
    pub(super) fn load(engine: &dyn Engine) -> Result<Self, Error> {
        let mut ids = Self::default();
        let mut number = None;
        for pair in engine.range(Tree::Ids, (Bound::Unbounded, Bound::Unbounded), false) {
            let (key, value) = pair?;
            let segment = key.get(..8).and_then(key::number);
            if segment != number {
                number = segment;
                ids.segments.push(Segment::new(segment.unwrap_or_default(), &Header::unpack(&value)?));
            } else if let Some(segment) = ids.segments.last_mut() {
                unpack(&value)?.iter().for_each(|(hash, _)| segment.bloom.insert(*hash));
            }
        }
        ids.begin = ids.segments.last().map_or(0, |segment| segment.end);
        for record in read::log_records(engine, ids.begin) {
            for span in record?.1 {
                read::visit_span(engine, &span, |seq, packed| {
                    if packed.sent_id {
                        ids.insert(&span.session, packed.id, Place { offset: packed.offset, seq });
                    }
                    Ok(true)
                })?;
            }
        }
        Ok(ids)
    }

    pub(super) fn insert(&mut self, stream: &StreamId, id: Uuid, place: Place) {
        self.current.entry(hash(stream, id)).or_default().push(place);
        self.count += 1;
    }

    /// Where events with that hash stand; mostly none, and hardly ever more than one.
    pub(super) fn find(&self, engine: &dyn Engine, stream: &StreamId, id: Uuid) -> Result<Vec<Place>, Error> {
        let hash = hash(stream, id);
        let mut found = self.current.get(&hash).cloned().unwrap_or_default();
        for segment in self.segments.iter().rev().filter(|segment| segment.bloom.contains(hash)) {
            let from = Bound::Excluded(key::offset(segment.number));
            let range = (from, Bound::Included(record_key(segment.number, hash)));
            if let Some(record) = engine.range(Tree::Ids, range, true).next().transpose()? {
                let entries = unpack(&record.1)?;
                found.extend(entries.into_iter().filter(|(other, _)| *other == hash).map(|(_, place)| place));
            }
        }
        Ok(found)
    }

    /// Closes the current segment when it is full, and lets go of those that need not be kept.
    pub(super) fn roll(&mut self, engine: &dyn Engine, end: Offset, now: Timestamp) -> Result<Vec<Op>, Error> {
        if self.count < SEGMENT && end.saturating_sub(self.begin) < SPAN {
            return Ok(Vec::new());
        }
        self.close(engine, end, now)
    }

    /// What is to be written before the log is trimmed up to an offset: ids that stand only there.
    pub(super) fn before_trim(
        &mut self,
        engine: &dyn Engine,
        trimmed: Offset,
        end: Offset,
        now: Timestamp,
    ) -> Result<Vec<Op>, Error> {
        if self.count == 0 || trimmed <= self.begin {
            return Ok(Vec::new());
        }
        self.close(engine, end, now)
    }

    fn close(&mut self, engine: &dyn Engine, end: Offset, now: Timestamp) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        let number = self.segments.last().map_or(0, |segment| segment.number + 1);
        let header = Header { end, closed: now.as_millis(), count: self.count as u64 };
        ops.push(Op::put(Tree::Ids, key::offset(number), pack(&header)?));
        let entries =
            self.current.drain().flat_map(|(hash, places)| places.into_iter().map(move |place| (hash, place)));
        let mut entries: Entries = entries.collect();
        entries.sort_unstable_by_key(|(hash, _)| *hash);
        let mut segment = Segment::new(number, &header);
        entries.iter().for_each(|(hash, _)| segment.bloom.insert(*hash));
        // An entry takes at most 10 + 10 + 10 bytes. The same hash never stands in two records.
        for run in entries.chunk_by(|a, b| a.0 == b.0).collect::<Vec<_>>().chunks(MAX_RUN / 30) {
            let entries: Entries = run.iter().copied().flatten().copied().collect();
            ops.push(Op::put(Tree::Ids, record_key(number, entries[0].0), pack(&entries)?));
        }
        self.segments.push(segment);
        (self.count, self.begin) = (0, end);
        self.forget(engine, end, now, &mut ops)?;
        Ok(ops)
    }

    fn forget(&mut self, engine: &dyn Engine, end: Offset, now: Timestamp, ops: &mut Vec<Op>) -> Result<(), Error> {
        let mut total = self.total();
        while let Some(oldest) = self.segments.first() {
            let old = oldest.closed + KEEP_MILLIS < now.as_millis() && oldest.end + KEEP_EVENTS < end;
            if !old && total <= MOST {
                break;
            }
            total -= oldest.count;
            let range =
                (Bound::Included(key::offset(oldest.number)), Bound::Excluded(key::offset(oldest.number + 1)));
            for pair in engine.range(Tree::Ids, range, false) {
                ops.push(Op::remove(Tree::Ids, pair?.0));
            }
            self.segments.remove(0);
        }
        Ok(())
    }

    /// How many ids are remembered.
    pub(super) fn total(&self) -> u64 {
        self.count as u64 + self.segments.iter().map(|segment| segment.count).sum::<u64>()
    }
}

/// Calls `take` with the records of all segments that end before an offset, or there.
pub(super) fn records(
    engine: &dyn Engine,
    end: Offset,
    mut take: impl FnMut(Pair) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut is_wanted = false;
    for pair in engine.range(Tree::Ids, (Bound::Unbounded, Bound::Unbounded), false) {
        let (key, value) = pair?;
        if key::number(&key).is_some() {
            is_wanted = Header::unpack(&value)?.end <= end;
        }
        if is_wanted {
            take((key, value))?;
        }
    }
    Ok(())
}

impl Header {
    fn unpack(value: &[u8]) -> Result<Self, Error> {
        postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("a segment of ids: {e}")))
    }
}

impl Segment {
    fn new(number: u64, header: &Header) -> Self {
        let Header { end, closed, count } = *header;
        Self { number, end, closed, count, bloom: Bloom::new(count as usize) }
    }
}

fn record_key(number: u64, hash: u64) -> Vec<u8> {
    [number.to_be_bytes(), hash.to_be_bytes()].concat()
}

fn pack(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|e| Error::Corrupt(e.to_string()))
}

fn unpack(value: &[u8]) -> Result<Entries, Error> {
    postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("a record of ids: {e}")))
}

/// A Bloom filter with twelve bits and eight probes an id: 1 in 300 of other ids is looked up in vain.
struct Bloom {
    bits: Vec<u64>,
}

impl Bloom {
    fn new(ids: usize) -> Self {
        Self { bits: vec![0; (ids * 12).div_ceil(64).max(1)] }
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (bits, low, high) = (self.bits.len() as u64 * 64, hash & 0xffff_ffff, hash >> 32 | 1);
        let bit = move |i: u64| low.wrapping_add(i.wrapping_mul(high)) % bits;
        (0..8).map(bit).map(|bit| ((bit / 64) as usize, 1 << (bit % 64)))
    }

    fn insert(&mut self, hash: u64) {
        for (word, bit) in self.probes(hash) {
            self.bits[word] |= bit;
        }
    }

    fn contains(&self, hash: u64) -> bool {
        self.probes(hash).all(|(word, bit)| self.bits[word] & bit != 0)
    }
}
