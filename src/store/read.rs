//! Reading: the log by offset, and a stream by seq, each forward and backward, by pages.

use std::ops::{Bound, Range};
use std::sync::Arc;

use super::engine::{Engine, Fault, Pairs, Tree};
use super::record::{self, Packed, Span};
use super::{Error, Limit, Store, key, parts};
use crate::event::{Logged, Offset, StreamId, Timestamp};
use crate::state::session::Fact;

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
    Ok(trimmed.max(first + record::count(&spans)))
}

/// The first offset that the log still has.
pub(super) fn log_first(engine: &dyn Engine) -> Result<Option<Offset>, Fault> {
    let first = engine.range(Tree::Log, (Bound::Unbounded, Bound::Unbounded), false).next().transpose()?;
    Ok(first.as_ref().and_then(|(key, _)| key::number(key)))
}

/// The log's records from `from` on, in order, cut to begin there.
///
/// While this reads, records may be packed together in the background. One step of a range is atomic, several
/// are not: where the next record does not begin where the last one ended, the record that now has the place
/// is looked for, in one step, and only where there is none is it a gap, left by trimming.
pub(super) fn log_records(
    engine: &dyn Engine,
    from: Offset,
) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let mut records = Records { engine, next: from, ahead: None };
    std::iter::from_fn(move || records.read().transpose())
}

/// The log while it is read: how far, and the stored records that are ahead.
struct Records<'a> {
    engine: &'a dyn Engine,
    next: Offset,
    ahead: Option<Pairs<'a>>,
}

impl Records<'_> {
    fn read(&mut self) -> Result<Option<LogRecord>, Error> {
        loop {
            let found = self.ahead.as_mut().and_then(Iterator::next).transpose()?.map(log_record).transpose()?;
            let in_order = found.as_ref().is_some_and(|(first, _)| *first <= self.next);
            let record = match (if in_order { None } else { self.seek()? }, found) {
                (Some(record), _) => record,
                (None, Some((first, spans))) => cut_front(first, spans, self.next),
                (None, None) if self.ahead.is_some() => return Ok(None),
                (None, None) => {
                    let behind = (Bound::Included(key::offset(self.next)), Bound::Unbounded);
                    self.ahead = Some(self.engine.range(Tree::Log, behind, false));
                    continue;
                }
            };
            if !record.1.is_empty() {
                self.next = record.0 + record::count(&record.1);
                return Ok(Some(record));
            }
        }
    }

    /// The record that has the next offset, in one step; what is behind it is ahead now.
    fn seek(&mut self) -> Result<Option<LogRecord>, Error> {
        let at = (Bound::Unbounded, Bound::Included(key::offset(self.next)));
        let Some(floor) = self.engine.range(Tree::Log, at, true).next().transpose()? else { return Ok(None) };
        let (first, spans) = log_record(floor)?;
        let record = cut_front(first, spans, self.next);
        if record.1.is_empty() {
            return Ok(None);
        }
        let behind = (Bound::Excluded(key::offset(first)), Bound::Unbounded);
        self.ahead = Some(self.engine.range(Tree::Log, behind, false));
        Ok(Some(record))
    }
}

/// The log's records as they are stored, from the one that has `from` on; for who keeps them from changing.
pub(super) fn log_stored(engine: &dyn Engine, from: Offset) -> impl Iterator<Item = Result<LogRecord, Error>> + '_ {
    let floor = engine.range(Tree::Log, (Bound::Unbounded, Bound::Included(key::offset(from))), true).next();
    let floor = floor.and_then(Result::ok).map(|(key, _)| key).unwrap_or_default();
    engine.range(Tree::Log, (Bound::Included(floor), Bound::Unbounded), false).map(|pair| log_record(pair?))
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
    'seek: loop {
        // The record that has the event, in one step; what is behind it is read from there on.
        let before = (Bound::Included(key::stream(id)), Bound::Included(key::event(id, next)));
        let mut after = Bound::Included(key::event(id, next));
        if let Some((key, value)) = parts::whole(engine, Tree::Events, before, true).next().transpose()? {
            let Some(end) = visit_record(&value, seq_of(&key)?, next, &mut visit)? else { return Ok(()) };
            next = end.max(next);
            after = Bound::Excluded(key);
        }
        for pair in parts::whole(engine, Tree::Events, (after, Bound::Included(key::event(id, u64::MAX))), false) {
            let (key, value) = pair?;
            let first = seq_of(&key)?;
            if first > next && has(engine, id, next)? {
                continue 'seek;
            }
            let Some(end) = visit_record(&value, first, next, &mut visit)? else { return Ok(()) };
            next = end.max(next);
        }
        if !has(engine, id, next)? {
            return Ok(());
        }
    }
}

/// Whether there is an event, by one step.
pub(super) fn has(engine: &dyn Engine, id: &StreamId, seq: u64) -> Result<bool, Error> {
    let before = (Bound::Included(key::stream(id)), Bound::Included(key::event(id, seq)));
    let Some((key, value)) = parts::whole(engine, Tree::Events, before, true).next().transpose()? else {
        return Ok(false);
    };
    let count = record::events(&value).count() as u64;
    Ok(seq_of(&key)? + count > seq)
}

