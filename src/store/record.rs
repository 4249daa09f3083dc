//! Records: a run of consecutive events of one stream as one value, and the log's own.
//!
//! An event is packed without what its key tells. Packed forms are postcard, a compact and stable binary
//! form; a record's first byte is the version of its layout.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use crate::event::{Data, Event, Kind, Logged, Offset, Origin, Severity, StreamId, Subject, Timestamp, Trace};

/// A record holds several events only up to so many bytes: larger records make sled's page cache grow.
pub(super) const MAX_RUN: usize = 2 * 1024;

/// The layout that this build writes.
const LAYOUT: u8 = 1;

/// One event as it is packed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Packed<'a> {
    /// Its place in the log.
    pub(super) offset: Offset,
    pub(super) id: Uuid,
    pub(super) ts: i64,
    pub(super) observed: i64,
    pub(super) kind: &'a str,
    pub(super) subject: &'a str,
    severity: &'a str,
    origin: [Option<&'a str>; 5],
    correlation_id: Option<Uuid>,
    trace: Option<(&'a str, Option<&'a str>, Option<&'a str>)>,
    hops: u8,
    /// Whether the sender gave the id, so that it must be remembered.
    pub(super) sent_id: bool,
    pub(super) data: &'a str,
}

impl<'a> Packed<'a> {
    pub(super) fn new(event: &'a Event, offset: Offset, sent_id: bool) -> Self {
        let origin = &event.origin;
        let names = [&origin.hub_id, &origin.source, &origin.service, &origin.host, &origin.user];
        let trace = event.trace.as_ref();
        Self {
            offset,
            id: event.id,
            ts: event.ts.as_millis(),
            observed: event.observed.as_millis(),
            kind: event.kind.as_str(),
            subject: event.subject.as_str(),
            severity: event.severity.as_str(),
            origin: names.map(|name| name.as_deref()),
            correlation_id: event.correlation_id,
            trace: trace.map(|t| (t.trace_id.as_str(), t.span_id.as_deref(), t.parent_id.as_deref())),
            hops: event.hops,
            sent_id,
            data: event.data.get(),
        }
    }

    /// The event, with its place in its stream.
    pub(super) fn unpack(&self, session: &StreamId, seq: u64) -> Result<Logged, Error> {
        let [hub_id, source, service, host, user] = self.origin.map(|name| name.map(Into::into));
        let corrupt = |e: crate::event::Invalid| Error::Corrupt(format!("{session}:{seq}: {e}"));
        let event = Event {
            id: self.id,
            ts: Timestamp::from_millis(self.ts),
            observed: Timestamp::from_millis(self.observed),
            session: session.clone(),
            seq,
            kind: Kind::new(self.kind).map_err(corrupt)?,
            subject: Subject::parse(self.subject).map_err(corrupt)?,
            severity: Severity::from(self.severity.to_owned()),
            origin: Origin { hub_id, source, service, host, user },
            correlation_id: self.correlation_id,
            trace: self.trace.map(|(trace_id, span_id, parent_id)| Trace {
                trace_id: trace_id.into(),
                span_id: span_id.map(Into::into),
                parent_id: parent_id.map(Into::into),
            }),
            hops: self.hops,
            data: Data::parse(self.data.to_owned()).map_err(corrupt)?,
        };
        Ok(Logged { offset: self.offset, event: Arc::new(event) })
    }
}

/// The packed form of one event.
pub(super) fn pack(event: &Event, offset: Offset, sent_id: bool) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(&Packed::new(event, offset, sent_id)).map_err(|e| Error::Corrupt(e.to_string()))
}

/// The value of a record of packed events, up to the first that does not fit beside the others.
#[derive(Default)]
pub(super) struct Run {
    value: Vec<u8>,
    pub(super) count: u64,
}

impl Run {
    /// Adds an event; `false` where the record is full and another must be begun.
    pub(super) fn push(&mut self, packed: &[u8]) -> bool {
        if self.count > 0 && self.value.len() + packed.len() + 3 > MAX_RUN {
            return false;
        }
        if self.value.is_empty() {
            self.value.push(LAYOUT);
        }
        self.value.extend_from_slice(&(packed.len() as u32).to_le_bytes()[..3]);
        self.value.extend_from_slice(packed);
        self.count += 1;
        true
    }

    pub(super) fn into_value(self) -> Vec<u8> {
        self.value
    }
}

/// The packed events of a record, in order.
pub(super) fn events(value: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let (layout, mut rest) = value.split_first().map_or((LAYOUT, value), |(layout, rest)| (*layout, rest));
    let mut unknown = (layout != LAYOUT).then(|| Error::Corrupt(format!("a record of layout {layout}")));
    std::iter::from_fn(move || {
        if let Some(error) = unknown.take() {
            rest = &[];
            return Some(Err(error));
        }
        let [a, b, c, tail @ ..] = rest else { return None };
        let len = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        let packed = tail.get(..len);
        rest = tail.get(len..).unwrap_or_default();
        Some(packed.ok_or_else(|| Error::Corrupt("a record that is cut off".into())))
    })
}

/// What a record that begins at `first_seq` keeps of its events from `from` on, as a record of its own.
pub(super) fn tail(value: &[u8], first_seq: u64, from: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut run = Run::default();
    for (_, packed) in (first_seq..).zip(events(value)).filter(|(seq, _)| *seq >= from) {
        run.push(packed?);
    }
    Ok(Some(run).filter(|run| run.count > 0).map(Run::into_value))
}

/// Reads a packed event, without copying what it borrows.
pub(super) fn unpack(packed: &[u8]) -> Result<Packed<'_>, Error> {
    postcard::from_bytes(packed).map_err(|e| Error::Corrupt(format!("a packed event: {e}")))
}

/// Consecutive events of one stream that stand beside each other in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) session: StreamId,
    pub(super) first_seq: u64,
    pub(super) count: u64,
    pub(super) least_ts: i64,
    pub(super) greatest_ts: i64,
}

impl Span {
    /// The seqs of its events.
    pub(super) fn seqs(&self) -> Range<u64> {
        self.first_seq..self.first_seq + self.count
    }
}

/// How many events consecutive spans have.
pub(super) fn count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.count).sum()
}

/// The value of a record of the log.
pub(super) fn pack_spans(spans: &[Span]) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(spans).map_err(|e| Error::Corrupt(e.to_string()))
}

/// Reads a record of the log.
pub(super) fn unpack_spans(value: &[u8]) -> Result<Vec<Span>, Error> {
    postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("a record of the log: {e}")))
}
