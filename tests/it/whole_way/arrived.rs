//! What has arrived, held against what ought to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watchpost::otel::{document, logs};

use super::super::support::collector::Collector;
use super::super::support::elasticsearch::Server;
use super::super::support::span_lines::{read, written};
use super::super::support::wait::until;
use super::log::Folded;

/// A document of each event, and no other of these streams; each with the content that the mapping gives.
pub(super) async fn documents(folded: &Folded, server: &Server) {
    let expected: BTreeMap<String, Value> = folded
        .events
        .iter()
        .map(|(logged, context)| {
            let record = logs::record(logged, context);
            let document = serde_json::from_slice(&document::document(&record)).expect("JSON");
            (logged.event.id.to_string(), document)
        })
        .collect();
    let streams: BTreeSet<&str> = folded.events.iter().map(|(logged, _)| logged.event.session.as_str()).collect();
    let ours = |document: &Value| {
        let stream = document["attributes"]["watchpost.stream.id"].as_str();
        stream.is_some_and(|stream| streams.contains(stream))
    };
    let found = until("a document of each event", async || {
        let documents = server.documents("logs-watchpost.otel-*").await;
        let ours: Vec<_> = documents.into_iter().filter(|(_, document)| ours(document)).collect();
        (ours.len() >= expected.len()).then_some(ours)
    })
    .await;
    assert_eq!(found.len(), expected.len(), "one document an event");
    for (id, document) in found {
        assert_eq!(Some(&document), expected.get(&id), "{id}");
    }
}

/// A log record of each event. Without `once` some may be there again, with the same content.
pub(super) async fn logs(folded: &Folded, collector: &Collector, once: bool) {
    let id = |record: &Value| record["attributes"]["watchpost.event.id"].as_str().expect("an id").to_owned();
    let expected: BTreeSet<String> = folded.events.iter().map(|(logged, _)| logged.event.id.to_string()).collect();
    let found = until("a log record of each event", async || {
        let found: Vec<Value> = collector.logs();
        let ids: BTreeSet<String> = found.iter().map(id).collect();
        (ids.len() >= expected.len()).then_some(found)
    })
    .await;
    if once {
        assert_eq!(found.len(), expected.len(), "each once");
    }
    let found = without_repeats(found);
    assert_eq!(found.iter().map(id).collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), expected.len(), "a repeat has the same content");
}

/// The spans of the fold, with their parents, times and status.
pub(super) async fn spans(folded: &Folded, collector: &Collector, once: bool) {
    let expected: BTreeSet<String> = folded.spans.iter().map(written).collect();
    assert_eq!(expected.len(), folded.spans.len(), "each span once");
    let found = until("each span", async || {
        let found = collector.spans();
        let ids: BTreeSet<&str> = found.iter().filter_map(|span| span["spanId"].as_str()).collect();
        (ids.len() >= expected.len()).then_some(found)
    })
    .await;
    if once {
        assert_eq!(found.len(), expected.len(), "each once");
    }
    let found = without_repeats(found);
    assert_eq!(found.iter().map(read).collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), expected.len(), "a repeat has the same content");
}

/// Each once, by all that it says.
pub(super) fn without_repeats(records: Vec<Value>) -> Vec<Value> {
    let all: BTreeMap<String, Value> = records.into_iter().map(|record| (record.to_string(), record)).collect();
    all.into_values().collect()
}

/// Whether it is the span of a whole session.
pub(super) fn is_session(span: &Value) -> bool {
    span["name"].as_str().is_some_and(|name| name.starts_with("session ") && name != "session started")
}
