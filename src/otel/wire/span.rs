//! Spans.

use super::SAMPLED;
use super::proto::{BYTES, EIGHT, VARINT, bytes, eight, key, message, number, text};
use super::value::attribute;
use crate::otel::span::{Link, Span, SpanEvent, SpanKind, Status};
use crate::otel::time::nanos;

/// Of `ScopeSpans`.
const SPANS: u8 = key(2, BYTES);

/// Fields of `Span`.
const TRACE_ID: u8 = key(1, BYTES);
const SPAN_ID: u8 = key(2, BYTES);
const PARENT: u8 = key(4, BYTES);
const NAME: u8 = key(5, BYTES);
const KIND: u8 = key(6, VARINT);
const START: u8 = key(7, EIGHT);
const END: u8 = key(8, EIGHT);
const ATTRIBUTES: u8 = key(9, BYTES);
const EVENTS: u8 = key(11, BYTES);
const LINKS: u8 = key(13, BYTES);
const STATUS: u8 = key(15, BYTES);
/// Number 16, four bytes: a key of two.
const FLAGS: [u8; 2] = [0x85, 0x01];

/// Fields of `Span.Event`.
const EVENT_TIME: u8 = key(1, EIGHT);
const EVENT_NAME: u8 = key(2, BYTES);
const EVENT_ATTRIBUTES: u8 = key(3, BYTES);

/// Fields of `Span.Link`.
const LINK_TRACE_ID: u8 = key(1, BYTES);
const LINK_SPAN_ID: u8 = key(2, BYTES);
const LINK_ATTRIBUTES: u8 = key(4, BYTES);

/// Fields of `Status`.
const MESSAGE: u8 = key(2, BYTES);
const CODE: u8 = key(3, VARINT);

/// Appends a span, as an element of `ScopeSpans.spans`.
pub fn span(span: &Span, out: &mut Vec<u8>) {
    message(SPANS, out, |out| {
        bytes(TRACE_ID, &span.trace_id.0, out);
        bytes(SPAN_ID, &span.span_id.0, out);
        if let Some(parent) = span.parent {
            bytes(PARENT, &parent.0, out);
        }
        text(NAME, &span.name, out);
        number(KIND, kind(span.kind), out);
        eight(START, nanos(span.start), out);
        eight(END, nanos(span.end), out);
        span.attributes.iter().for_each(|(name, value)| attribute(ATTRIBUTES, name, value, out));
        span.events.iter().for_each(|happened| event(happened, out));
        span.links.iter().for_each(|other| link(other, out));
        status(&span.status, out);
        out.extend_from_slice(&FLAGS);
        out.extend_from_slice(&SAMPLED.to_le_bytes());
    });
}

fn kind(kind: SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Client => 3,
    }
}

fn event(event: &SpanEvent, out: &mut Vec<u8>) {
    message(EVENTS, out, |out| {
        eight(EVENT_TIME, nanos(event.time), out);
        text(EVENT_NAME, &event.name, out);
        event.attributes.iter().for_each(|(name, value)| attribute(EVENT_ATTRIBUTES, name, value, out));
    });
}

fn link(link: &Link, out: &mut Vec<u8>) {
    message(LINKS, out, |out| {
        bytes(LINK_TRACE_ID, &link.trace_id.0, out);
        bytes(LINK_SPAN_ID, &link.span_id.0, out);
        link.attributes.iter().for_each(|(name, value)| attribute(LINK_ATTRIBUTES, name, value, out));
    });
}

fn status(status: &Status, out: &mut Vec<u8>) {
    let (code, why) = match status {
        Status::Unset => return,
        Status::Ok => (1, ""),
        Status::Error(why) => (2, why.as_str()),
    };
    message(STATUS, out, |out| {
        text(MESSAGE, why, out);
        number(CODE, code, out);
    });
}
