//! The ids that senders gave, remembered so that a repeat is noticed.
//!
//! An id is kept as a 64-bit hash of (stream, id) with where its event stands; whoever finds one looks at the
//! event itself. The newest ids are in memory and in the log; each [`SEGMENT`] of them, or each [`SPAN`] of
//! the log, is written to the database at once, packed, and of a written segment only a Bloom filter stays in
//! memory. What is not written yet is read from the end of the log again at the next open.

use std::collections::HashMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::{Engine, Op, Tree};
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
    /// The written segment that was looked into last: who repeats one id mostly repeats its neighbours.
    last: Option<(u64, HashMap<u64, Vec<Place>>)>,
}

/// FNV-1a, which is the same on every machine and in every version.
fn hash(stream: &StreamId, id: Uuid) -> u64 {
    let bytes = stream.as_str().bytes().chain([0]).chain(id.into_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
                ids.segments.push(Segment::begin(segment.unwrap_or_default(), &value)?);
            } else if let Some(segment) = ids.segments.last_mut() {
                unpack(&value)?.iter().for_each(|(hash, _)| segment.bloom.insert(*hash));
            }
        }
        ids.begin = ids.segments.last().map_or(0, |segment| segment.end);
        for record in read::log_records(engine, ids.begin) {
            let (mut offset, spans) = record?;
            for span in spans {
                let first = offset;
                offset += span.count;
                let end = span.first_seq + span.count;
                read::visit_stream(engine, &span.session, span.first_seq, |seq, packed| {
                    if seq < end && packed.sent_id && packed.offset >= ids.begin {
                        ids.insert(&span.session, packed.id, Place { offset: first + (seq - span.first_seq), seq });
                    }
                    Ok(seq + 1 < end)
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
    pub(super) fn find(&mut self, engine: &dyn Engine, stream: &StreamId, id: Uuid) -> Result<Vec<Place>, Error> {
        let hash = hash(stream, id);
        let mut found = self.current.get(&hash).cloned().unwrap_or_default();
        let maybe = self.segments.iter().rev().filter(|segment| segment.bloom.contains(hash));
        for number in maybe.map(|segment| segment.number).collect::<Vec<_>>() {
            found.extend(self.segment(engine, number)?.get(&hash).into_iter().flatten());
        }
        Ok(found)
    }

    fn segment(&mut self, engine: &dyn Engine, number: u64) -> Result<&HashMap<u64, Vec<Place>>, Error> {
        let cached = self.last.take_if(|(last, _)| *last == number);
        let entries = match cached {
            Some((_, entries)) => entries,
            None => read_segment(engine, number)?,
        };
        Ok(&self.last.insert((number, entries)).1)
    }

    /// Closes the current segment when it is full, and lets go of those that need not be kept.
    pub(super) fn roll(&mut self, engine: &dyn Engine, end: Offset, now: Timestamp) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        if self.count < SEGMENT && end.saturating_sub(self.begin) < SPAN {
            return Ok(ops);
        }
        let number = self.segments.last().map_or(0, |segment| segment.number + 1);
        let header = Header { end, closed: now.as_millis(), count: self.count as u64 };
        ops.push(Op::put(Tree::Ids, record_key(number, 0), pack(&header)?));
        let entries: Entries =
            self.current.drain().flat_map(|(h, places)| places.into_iter().map(move |p| (h, p))).collect();
        let mut segment =
            Segment { number, end, closed: header.closed, count: header.count, bloom: Bloom::new(entries.len()) };
        entries.iter().for_each(|(hash, _)| segment.bloom.insert(*hash));
        // An entry takes at most 8 + 10 + 10 bytes, most take half.
        for (record, entries) in (1u32..).zip(entries.chunks(MAX_RUN / 28)) {
            ops.push(Op::put(Tree::Ids, record_key(number, record), pack(&entries)?));
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

impl Segment {
    fn begin(number: u64, header: &[u8]) -> Result<Self, Error> {
        let Header { end, closed, count } =
            postcard::from_bytes(header).map_err(|e| Error::Corrupt(format!("a segment of ids: {e}")))?;
        Ok(Self { number, end, closed, count, bloom: Bloom::new(count as usize) })
    }
}

fn record_key(number: u64, record: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &record.to_be_bytes()].concat()
}

fn pack(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|e| Error::Corrupt(e.to_string()))
}

fn unpack(value: &[u8]) -> Result<Entries, Error> {
    postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("a record of ids: {e}")))
}

fn read_segment(engine: &dyn Engine, number: u64) -> Result<HashMap<u64, Vec<Place>>, Error> {
    let mut entries: HashMap<u64, Vec<Place>> = HashMap::new();
    let range = (Bound::Included(record_key(number, 1)), Bound::Excluded(key::offset(number + 1)));
    for pair in engine.range(Tree::Ids, range, false) {
        for (hash, place) in unpack(&pair?.1)? {
            entries.entry(hash).or_default().push(place);
        }
    }
    Ok(entries)
}

/// A Bloom filter with ten bits and seven probes an id: 1 in 120 of other ids is looked up in vain.
struct Bloom {
    bits: Vec<u64>,
}

impl Bloom {
    fn new(ids: usize) -> Self {
        Self { bits: vec![0; (ids * 10).div_ceil(64).max(1)] }
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (bits, step) = (self.bits.len() as u64 * 64, hash.rotate_left(32) | 1);
        (0..7u64)
            .map(move |i| hash.wrapping_add(i.wrapping_mul(step)) % bits)
            .map(|bit| ((bit / 64) as usize, 1 << (bit % 64)))
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
