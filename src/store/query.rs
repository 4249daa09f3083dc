//! Queries: events by subject, type, stream and time, newest or oldest first, by pages.

use std::iter::Peekable;
use std::ops::Range;

use uuid::Uuid;

use super::engine::Engine;
use super::index::{self, Posting};
use super::read::{self, Filling};
use super::record::{self, Packed, Span};
use super::{Error, Limit, Store};
use crate::event::{Kind, Logged, Offset, Pattern, StreamId, Timestamp};

/// A query whose patterns choose more subjects than this reads the log.
const MAX_POSTINGS: usize = 1024;
/// One call looks at so many events at most; a page may be short and still have a next one.
const MAX_EXAMINED: u64 = 50_000;
/// The most events in a page.
pub const MAX_PAGE: usize = 1000;

/// Which events, and from where on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Any of these subjects; none means all.
    pub subjects: Vec<Pattern>,
    /// Any of these types; none means all.
    pub kinds: Vec<Kind>,
    /// Of this stream.
    pub session: Option<StreamId>,
    /// That happened at this time or later.
    pub since: Option<Timestamp>,
    /// That happened before this time.
    pub until: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
    /// Behind this offset in the direction of the query: the `next` of the page before.
    pub after: Option<Offset>,
    /// So many a page, 1 to 1000; 0 means 100.
    pub limit: usize,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The events; may be fewer than asked for while `next` is there.
    pub events: Vec<Logged>,
    /// What to give as `after` for the next page; nothing when this is the last.
    pub next: Option<Offset>,
}

impl Query {
    /// Whether an event is one of those that are asked for.
    fn accepts(&self, session: &StreamId, packed: &Packed<'_>) -> bool {
        self.session.as_ref().is_none_or(|wanted| wanted == session)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.as_str() == packed.kind))
            && (self.subjects.is_empty() || self.subjects.iter().any(|subject| subject.matches(packed.subject)))
            && self.since.is_none_or(|since| packed.ts >= since.as_millis())
            && self.until.is_none_or(|until| packed.ts < until.as_millis())
    }

    fn overlaps(&self, least_ts: i64, greatest_ts: i64) -> bool {
        self.since.is_none_or(|since| greatest_ts >= since.as_millis())
            && self.until.is_none_or(|until| least_ts < until.as_millis())
    }

    /// What is left of a range of offsets behind the page before.
    fn rest(&self, range: Range<Offset>) -> Range<Offset> {
        match self.after {
            Some(after) if self.newest_first => range.start..range.end.min(after),
            Some(after) => range.start.max(after.saturating_add(1))..range.end,
            None => range,
        }
    }
}

/// A page while it is being filled.
struct Search<'a> {
    engine: &'a dyn Engine,
    query: &'a Query,
    page: Filling,
    limit: usize,
    examined: u64,
    last: Option<Offset>,
    spans: Option<(Offset, Vec<Span>)>,
}

impl Store {
    /// Finds events.
    pub fn query(&self, query: &Query) -> Result<Page, Error> {
        let all = self.range();
        let engine = self.shared.engine()?;
        let limit = if query.limit == 0 { 100 } else { query.limit.min(MAX_PAGE) };
        // One more than asked for tells whether there is a next page.
        let page = Filling::new(Limit { events: limit + 1, bytes: 16 << 20 });
        let mut search = Search { engine: &*engine, query, page, limit, examined: 0, last: None, spans: None };
        let more = match &query.session {
            Some(session) => search.stream(session, all)?,
            None => search.log(self, all)?,
        };
        let mut events = search.page.events;
        let over = events.len() > limit;
        events.truncate(limit);
        let next = if over { events.last().map(|logged| logged.offset) } else { search.last.filter(|_| more) };
        Ok(Page { events, next })
    }

