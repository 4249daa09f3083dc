//! The limit on streams, which no test from outside could reach in time.

use super::*;
use crate::event::{Timestamp, testing};
use crate::otel::Value;
use crate::otel::span::Role;

fn event(stream: &str, seq: u64, kind: &str) -> Event {
    let time = Timestamp::from_millis(seq as i64);
    Event { ts: time, observed: time, seq, ..testing::event(stream, kind) }
}

#[test]
fn the_stream_that_was_told_of_least_lately_makes_room() {
    let mut tracker = Tracker { max_streams: 2, ..Tracker::default() };
    for (stream, seq) in [("a", 1), ("b", 1)] {
        tracker.apply(&event(stream, seq, "session_started"));
    }
    tracker.apply(&event("a", 2, "scan_started"));
    let told = tracker.apply(&event("c", 1, "session_started"));
    let roots: Vec<&Span> = told.spans.iter().filter(|span| span.role == Role::Session).collect();
    let [root] = roots.as_slice() else { panic!("{told:#?}") };
    let value =
        |name: &str| root.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(value("session.id"), Some(Value::from("b")));
    assert_eq!(value("watchpost.outcome"), Some(Value::from("interrupted")));
    let kept = |tracker: &Tracker| {
        let mut kept: Vec<String> = tracker.streams.keys().map(ToString::to_string).collect();
        kept.sort();
        kept
    };
    assert_eq!(kept(&tracker), ["a", "c"]);
    let saved: Vec<(String, bool)> =
        tracker.changes().into_iter().map(|(key, value)| (key, value.is_some())).collect();
    assert_eq!(saved, [("a".into(), true), ("c".into(), true)], "what was never saved is not taken back");
    tracker.apply(&event("a", 3, "session_ended"));
    assert_eq!((kept(&tracker), tracker.changes()), (vec!["c".to_owned()], vec![("a".to_owned(), None)]));
}

#[test]
fn what_is_of_no_span_of_ours_keeps_the_trace_that_its_sender_gave() {
    let mut tracker = Tracker::default();
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut hub = event("hub-project", 1, "created");
    hub.origin.hub_id = Some("main".into());
    hub.trace = Some(crate::event::Trace { trace_id: trace_id.into(), span_id: None, parent_id: None });
    let Told { context, spans } = tracker.apply(&hub);
    assert_eq!((context.resource.service_name.as_ref(), context.span_id, spans.len()), ("main", None, 0));
    assert_eq!(context.trace_id, TraceId::parse(trace_id));
    let context = tracker.apply(&event("observer-restarts", 1, "fired")).context;
    assert_eq!((context.resource.service_name.as_ref(), context.trace_id), ("restarts", None));
    assert!(tracker.changes().is_empty());
}
