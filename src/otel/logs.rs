//! An event as a log record.

mod attributes;
mod fields;
#[cfg(test)]
mod tests;

pub(super) use attributes::{ALWAYS, WHERE_KNOWN, payload_names};

use std::borrow::Cow;
use std::sync::Arc;

use super::{Attribute, Context, Resource, SpanId, TraceId, body};
use crate::event::{Class, Event, Logged, Severity, Timestamp};

/// The most characters of a body; what is longer is cut off there, as the attributes have it whole.
const MAX_BODY_CHARS: usize = 1024;

/// A log record: what an event is in OpenTelemetry's data model for logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// When it happened.
    pub time: Timestamp,
    /// When it was committed.
    pub observed: Timestamp,
    /// How loud it is, 1 to 24.
    pub severity_number: u8,
    /// The event's own word for that.
    pub severity_text: Cow<'a, str>,
    /// What happened, with few different values: `process.started`, `session.level_started`.
    pub event_name: Cow<'a, str>,
    /// What happened, in one line for a person, at most 1,024 characters.
    pub body: String,
    /// The rest, each name once.
    pub attributes: Vec<Attribute<'a>>,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span that it belongs to.
    pub span_id: Option<SpanId>,
    /// What is observed.
    pub resource: Arc<Resource>,
}

/// The record of an event, whatever its payload; nothing of the payload is missing in it.
pub fn record<'a>(logged: &'a Logged, context: &Context) -> Record<'a> {
    let event = &logged.event;
    Record {
        time: event.ts,
        observed: event.observed,
        severity_number: severity(&event.severity),
        severity_text: event.severity.as_str().into(),
        event_name: event_name(event).into(),
        body: one_line(&body::text(event)),
        attributes: attributes::of(event),
        trace_id: context.trace_id,
        span_id: context.span_id,
        resource: Arc::clone(&context.resource),
    }
}

/// The severity number of OpenTelemetry; a sender's own word ranks with `info`.
pub fn severity(severity: &Severity) -> u8 {
    match severity {
        Severity::Debug => 5,
        Severity::Info | Severity::Other(_) => 9,
        Severity::Warning => 13,
        Severity::Error => 17,
    }
}

fn event_name(event: &Event) -> String {
    let kind = event.kind.as_str();
    match event.session.class() {
        Class::Process => ["process.", kind].concat(),
        Class::Source => ["source.", kind].concat(),
        Class::Session => ["session.", kind].concat(),
        Class::Observer => ["observer.", kind].concat(),
        Class::Hub => {
            hub(event).unwrap_or_else(|| format!("{}.{kind}", event.session.as_str().replacen('-', ".", 1)))
        }
    }
}

/// `hub.<domain>.<action>` of `hub.<id>.<domain>[.<action>…]`, whose id would be a name of its own for every hub.
fn hub(event: &Event) -> Option<String> {
    let (_, rest) = event.subject.as_str().strip_prefix("hub.")?.split_once('.')?;
    let action = if rest.contains('.') { "" } else { ".event" };
    Some(format!("hub.{rest}{action}"))
}

fn one_line(text: &str) -> String {
    // There are no more characters than bytes.
    let end = if text.len() < MAX_BODY_CHARS { None } else { text.char_indices().nth(MAX_BODY_CHARS - 1) };
    let Some((end, _)) = end else { return body::printable(text) };
    let whole = body::printable(&text[..end]);
    let mut head: String = whole.chars().take(MAX_BODY_CHARS - 1).collect();
    head.push('…');
    head
}