    /// The event with that id.
    ///
    /// An id that was made here tells when, and so where; one that a sender gave is found by reading the log
    /// from its end, at most a million events back.
    pub fn event(&self, id: Uuid) -> Result<Option<Logged>, Error> {
        let Range { start, end } = self.range();
        if let Some(made) = id.get_timestamp().filter(|_| id.get_version_num() == 7) {
            let (seconds, nanos) = made.to_unix();
            let millis = (seconds * 1000 + u64::from(nanos / 1_000_000)) as i64;
            // The log's `observed` is taken a moment before the id; never more than a batch takes.
            let found = self.near(id, millis - 10_000, millis + 10_000)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let mut before = end;
        while before > start && end - before < 1_000_000 {
            let page = self.log_back(before, Limit::events(1024))?;
            let Some(last) = page.last() else { break };
            before = last.offset;
            if let Some(found) = page.into_iter().find(|logged| logged.event.id == id) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The event with that id among those committed between two times.
    fn near(&self, id: Uuid, from: i64, to: i64) -> Result<Option<Logged>, Error> {
        let Range { mut start, mut end } = self.range();
        while start < end {
            let middle = start + (end - start) / 2;
            match self.log(middle, Limit::events(1))?.first() {
                Some(logged) if logged.event.observed.as_millis() < from => start = logged.offset + 1,
                _ => end = middle,
            }
        }
        loop {
            let page = self.log(start, Limit::events(1024))?;
            let Some(last) = page.last() else { return Ok(None) };
            let beyond = last.event.observed.as_millis() > to;
            start = last.offset + 1;
            let found = page.into_iter().find(|logged| logged.event.id == id);
            if found.is_some() || beyond {
                return Ok(found);
            }
        }
    }
}

impl Search<'_> {
    fn full(&self) -> bool {
        self.page.events.len() > self.limit || self.examined >= MAX_EXAMINED
    }

    /// Looks at an event; `false` when the page is full.
    fn look(&mut self, session: &StreamId, seq: u64, packed: &Packed<'_>) -> Result<bool, Error> {
        self.examined += 1;
        let taken = !self.query.accepts(session, packed) || self.page.take(session, seq, packed)?;
        if taken {
            self.last = Some(packed.offset);
        }
        Ok(taken && !self.full())
    }

    /// Whether there may be more.
    fn stream(&mut self, session: &StreamId, all: Range<Offset>) -> Result<bool, Error> {
        let range = self.query.rest(all);
        let (engine, backward) = (self.engine, self.query.newest_first);
        if !backward {
            let from = match self.query.after {
                Some(after) => self.seq_behind(session, after)?,
                None => 1,
            };
            let mut more = false;
            read::visit_stream(engine, session, from, |seq, packed| {
                if packed.offset < range.start {
                    return Ok(true);
                }
                more = packed.offset < range.end && !self.look(session, seq, packed)?;
                Ok(packed.offset < range.end && !more)
            })?;
            return Ok(more);
        }
        let before = match self.query.after {
            Some(after) => self.seq_behind(session, after)?.saturating_sub(1),
            None => u64::MAX,
        };
        let mut more = false;
        read::visit_back(engine, session, 0..before, |seq, packed| {
            more = packed.offset < range.end && !self.look(session, seq, packed)?;
            Ok(!more)
        })?;
        Ok(more)
    }

    /// The seq behind the event at an offset, which is one of that stream.
    fn seq_behind(&mut self, session: &StreamId, offset: Offset) -> Result<u64, Error> {
        Ok(self.locate(offset)?.filter(|(found, _)| found == session).map_or(1, |(_, seq)| seq + 1))
    }

    fn log(&mut self, store: &Store, all: Range<Offset>) -> Result<bool, Error> {
        let indexed = store.shared.indexed().clamp(all.start, all.end);
        let (old, tail) = (all.start..indexed, indexed..all.end);
        let mut stretches: Vec<(Range<Offset>, bool)> = Vec::new();
        for zone in store.shared.zones_overlapping(|zone| self.query.overlaps(zone.least_ts, zone.greatest_ts)) {
            let zone = zone.start.max(old.start)..zone.end.min(old.end);
            match stretches.last_mut() {
                Some((last, _)) if last.end == zone.start => last.end = zone.end,
                _ => stretches.push((zone, true)),
            }
        }
        stretches.push((tail, false));
        if self.query.newest_first {
            stretches.reverse();
        }
        let postings = self.postings()?;
        for (range, indexed) in stretches {
            let range = self.query.rest(range);
            let more = match &postings {
                _ if range.is_empty() => false,
                Some(postings) if indexed => self.merge(postings, range)?,
                _ => self.scan(range)?,
            };
            if more {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The postings that have every event of the query, or nothing where the log must be read.
    fn postings(&self) -> Result<Option<Vec<Posting>>, Error> {
        let query = self.query;
        if query.subjects.is_empty() {
            let kinds = query.kinds.iter().map(|kind| Posting::kind(kind.as_str())).collect::<Vec<_>>();
            return Ok(Some(kinds).filter(|kinds| !kinds.is_empty()));
        }
        let mut found = Vec::new();
        for pattern in &query.subjects {
            let Some(more) = index::subjects(self.engine, pattern, MAX_POSTINGS)? else { return Ok(None) };
            found.extend(more);
        }
        found.sort();
        found.dedup();
        Ok(Some(found).filter(|found| found.len() <= MAX_POSTINGS))
    }

    /// Looks at the events of several postings, in the order of the log.
    fn merge(&mut self, postings: &[Posting], range: Range<Offset>) -> Result<bool, Error> {
        let (engine, backward) = (self.engine, self.query.newest_first);
        let offsets = postings.iter().map(|posting| posting.offsets(engine, range.clone(), backward).peekable());
        let mut offsets: Vec<Peekable<_>> = offsets.collect();
        loop {
            let mut best: Option<(usize, Offset)> = None;
            for (place, list) in offsets.iter_mut().enumerate() {
                let Some(head) = list.peek() else { continue };
                let head = *head.as_ref().map_err(Clone::clone)?;
                if best.is_none_or(|(_, offset)| if backward { head > offset } else { head < offset }) {
                    best = Some((place, head));
                }
            }
            let Some((place, offset)) = best else { return Ok(false) };
            offsets[place].next();
            let Some((session, seq)) = self.locate(offset)? else { continue };
            let mut room = true;
            read::visit_stream(engine, &session, seq, |found, packed| {
                if found == seq {
                    room = self.look(&session, seq, packed)?;
                }
                Ok(false)
            })?;
            if !room {
                return Ok(true);
            }
        }
    }

    /// Looks at every event of a stretch of the log.
    fn scan(&mut self, range: Range<Offset>) -> Result<bool, Error> {
        let engine = self.engine;
        if self.query.newest_first {
            for record in read::log_records_back(engine, range.end) {
                let (first, spans) = record?;
                let mut end = first + record::count(&spans);
                for span in spans.iter().rev() {
                    let first = end - span.count;
                    if self.scan_span(span, first, &range)? {
                        return Ok(true);
                    }
                    end = first;
                }
                if first <= range.start {
                    break;
                }
            }
            return Ok(false);
        }
        for record in read::log_records(engine, range.start) {
            let (mut first, spans) = record?;
            for span in &spans {
                if self.scan_span(span, first, &range)? {
                    return Ok(true);
                }
                first += span.count;
            }
            if first >= range.end {
                break;
            }
        }
        Ok(false)
    }

    /// Whether the page was full before all of the span was looked at.
    fn scan_span(&mut self, span: &Span, first: Offset, range: &Range<Offset>) -> Result<bool, Error> {
        let end = first + span.count;
        if first >= range.end || end <= range.start || !self.query.overlaps(span.least_ts, span.greatest_ts) {
            return Ok(false);
        }
        let (engine, backward, mut more) = (self.engine, self.query.newest_first, false);
        let visit = |seq: u64, packed: &Packed<'_>| {
            more = range.contains(&packed.offset) && !self.look(&span.session, seq, packed)?;
            Ok(!more)
        };
        if backward {
            read::visit_back(engine, &span.session, span.seqs(), visit)?;
        } else {
            read::visit_span(engine, span, visit)?;
        }
        Ok(more)
    }

    /// Which event stands at an offset.
    fn locate(&mut self, offset: Offset) -> Result<Option<(StreamId, u64)>, Error> {
        let holds =
            |(first, spans): &(Offset, Vec<Span>)| (*first..*first + record::count(spans)).contains(&offset);
        if !self.spans.as_ref().is_some_and(holds) {
            self.spans = read::log_records(self.engine, offset).next().transpose()?;
        }
        let Some((first, spans)) = self.spans.as_ref().filter(|record| holds(record)) else { return Ok(None) };
        let mut at = *first;
        for span in spans {
            if offset < at + span.count {
                return Ok(Some((span.session.clone(), span.first_seq + (offset - at))));
            }
            at += span.count;
        }
        Ok(None)
    }
}