/// The seq behind the last event of a stream; 0 where it has none.
pub(super) fn end_of(engine: &dyn Engine, id: &StreamId) -> Result<u64, Error> {
    let all = (Bound::Included(key::stream(id)), Bound::Included(key::event(id, u64::MAX)));
    let last = parts::whole(engine, Tree::Events, all, true).next().transpose()?;
    last.map_or(Ok(0), |(key, value)| Ok(seq_of(&key)? + record::events(&value).count() as u64))
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

    /// Takes an event; `false` when it had no place.
    pub(super) fn take(&mut self, id: &StreamId, seq: u64, packed: &Packed<'_>) -> Result<bool, Error> {
        let bytes = packed.data.len();
        let is_first = self.events.is_empty() && self.limit.events > 0;
        let room = is_first || self.events.len() < self.limit.events && self.bytes + bytes <= self.limit.bytes;
        if room {
            self.bytes += bytes;
            self.events.push(packed.unpack(id, seq)?);
        }
        Ok(room)
    }
}

impl Store {
    /// The engine, and the durable end of the log, before which all is in it.
    pub(super) fn reader(&self) -> Result<(Arc<dyn Engine>, Offset), Error> {
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
                let mut room = true;
                visit_back(&*engine, &span.session, span.seqs(), |seq, packed| {
                    room = page.take(&span.session, seq, packed)?;
                    Ok(room)
                })?;
                if !room {
                    return Ok(page.events);
                }
            }
        }
        Ok(page.events)
    }

    /// Calls `visit` with the stream of each stretch of the log from an offset on, and with the offset behind the
    /// stretch, until it says to stop. What is applied counts, which may not be durable yet.
    pub fn visit_spans(&self, from: Offset, mut visit: impl FnMut(&StreamId, Offset) -> bool) -> Result<(), Error> {
        let engine = self.shared.engine()?;
        for record in log_records(&*engine, from) {
            let (mut behind, spans) = record?;
            for span in spans {
                behind += span.count;
                if !visit(&span.session, behind) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A stream from a seq on, oldest first.
    pub fn stream(&self, id: &StreamId, from_seq: u64, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        let mut page = Filling::new(limit);
        visit_stream(&*engine, id, from_seq, |seq, packed| Ok(packed.offset < end && page.take(id, seq, packed)?))?;
        Ok(page.events)
    }

    /// Calls `visit` with what each event of a stream from a seq on tells a fold, oldest first, until it says to
    /// stop. Nothing is copied: this is the way to read a long stream as a whole.
    ///
    /// # Errors
    /// As with [`Store::stream`].
    pub fn visit(
        &self,
        id: &StreamId,
        from_seq: u64,
        mut visit: impl FnMut(&Fact<'_>) -> bool,
    ) -> Result<(), Error> {
        let (engine, end) = self.reader()?;
        visit_stream(&*engine, id, from_seq, |seq, packed| {
            let ts = Timestamp::from_millis(packed.ts);
            Ok(packed.offset < end && visit(&Fact { seq, ts, kind: packed.kind, data: packed.data }))
        })
    }

    /// A stream before a seq, newest first.
    pub fn stream_back(&self, id: &StreamId, before_seq: u64, limit: Limit) -> Result<Vec<Logged>, Error> {
        let (engine, end) = self.reader()?;
        let mut page = Filling::new(limit);
        visit_back(&*engine, id, 0..before_seq, |seq, packed| {
            Ok(packed.offset >= end || page.take(id, seq, packed)?)
        })?;
        Ok(page.events)
    }
}

/// Calls `visit` with each event of a stream that has such a seq, the last first, until it says to stop. A
/// record at a time is in memory, however many events there are.
pub(super) fn visit_back(
    engine: &dyn Engine,
    id: &StreamId,
    seqs: Range<u64>,
    mut visit: impl FnMut(u64, &Packed<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let range = (Bound::Included(key::stream(id)), Bound::Excluded(key::event(id, seqs.end)));
    let mut before = seqs.end;
    for pair in parts::whole(engine, Tree::Events, range, true) {
        let (key, value) = pair?;
        let first = seq_of(&key)?;
        let packed = record::events(&value).collect::<Result<Vec<_>, _>>()?;
        for (seq, packed) in (first..before).zip(packed).collect::<Vec<_>>().into_iter().rev() {
            if seq < seqs.start || !visit(seq, &record::unpack(packed)?)? {
                return Ok(());
            }
        }
        // A record that was packed meanwhile has again what was read before.
        before = before.min(first);
        if before <= seqs.start {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes a span's events; `false` when the page is full. What was trimmed is passed over.
fn take_span(engine: &dyn Engine, span: &Span, page: &mut Filling) -> Result<bool, Error> {
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
    let end = span.seqs().end;
    visit_stream(engine, &span.session, span.first_seq, |seq, packed| {
        Ok(seq < end && visit(seq, packed)? && seq + 1 < end)
    })
}
