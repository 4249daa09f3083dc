//! A log record as a document of Elasticsearch.

use super::Record;
use crate::event::Event;

/// The document of a record, as JSON: the same that the Collector's exporter makes of it.
pub fn document(record: &Record<'_>) -> Vec<u8> {
    // STUB until the real one is there.
    let attributes: serde_json::Map<String, serde_json::Value> =
        record.attributes.iter().map(|(name, value)| (name.to_string(), serde_json::json!(value))).collect();
    serde_json::json!({"@timestamp": record.time, "observed_timestamp": record.observed, "severity_text": record.severity_text, "severity_number": record.severity_number,
        "event_name": record.event_name, "attributes": attributes, "body": {"text": record.body}}).to_string().into_bytes()
}

/// The data stream that an event's document goes to: `logs-watchpost.otel-YYYYMMDD`, by the UTC day of its commit.
pub fn data_stream(event: &Event) -> String {
    format!("logs-watchpost.otel-{}", day(event.observed))
}

/// The UTC day of a time, YYYYMMDD.
pub(super) fn day(time: crate::event::Timestamp) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or_default().replace('-', "")
}
