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

/// The log's records from `from` on, in order, cut to begin there.
///
/// While this reads, records may be packed together in the background; where the next one does not begin
/// where the last one ended, the one that now has the place is looked for.
pub(super) fn log_records(
    engine: &dyn Engine,
    from: Offset,
) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let mut next = from;
    let mut records = log_from(engine, next);
    let mut sought = true;
    std::iter::from_fn(move || {
        loop {
            let (first, spans) = match records.next()?.map_err(Error::from).and_then(log_record) {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            if first > next && !sought {
                sought = true;
                records = log_from(engine, next);
                continue;
            }
            let cut = cut_front(first, spans, next);
            if !cut.1.is_empty() {
                sought = false;
                next = cut.0 + count(&cut.1);
                return Some(Ok(cut));
            }
        }
    })
}

/// The stored records from the one that has `from`.
fn log_from(engine: &dyn Engine, from: Offset) -> super::engine::Pairs<'_> {
    let floor = engine.range(Tree::Log, (Bound::Unbounded, Bound::Included(key::offset(from))), true).next();
    let floor = floor.and_then(Result::ok).map(|(key, _)| key).unwrap_or_default();
    engine.range(Tree::Log, (Bound::Included(floor), Bound::Unbounded), false)
}

fn count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.count).sum()
}

/// Cuts away what stands before an offset.
fn cut_front(mut first: Offset, mut spans: Vec<Span>, from: Offset) -> LogRecord {
    spans.retain_mut(|span| {
        let cut = from.saturating_sub(first).min(span.count);
        first += cut;
        span.first_seq += cut;
        span.count -= cut;
        if span.count > 0 {
            // What follows begins later: nothing of it is to be cut.
            first = first.max(from);
        }
        span.count > 0
    });
    (first, spans)
}

/// The log's records before an offset, from the last to the first, cut to end there.
pub(super) fn log_records_back(
    engine: &dyn Engine,
    before: Offset,
) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let range = (Bound::Unbounded, Bound::Excluded(key::offset(before)));
    let mut before = before;
    engine.range(Tree::Log, range, true).map(move |pair| {
        let (first, mut spans) = log_record(pair?)?;
        let mut at = first;
        for span in &mut spans {
            span.count = span.count.min(before.saturating_sub(at));
            at += span.count;
        }
        spans.retain(|span| span.count > 0);
        before = before.min(first);
        Ok((first, spans))
    })
}

/// Calls `visit` with each event of a stream from a seq on, packed as it is, until it says to stop.
///
/// While this reads, records may be packed together in the background; see [`log_records`].
pub(super) fn visit_stream(
    engine: &dyn Engine,
    id: &StreamId,
    from_seq: u64,
    mut visit: impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut next = from_seq;
    let mut sought = true;
    'seek: loop {
        let range = (Bound::Included(record_of(engine, id, next)?), Bound::Included(key::event(id, u64::MAX)));
        for pair in parts::whole(engine, Tree::Events, range, false) {
            let (key, value) = pair?;
            let first = seq_of(&key)?;
            if first > next && !sought {
                sought = true;
                continue 'seek;
            }
            let Some(end) = visit_record(&value, first, next, &mut visit)? else { return Ok(()) };
            if end > next {
                (sought, next) = (false, end);
            }
        }
        return Ok(());
    }
}

/// The key of the record that has an event, or where it would stand.
fn record_of(engine: &dyn Engine, id: &StreamId, seq: u64) -> Result<Vec<u8>, Error> {
    let key = key::event(id, seq);
    if engine.get(Tree::Events, &key)?.is_some() {
        // The usual case, and cheaper than a search.
        return Ok(key);
    }
    let before = (Bound::Included(key::stream(id)), Bound::Included(key.clone()));
    let floor = parts::whole(engine, Tree::Events, before, true).next().transpose()?;
    Ok(floor.map_or(key, |(key, _)| key))
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
        Ok(self.add(packed.unpack(id, seq)?))
    }

    /// Takes an event; `false` when it had no place.
    fn add(&mut self, logged: Logged) -> bool {
        let bytes = logged.event.data.get().len();
        let room = self.has_room(bytes);
        if room {
            self.bytes += bytes;
            self.events.push(logged);
        }
        room
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
            let (mut first, spans) = record?;
            for span in spans {
                if first >= end || !take_span(&*engine, &span, &mut page)? {
                    return Ok(page.events);
                }
                first += span.count;
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
            for span in record?.1.iter().rev() {
                let mut whole = Filling::new(Limit { events: span.count as usize, bytes: usize::MAX });
                take_span(&*engine, span, &mut whole)?;
                for logged in whole.events.into_iter().rev() {
                    if !page.add(logged) {
                        return Ok(page.events);
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
    let mut before_seq = before_seq;
    for pair in parts::whole(engine, Tree::Events, range, true) {
        let (key, value) = pair?;
        let packed = record::events(&value).collect::<Result<Vec<_>, _>>()?;
        let numbered: Vec<_> = (seq_of(&key)?..before_seq).zip(packed).collect();
        // A record that was packed meanwhile has again what was read before.
        before_seq = before_seq.min(seq_of(&key)?);
        for (seq, packed) in numbered.into_iter().rev() {
            let packed = record::unpack(packed)?;
            if packed.offset < end && !page.take(id, seq, &packed)? {
                return Ok(page.events);
            }
        }
    }
    Ok(page.events)
}

/// Takes a span's events; `false` when the page is full. What was trimmed is passed over.
pub(super) fn take_span(engine: &dyn Engine, span: &Span, page: &mut Filling) -> Result<bool, Error> {
    let mut room = true;
    visit_span(engine, span, |seq, packed| {
        room = page.take(&span.session, seq, packed)?;
        Ok(room)
    })?;
    Ok(room)
}

/// Calls `visit` with each event of a span that is still there, until it says to stop.
pub(super) fn visit_span(
    engine: &dyn Engine,
    span: &Span,
    mut visit: impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let end = span.first_seq + span.count;
    visit_stream(engine, &span.session, span.first_seq, |seq, packed| {
        Ok(seq < end && visit(seq, packed)? && seq + 1 < end)
    })
}
