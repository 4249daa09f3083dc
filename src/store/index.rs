//! The index: which offsets a subject or a type has, and which times a zone of the log.
//!
//! It follows the log with a cursor of its own, a block at a time; a query reads what the index has not
//! reached from the log itself.
//!
//! ```text
//! s subject 00 offset → offsets of that subject, as differences, up to 512 bytes
//! t type    00 offset → the same by type
//! z offset            → a zone: its end, its least and greatest ts
//! c name              → a number that the store keeps for itself
//! ```
//! A session's id is left out of its subjects (`core.session.*.{type}`): its events are found by its stream.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Op, Tree};
use super::record::Packed;
use super::{Error, key, read};
use crate::event::{Offset, Pattern};

/// The index waits for so many events: a short block holds the writer up for a short time…
pub(super) const LEAST_BLOCK: u64 = 256;
/// …and takes at most so many at once: where much is written the blocks are long, which costs less an event.
pub(super) const MOST_BLOCK: u64 = 4096;
/// A zone grows up to so many events.
pub(super) const ZONE: u64 = 2048;
/// A record of offsets is begun anew at so many bytes: it is read and written again with every block.
const MAX_POSTING: usize = 512;
/// Subjects beyond so many share one entry, whose events a query looks at one by one.
const MAX_SUBJECTS: u64 = 100_000;
/// The key of how far the index has come.
const CURSOR: &[u8] = b"c indexed";
/// How many subjects it has.
const SUBJECTS: &[u8] = b"c subjects";
/// The subject that stands for all beyond the most.
const OVERFLOW: &str = "\x01";

/// A stretch of the log with the times in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zone {
    pub(super) first: Offset,
    pub(super) end: Offset,
    pub(super) least_ts: i64,
    pub(super) greatest_ts: i64,
}

/// What all offsets of one subject or one type stand under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting(Vec<u8>);

impl Posting {
    fn new(class: u8, name: &str) -> Self {
        Self([&[class], name.as_bytes(), &[0]].concat())
    }

    pub(super) fn kind(kind: &str) -> Self {
        Self::new(b't', kind)
    }

    fn subject(packed: &Packed<'_>) -> Self {
        Self::new(b's', &without_session(packed.subject))
    }

    fn range(&self, first: Offset, end: Offset) -> super::engine::Range {
        let at = |offset| [self.0.as_slice(), &key::offset(offset)].concat();
        (Bound::Included(at(first)), Bound::Excluded(at(end)))
    }

    fn last(&self, engine: &dyn Engine) -> Result<Option<super::engine::Pair>, Error> {
        Ok(engine.range(Tree::Index, self.range(0, Offset::MAX), true).next().transpose()?)
    }

    /// Its offsets in a range, in order or from the end.
    pub(super) fn offsets<'a>(
        &self,
        engine: &'a dyn Engine,
        range: Range<Offset>,
        backward: bool,
    ) -> Box<dyn Iterator<Item = Result<Offset, Error>> + 'a> {
        // The record that begins before the range may reach into it.
        let (from, to) = self.range(0, range.end);
        let (_, at) = self.range(0, range.start.saturating_add(1));
        let floor = engine.range(Tree::Index, (from.clone(), at), true).next();
        let from = match floor {
            Some(Ok((key, _))) => Bound::Included(key),
            _ => from,
        };
        let records = engine.range(Tree::Index, (from, to), backward);
        let offsets = records.flat_map(move |pair| {
            let offsets = pair.map_err(Error::from).and_then(|(key, value)| unpack(&key, &value));
            match offsets {
                Ok(mut offsets) => {
                    if backward {
                        offsets.reverse();
                    }
                    offsets.into_iter().map(Ok).collect::<Vec<_>>()
                }
                Err(error) => vec![Err(error)],
            }
        });
        Box::new(offsets.filter(move |offset| offset.as_ref().map_or(true, |offset| range.contains(offset))))
    }
}

/// What every session's subject begins with.
const SESSIONS: &str = "core.session.";

/// A subject with no session in it.
fn without_session(subject: &str) -> Cow<'_, str> {
    match subject.strip_prefix(SESSIONS).and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("{SESSIONS}*.{rest}").into(),
        None => subject.into(),
    }
}

