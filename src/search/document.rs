//! The document of an event, made to be looked into.

use serde_json::Value;

use crate::event::{Logged, Timestamp};
use crate::otel::{Tracker, document, logs};

/// A document.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// As Elasticsearch has it, but for what only the events before it tell: the trace, and a session's service.
    pub(super) json: Value,
}

impl Document {
    /// That of one event, by itself.
    pub(super) fn of(logged: &Logged) -> Self {
        let told = Tracker::default().apply(&logged.event);
        let mut record = logs::record(logged, &told.context);
        (record.trace_id, record.span_id) = (None, None);
        Self { json: serde_json::from_slice(&document::document(&record)).unwrap_or_default() }
    }

    /// The values of a field: none, one, or those of a list.
    pub(super) fn values(&self, field: &str) -> Vec<&Value> {
        let value = match field.strip_prefix("attributes.") {
            Some(name) => self.json["attributes"].get(name),
            None if field == "body.text" => self.json["body"].get("text"),
            None => self.json.get(field),
        };
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        }
    }
}

/// A time as documents have it: milliseconds and nanoseconds with a dot between, or as RFC 3339 where another wrote
/// it.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let millis = text.split('.').next().and_then(|millis| millis.parse().ok());
    millis.map(Timestamp::from_millis).or_else(|| text.parse().ok())
}
