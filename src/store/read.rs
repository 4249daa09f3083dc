//! Reading: the log by offset, and a stream by seq, each forward and backward, by pages.

use std::ops::Bound;
use std::sync::Arc;

use super::engine::{Engine, Fault, Tree};
use super::record::{self, Packed, Span};
use super::{Error, Limit, Store, key, parts};
use crate::event::{Logged, Offset, StreamId};

/// A record of the log: the spans that begin at its offset.
type LogRecord = (Offset, Vec<Span>);

fn log_record((key, value): (Vec<u8>, Vec<u8>)) -> Result<LogRecord, Error> {
    let offset = key::number(&key).ok_or_else(|| Error::Corrupt(format!("a key of the log: {key:?}")))?;
    Ok((offset, record::unpack_spans(&value)?))
}

/// The end of what has been applied to the log; an offset is never given twice, also when the last events have
/// been trimmed.
pub(super) fn log_end(engine: &dyn Engine) -> Result<Offset, Error> {
    let trimmed = engine.get(Tree::Index, super::prune::LOG_END)?.as_deref().and_then(key::number).unwrap_or(0);
    let last = engine.range(Tree::Log, (Bound::Unbounded, Bound::Unbounded), true).next().transpose()?;
    let Some((first, spans)) = last.map(log_record).transpose()? else { return Ok(trimmed) };
    Ok(trimmed.max(first + spans.iter().map(|span| span.count).sum::<u64>()))
}

/// The first offset that the log still has.
pub(super) fn log_first(engine: &dyn Engine) -> Result<Option<Offset>, Fault> {
    let first = engine.range(Tree::Log, (Bound::Unbounded, Bound::Unbounded), false).next().transpose()?;
    Ok(first.as_ref().and_then(|(key, _)| key::number(key)))
}

/// The log's records from the one that has `from`, in order.
pub(super) fn log_records(
    engine: &dyn Engine,
    from: Offset,
) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let range = (Bound::Unbounded, Bound::Included(key::offset(from)));
    let floor = engine.range(Tree::Log, range, true).next();
    let floor = match floor {
        Some(Ok((key, _))) => key,
        _ => Vec::new(),
    };
    let records = engine.range(Tree::Log, (Bound::Included(floor), Bound::Unbounded), false);
    records.map(|pair| log_record(pair?))
}

/// The log's records that begin before an offset, from the last to the first.
pub(super) fn log_records_back(
    engine: &dyn Engine,
    before: Offset,
) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let range = (Bound::Unbounded, Bound::Excluded(key::offset(before)));
    engine.range(Tree::Log, range, true).map(|pair| log_record(pair?))
}

/// Calls `visit` with each event of a stream from a seq on, packed as it is, until it says to stop.
///
/// A record that has been packed anew begins before the seq that is asked for, so the record at or before it
/// is read first.
pub(super) fn visit_stream(
    engine: &dyn Engine,
    id: &StreamId,
    from_seq: u64,
    mut visit: impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let from = key::event(id, from_seq);
    if let Some(stored) = engine.get(Tree::Events, &from)? {
        // The usual case, and half the cost of a search.
        let value = parts::join(engine, Tree::Events, &from, stored)?;
        let Some(next) = visit_record(&value, from_seq, from_seq, &mut visit)? else { return Ok(()) };
        return visit_records(engine, id, key::event(id, next), from_seq, visit);
    }
    let before = (Bound::Included(key::stream(id)), Bound::Included(from.clone()));
    let floor = parts::whole(engine, Tree::Events, before, true).next().transpose()?;
    let start = floor.map_or(from, |(key, _)| key);
    visit_records(engine, id, start, from_seq, visit)
}

fn visit_records(
    engine: &dyn Engine,
    id: &StreamId,
    start: Vec<u8>,
    from_seq: u64,
    mut visit: impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let range = (Bound::Included(start), Bound::Included(key::event(id, u64::MAX)));
    for pair in parts::whole(engine, Tree::Events, range, false) {
        let (key, value) = pair?;
        if visit_record(&value, seq_of(&key)?, from_seq, &mut visit)?.is_none() {
            break;
        }
    }
    Ok(())
}

