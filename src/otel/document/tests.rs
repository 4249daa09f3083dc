//! The document, by the facts read in the exporter.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::otel::{SpanId, TraceId};

fn record(time: i64) -> Record<'static> {
    let attributes: Vec<Attribute<'static>> = vec![
        ("watchpost.process.name".into(), "api & co".into()),
        ("watchpost.process.cpu".into(), 1.0.into()),
        ("watchpost.event.seq".into(), 3_i64.into()),
        ("watchpost.process.running".into(), true.into()),
        ("watchpost.process.namespaces".into(), Value::Texts(vec!["a".into(), "b".into()])),
        (names::DOCUMENT_ID.into(), "the id".into()),
        (names::DATA_STREAM_DATASET.into(), DATASET.into()),
        (names::DATA_STREAM_NAMESPACE.into(), "20251016".into()),
    ];
    Record {
        time: Timestamp::from_millis(time),
        observed: Timestamp::from_millis(1_760_608_411_043),
        severity_number: 9,
        severity_text: "info".into(),
        event_name: "process.started".into(),
        body: "default/api started".into(),
        attributes,
        trace_id: Some(TraceId([0xab; 16])),
        span_id: Some(SpanId([1; 8])),
        resource: Arc::new(Resource {
            service_name: "api".into(),
            service_namespace: Some("default".into()),
            service_instance_id: None,
        }),
    }
}

fn parsed(record: &Record<'_>) -> Json {
    serde_json::from_slice(&document(record)).expect("JSON")
}

#[test]
fn has_the_fields_of_the_exporters_document() {
    let expected = json!({
        "@timestamp": "1760608411042.0",
        "observed_timestamp": "1760608411043.0",
        "data_stream": {"type": "logs", "dataset": "watchpost.otel", "namespace": "20251016"},
        "severity_text": "info",
        "severity_number": 9,
        "trace_id": "abababababababababababababababab",
        "span_id": "0101010101010101",
        "attributes": {
            "watchpost.process.name": "api & co",
            "watchpost.process.cpu": 1.0,
            "watchpost.event.seq": 3,
            "watchpost.process.running": true,
            "watchpost.process.namespaces": ["a", "b"],
        },
        "event_name": "process.started",
        "resource": {"attributes": {"service.name": "api", "service.namespace": "default"}},
        "scope": {"name": "watchpost", "version": env!("CARGO_PKG_VERSION")},
        "body": {"text": "default/api started"},
    });
    assert_eq!(parsed(&record(1_760_608_411_042)), expected);
    let text = String::from_utf8(document(&record(1))).expect("UTF-8");
    assert!(text.contains(r#""watchpost.process.cpu":1.0"#), "a double has its point: {text}");
}

#[test]
fn what_is_unknown_is_left_out_and_no_time_is_the_observed_one() {
    let mut bare = record(-5);
    (bare.trace_id, bare.span_id) = (None, None);
    let bare = parsed(&bare);
    assert_eq!(bare["@timestamp"], bare["observed_timestamp"]);
    assert_eq!((bare.get("trace_id"), bare.get("span_id")), (None, None));
}

#[test]
fn the_data_stream_is_that_of_the_utc_day_of_the_commit() {
    let first = crate::otel::reference::examples::events().expect("examples").remove(0);
    let mut event = Event::clone(&first.event);
    for (observed, stream) in [
        ("2025-12-31T23:59:59.999Z", "logs-watchpost.otel-20251231"),
        ("2026-01-01T00:30:00.000+01:00", "logs-watchpost.otel-20251231"),
        ("2026-01-01T00:00:00.000Z", "logs-watchpost.otel-20260101"),
    ] {
        event.observed = observed.parse().expect(observed);
        assert_eq!(data_stream(&event), stream);
    }
}