/// A pattern that chooses every session where this one chooses some.
fn of_any_session(pattern: &Pattern) -> Result<Pattern, Error> {
    let mut tokens: Vec<&str> = pattern.as_str().split('.').collect();
    if let Some(session) = tokens.get_mut(2).filter(|token| **token != ">") {
        *session = "*";
    }
    Ok(Pattern::parse(tokens.join("."))?)
}

fn unpack(key: &[u8], value: &[u8]) -> Result<Vec<Offset>, Error> {
    let first = key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    let first = first.ok_or_else(|| Error::Corrupt("a key of the index".into()))?;
    let (mut offsets, mut rest) = (vec![first], value);
    while !rest.is_empty() {
        let (delta, tail) = postcard::take_from_bytes::<u64>(rest)
            .map_err(|e| Error::Corrupt(format!("a record of the index: {e}")))?;
        offsets.push(offsets[offsets.len() - 1] + delta);
        rest = tail;
    }
    Ok(offsets)
}

/// Adds offsets behind what a posting has.
fn append(engine: &dyn Engine, posting: &Posting, offsets: &[Offset], ops: &mut Vec<Op>) -> Result<bool, Error> {
    let last = posting.last(engine)?;
    let fresh = last.is_none();
    let mut record = match last {
        Some((key, value)) => {
            let at = unpack(&key, &value)?.last().copied().unwrap_or_default();
            Some((key, value, at))
        }
        None => None,
    };
    for &offset in offsets {
        match &mut record {
            Some((_, value, at)) if value.len() < MAX_POSTING => {
                let delta = postcard::to_allocvec(&(offset - *at)).map_err(|e| Error::Corrupt(e.to_string()))?;
                value.extend_from_slice(&delta);
                *at = offset;
            }
            _ => {
                if let Some((key, value, _)) = record.take() {
                    ops.push(Op::put(Tree::Index, key, value));
                }
                record = Some(([posting.0.as_slice(), &key::offset(offset)].concat(), Vec::new(), offset));
            }
        }
    }
    ops.extend(record.map(|(key, value, _)| Op::put(Tree::Index, key, value)));
    Ok(fresh)
}

/// What the next block brings to the index: the batch, and how far it comes.
pub(super) fn block(engine: &dyn Engine, first: Offset, end: Offset) -> Result<(Vec<Op>, Zone), Error> {
    let mut zone = Zone { first, end: first, least_ts: i64::MAX, greatest_ts: i64::MIN };
    let mut found: BTreeMap<Posting, Vec<Offset>> = BTreeMap::new();
    'log: for record in read::log_records(engine, first) {
        let (mut at, spans) = record?;
        for span in spans {
            at += span.count;
            if at > end || zone.end - zone.first >= MOST_BLOCK {
                break 'log;
            }
            read::visit_span(engine, &span, |_, packed| {
                zone.least_ts = zone.least_ts.min(packed.ts);
                zone.greatest_ts = zone.greatest_ts.max(packed.ts);
                found.entry(Posting::subject(packed)).or_default().push(packed.offset);
                found.entry(Posting::kind(packed.kind)).or_default().push(packed.offset);
                Ok(true)
            })?;
            zone.end = at;
        }
    }
    let mut ops = Vec::with_capacity(found.len() + 3);
    let stored = engine.get(Tree::Index, SUBJECTS)?.as_deref().and_then(key::number).unwrap_or_default();
    let mut subjects = stored;
    for (posting, offsets) in found {
        let over = posting.0[0] == b's' && subjects >= MAX_SUBJECTS && posting.last(engine)?.is_none();
        let posting = if over { Posting::new(b's', OVERFLOW) } else { posting };
        let fresh = append(engine, &posting, &offsets, &mut ops)?;
        subjects += u64::from(fresh && posting.0[0] == b's');
    }
    if subjects != stored {
        ops.push(Op::put(Tree::Index, SUBJECTS, key::offset(subjects)));
    }
    ops.push(Op::put(Tree::Index, CURSOR, key::offset(zone.end)));
    Ok((ops, zone))
}

fn zone_key(first: Offset) -> Vec<u8> {
    [&b"z"[..], &key::offset(first)].concat()
}

/// What stores a zone.
pub(super) fn put_zone(zone: &Zone) -> Result<Op, Error> {
    let value = postcard::to_allocvec(zone).map_err(|e| Error::Corrupt(e.to_string()))?;
    Ok(Op::put(Tree::Index, zone_key(zone.first), value))
}

