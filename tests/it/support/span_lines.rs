//! Spans in one line each, so that those of the fold can be held against those that have arrived: ids, parent, name,
//! status, service, kind, times, and how many links and events there are.

use serde_json::Value;
use watchpost::otel::Span;
use watchpost::otel::span::{SpanKind, Status};

/// A span of the fold in one line.
pub(crate) fn written(span: &Span) -> String {
    let parent = span.parent.map(|parent| parent.to_string()).unwrap_or_default();
    let (code, message) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error(message) => (2, message.as_str()),
    };
    let kind = if span.kind == SpanKind::Client { 3 } else { 1 };
    let nanos = |millis: i64| millis as u64 * 1_000_000;
    let times = (nanos(span.start.as_millis()), nanos(span.end.as_millis()));
    line(
        &[
            &span.trace_id.to_string(),
            &span.span_id.to_string(),
            &parent,
            &span.name,
            message,
            &span.resource.service_name,
        ],
        [kind, code, times.0, times.1, span.links.len() as u64, span.events.len() as u64],
    )
}

/// The same of one that has arrived.
pub(crate) fn read(span: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| {
        let text = value.as_str().and_then(|text| text.parse().ok());
        value.as_u64().or(text).unwrap_or_default()
    };
    let count = |value: &Value| value.as_array().map_or(0, |list| list.len() as u64);
    let texts = ["traceId", "spanId", "parentSpanId", "name"].map(|key| text(&span[key]));
    let message = text(&span["status"]["message"]);
    let service = text(&span["resource"]["service.name"]);
    let texts: Vec<&str> = texts.iter().chain([&message, &service]).map(String::as_str).collect();
    let numbers = [&span["kind"], &span["status"]["code"], &span["startTimeUnixNano"], &span["endTimeUnixNano"]];
    let [kind, code, start, end] = numbers.map(number);
    line(&texts, [kind, code, start, end, count(&span["links"]), count(&span["events"])])
}

fn line(texts: &[&str], numbers: [u64; 6]) -> String {
    format!("{} {numbers:?}", texts.join(" | "))
}
