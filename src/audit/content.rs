//! What of an event is compared: its id, when it happened, how loud it is, what it is, its attributes, and its text.
//! Not the trace that it belongs to, nor the service, which only the events before it tell. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::search;

/// The content of a document as a number. Only compared within one run.
pub(super) fn of_document(id: &str, document: &Value) -> u64 {
    let field = |name: &str| document.get(name).unwrap_or(&Value::Null).clone();
    let time = search::moment(&field("@timestamp")).map(|time| time.as_millis());
    let severity = [field("severity_text"), number(&field("severity_number"))];
    let mut attributes = field("attributes");
    if let Value::Object(attributes) = &mut attributes {
        attributes.values_mut().for_each(|value| *value = number(value));
    }
    // The keys of an object are in their order, whoever wrote it.
    of_text(
        &json!([id, time, severity, field("event_name"), attributes, document.pointer("/body/text")]).to_string(),
    )
}

/// A text as a number.
pub(super) fn of_text(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A number in one way of the two: `5.0` is `5`.
fn number(value: &Value) -> Value {
    match value.as_f64() {
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 9e15 => json!(whole as i64),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_is_written_does_not_count_and_what_it_says_does() {
        let one = json!({"@timestamp": "1760608411042.0", "severity_number": 9, "event_name": "a",
            "attributes": {"b": 1, "a": 2.5}, "body": {"text": "so"}, "trace_id": "1"});
        let mut other = json!({"event_name": "a", "@timestamp": "2025-10-16T09:53:31.042Z", "severity_number": 9.0,
            "body": {"text": "so"}, "attributes": {"a": 2.5, "b": 1.0}, "trace_id": "2"});
        assert_eq!(of_document("x", &one), of_document("x", &other));
        assert_ne!(of_document("x", &one), of_document("y", &one));
        other["attributes"]["b"] = json!("1");
        assert_ne!(of_document("x", &one), of_document("x", &other));
    }
}
