//! An event as a log record.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Attribute, Context, Resource, SpanId, TraceId};
use crate::event::{Logged, Timestamp};

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
    /// What happened, in one line for a person.
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
        severity_number: 9,
        severity_text: event.severity.as_str().into(),
        event_name: event.kind.as_str().into(),
        body: String::new(),
        attributes: vec![
            ("watchpost.event.id".into(), crate::otel::Value::Text(event.id.to_string().into())),
            ("watchpost.event.type".into(), crate::otel::Value::Text(event.kind.as_str().into())),
            ("watchpost.event.seq".into(), crate::otel::Value::Int(event.seq as i64)),
        ],
        trace_id: context.trace_id,
        span_id: context.span_id,
        resource: Arc::clone(&context.resource),
    }
}