/// All zones, in order.
pub(super) fn zones(engine: &dyn Engine) -> Result<Vec<Zone>, Error> {
    let range = (Bound::Included(zone_key(0)), Bound::Included(zone_key(Offset::MAX)));
    engine.range(Tree::Index, range, false).map(|pair| zone(&pair?.1)).collect()
}

/// What takes the records before an offset out of the index, among the `most` from the key `from` on: the index
/// is gone through a piece at a time, again and again, and `from` moves on.
pub(super) fn trim(engine: &dyn Engine, first: Offset, from: &mut Vec<u8>, most: usize) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::new();
    let begin = std::mem::take(from).max(b"s".to_vec());
    for (seen, pair) in engine.range(Tree::Index, (Bound::Included(begin), Bound::Unbounded), false).enumerate() {
        let (key, value) = pair?;
        if seen == most {
            *from = key;
            break;
        }
        if end_of(&key, &value)? <= first {
            ops.push(Op::remove(Tree::Index, key));
        }
    }
    Ok(ops)
}

/// How far it has come.
pub(super) fn reached(engine: &dyn Engine) -> Result<Offset, Error> {
    Ok(engine.get(Tree::Index, CURSOR)?.as_deref().and_then(key::number).unwrap_or_default())
}

/// All records of offsets and zones, each with the offset behind its last one.
pub(super) fn ends(engine: &dyn Engine) -> impl Iterator<Item = Result<Offset, Error>> + '_ {
    let records = engine.range(Tree::Index, (Bound::Included(b"s".to_vec()), Bound::Unbounded), false);
    records.map(|pair| pair.map_err(Error::from).and_then(|(key, value)| end_of(&key, &value)))
}

fn end_of(key: &[u8], value: &[u8]) -> Result<Offset, Error> {
    match key.first() {
        Some(b'z') => Ok(zone(value)?.end),
        _ => Ok(unpack(key, value)?.last().map_or(0, |last| last + 1)),
    }
}

fn zone(value: &[u8]) -> Result<Zone, Error> {
    postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("a zone: {e}")))
}

/// The postings of all subjects that a pattern chooses, or nothing when there are more than `most`.
pub(super) fn subjects(engine: &dyn Engine, pattern: &Pattern, most: usize) -> Result<Option<Vec<Posting>>, Error> {
    let mut found = Vec::new();
    let overflow = Posting::new(b's', OVERFLOW);
    if overflow.last(engine)?.is_some() {
        found.push(overflow);
    }
    if pattern.is_literal() {
        found.push(Posting::new(b's', &without_session(pattern.as_str())));
        return Ok(Some(found));
    }
    let of_any_session = of_any_session(pattern)?;
    let prefix = pattern.as_str().split(['*', '>']).next().unwrap_or_default();
    let prefix = if prefix.starts_with(SESSIONS) { SESSIONS } else { prefix };
    let prefix = [b"s", prefix.as_bytes()].concat();
    let mut from = prefix.clone();
    loop {
        let next =
            engine.range(Tree::Index, (Bound::Included(from), Bound::Unbounded), false).next().transpose()?;
        let Some((key, _)) = next.filter(|(key, _)| key.starts_with(&prefix)) else { return Ok(Some(found)) };
        let name = key.get(1..key.len().saturating_sub(9)).unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let wanted = if name.starts_with(SESSIONS) { &of_any_session } else { pattern };
        if wanted.matches(&name) {
            found.push(Posting::new(b's', &name));
        }
        if found.len() > most {
            return Ok(None);
        }
        from = [b"s", name.as_bytes(), &[1]].concat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Disk;

    #[test]
    fn trimming_looks_at_a_piece_of_the_index_at_a_time_and_comes_to_all_of_it() {
        let engine = Disk::default().open();
        let mut ops = vec![Op::put(Tree::Index, CURSOR, key::offset(40))];
        for (place, name) in ["a", "b", "c", "d"].iter().enumerate() {
            let place = place as Offset * 10;
            append(&engine, &Posting::kind(name), &[place, place + 5], &mut ops).expect("no error");
        }
        engine.apply(&ops).expect("no error");
        let (mut from, mut removed) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let ops = trim(&engine, 30, &mut from, 2).expect("no error");
            removed.push(ops.len());
            engine.apply(&ops).expect("no error");
        }
        assert_eq!(removed, [2, 1, 0]);
        let left = engine.range(Tree::Index, (Bound::Unbounded, Bound::Unbounded), false).count();
        assert_eq!(left, 2, "the cursor, and what is not before 30");
    }
}