/// The seq behind the record's last event, or nothing when `visit` said to stop.
fn visit_record(
    value: &[u8],
    first_seq: u64,
    from_seq: u64,
    visit: &mut impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<Option<u64>, Error> {
    let mut seq = first_seq;
    for packed in record::events(value) {
        let packed = packed?;
        if seq >= from_seq && !visit(seq, &record::unpack(packed)?)? {
            return Ok(None);
        }
        seq += 1;
    }
    Ok(Some(seq))
}

pub(super) fn seq_of(key: &[u8]) -> Result<u64, Error> {
    key::seq(key).ok_or_else(|| Error::Corrupt(format!("a key of the events: {key:?}")))
}

/// A page that is being filled.
pub(super) struct Filling {
    pub(super) events: Vec<Logged>,
    limit: Limit,
    bytes: usize,
}

impl Filling {
    pub(super) fn new(limit: Limit) -> Self {
        Self { events: Vec::new(), limit, bytes: 0 }
    }

    /// Whether an event of so many bytes has a place.
    fn has_room(&self, bytes: usize) -> bool {
        self.events.is_empty() && self.limit.events > 0
            || self.events.len() < self.limit.events && self.bytes + bytes <= self.limit.bytes
    }

    /// Takes an event; `false` when it had no place.
    pub(super) fn take(&mut self, id: &StreamId, seq: u64, packed: &Packed<'_>) -> Result<bool, Error> {
        if !self.has_room(packed.data.len()) {
            return Ok(false);
        }
        self.bytes += packed.data.len();
        self.events.push(packed.unpack(id, seq)?);
        Ok(true)
    }
}

impl Store {
    fn reader(&self) -> Result<(Arc<dyn Engine>, Offset), Error> {
        // The end first: what is durable now is in whatever engine is there a moment later.
        let end = self.shared.end();
        Ok((self.shared.engine()?, end))
    }

    /// The log from an offset on, oldest first.
    pub fn log(&self, from: Offset, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        let mut page = Filling::new(limit);
        for record in log_records(&*engine, from) {
            let (mut offset, spans) = record?;
            for span in spans {
                let first = offset;
                offset += span.count;
                if first >= end {
                    return Ok(page.events);
                }
                if offset > from && !take_span(&*engine, &span, first.max(from) - first, &mut page)? {
                    return Ok(page.events);
                }
            }
        }
        Ok(page.events)
    }

    /// The log before an offset, newest first.
    pub fn log_back(&self, before: Offset, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        let before = before.min(end);
        let mut page = Filling::new(limit);
        for record in log_records_back(&*engine, before) {
            let (first, spans) = record?;
            let mut ends = first + spans.iter().map(|span| span.count).sum::<u64>();
            for span in spans.iter().rev() {
                let first = ends - span.count;
                ends = first;
                if first < before {
                    let mut whole = Filling::new(Limit::events((before - first).min(span.count) as usize));
                    take_span(&*engine, span, 0, &mut whole)?;
                    for logged in whole.events.into_iter().rev() {
                        if !page.has_room(logged.event.data.get().len()) {
                            return Ok(page.events);
                        }
                        page.bytes += logged.event.data.get().len();
                        page.events.push(logged);
                    }
                }
            }
        }
        Ok(page.events)
    }

    /// A stream from a seq on, oldest first.
    pub fn stream(&self, id: &StreamId, from_seq: u64, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        let mut page = Filling::new(limit);
        visit_stream(&*engine, id, from_seq, |seq, packed| Ok(packed.offset < end && page.take(id, seq, packed)?))?;
        Ok(page.events)
    }

    /// A stream before a seq, newest first.
    pub fn stream_back(&self, id: &StreamId, before_seq: u64, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        back(&*engine, id, before_seq, end, limit)
    }
}

/// A stream's events before a seq and before the offset `end`, newest first.
pub(super) fn back(
    engine: &dyn Engine,
    id: &StreamId,
    before_seq: u64,
    end: Offset,
    limit: Limit,
) -> Result<Vec<Logged>, Error> {
    let mut page = Filling::new(limit);
    let range = (Bound::Included(key::stream(id)), Bound::Excluded(key::event(id, before_seq)));
    for pair in parts::whole(engine, Tree::Events, range, true) {
        let (key, value) = pair?;
        let packed = record::events(&value).collect::<Result<Vec<_>, _>>()?;
        let numbered: Vec<_> = (seq_of(&key)?..before_seq).zip(packed).collect();
        for (seq, packed) in numbered.into_iter().rev() {
            let packed = record::unpack(packed)?;
            if packed.offset < end && !page.take(id, seq, &packed)? {
                return Ok(page.events);
            }
        }
    }
    Ok(page.events)
}

/// Takes a span's events from `skip` on; `false` when the page is full. What was trimmed is passed over.
pub(super) fn take_span(engine: &dyn Engine, span: &Span, skip: u64, page: &mut Filling) -> Result<bool, Error> {
    let (from, end) = (span.first_seq + skip, span.first_seq + span.count);
    let mut room = true;
    visit_stream(engine, &span.session, from, |seq, packed| {
        if seq >= end {
            return Ok(false);
        }
        room = page.take(&span.session, seq, packed)?;
        Ok(room && seq + 1 < end)
    })?;
    Ok(room)
}
