//! Whatever comes, in whatever order: ends without beginnings, beginnings twice, retries, any sequence of any events;
//! and a tracker that is saved and restored anywhere makes the same spans.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use watchpost::event::Timestamp;
use watchpost::otel::span::Role;
use watchpost::otel::{Told, Tracker};

use super::super::session_fold::told as random;
use super::{Log, NONE, START, attribute, check_tree, failed, of, one, outcome, times};

fn started() -> Log {
    let mut log = Log::default();
    log.add("s", 0, "session_started", &json!({ "command": "c" }));
    log
}

fn ended(mut log: Log) -> Vec<watchpost::otel::Span> {
    log.add("s", 1000, "session_ended", &json!({ "status": "completed" }));
    let spans = log.spans();
    check_tree(&spans, NONE);
    spans
}

#[test]
fn an_end_without_a_beginning_makes_no_span_and_its_record_is_in_the_root() {
    let mut log = started();
    let ends = [
        ("generation_completed", json!({ "plan_id": "p" })),
        ("generation_failed", json!({})),
        ("level_completed", json!({ "plan_id": "p", "level_index": 1 })),
        ("node_generation_completed", json!({ "node_id": "n" })),
        ("node_generation_failed", json!({})),
        ("request_processing", json!({ "request_id": "r" })),
        ("provider_response_received", json!({ "request_id": "r" })),
        ("provider_request_failed", json!({ "request_id": "r2" })),
        ("provider_request_retrying", json!({ "request_id": "r3" })),
        ("request_deduplicated", json!({})),
        ("level_started", json!({ "plan_id": "p" })),
        ("generation_started", json!({})),
        ("provider_request_sent", json!({ "model": "m" })),
        ("from_the_future", json!({ "node_id": "n" })),
    ];
    for (at, (kind, data)) in (1..).zip(ends) {
        log.add("s", at, kind, &data);
    }
    let root = log.told()[0].context.span_id;
    assert!(log.told().iter().all(|told| told.context.span_id == root));
    let roles: Vec<Role> = ended(log).iter().map(|span| span.role).collect();
    assert_eq!(roles, [Role::SessionStarted, Role::Session]);
}

#[test]
fn what_begins_twice_is_closed_where_it_begins_anew() {
    let mut log = started();
    for at in [10, 20] {
        log.add("s", at, "generation_started", &json!({ "plan_id": "p" }));
        log.add("s", at + 1, "level_started", &json!({ "plan_id": "p", "level_index": 3 }));
        log.add(
            "s",
            at + 2,
            "node_generation_started",
            &json!({ "plan_id": "p", "level_index": 3, "node_id": "n" }),
        );
    }
    log.add("s", 50, "node_generation_completed", &json!({ "node_id": "n" }));
    let spans = ended(log);
    let pairs = |role| of(&spans, role).iter().map(|span| (times(span), outcome(span))).collect::<Vec<_>>();
    let node = [((12, 22), "interrupted".to_owned()), ((22, 50), "completed".to_owned())];
    assert_eq!(pairs(Role::Node), node);
    assert_eq!(pairs(Role::Level)[0], ((11, 21), "interrupted".to_owned()));
    assert_eq!(of(&spans, Role::Node)[1].parent, Some(of(&spans, Role::Level)[1].span_id));
}

#[test]
fn a_node_without_its_level_stands_below_its_generation_and_without_that_below_the_root() {
    let mut log = started();
    log.add("s", 1, "generation_started", &json!({ "plan_id": "p" }));
    log.add("s", 2, "node_generation_started", &json!({ "plan_id": "p", "level_index": 9, "node_id": "a" }));
    log.add("s", 3, "node_generation_started", &json!({ "plan_id": "other", "level_index": 9, "node_id": "b" }));
    log.add("s", 4, "node_generation_started", &json!({ "path": "c" }));
    log.add("s", 5, "node_generation_failed", &json!({ "path": "c", "error": "no", "error_type": "t" }));
    let spans = ended(log);
    let root = one(&spans, Role::Session).span_id;
    let generation = one(&spans, Role::Generation).span_id;
    let parent = |id: &str| {
        let of = of(&spans, Role::Node);
        let span = of.iter().find(|span| {
            [attribute(span, "watchpost.node.id"), attribute(span, "watchpost.node.path")]
                .contains(&Some(id.into()))
        });
        span.and_then(|span| span.parent)
    };
    assert_eq!((parent("a"), parent("b"), parent("c")), (Some(generation), Some(root), Some(root)));
    assert_eq!(of(&spans, Role::Node)[0].status, failed("no"));
}

fn call(log: &mut Log, at: i64, kind: &str, attempt: u64, more: &Value) {
    let mut data = json!({ "request_id": "r", "node_id": "n", "attempt": attempt, "provider": "p", "model": "m", "operation": "chat" });
    data.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    log.add("s", at, kind, &data);
}

#[test]
fn a_request_lives_through_its_retries_and_ends_with_its_answer() {
    let mut log = started();
    log.add("s", 1, "node_generation_started", &json!({ "node_id": "n" }));
    call(&mut log, 10, "provider_request_sent", 1, &json!({}));
    call(&mut log, 20, "provider_request_failed", 1, &json!({ "error": "late", "error.type": "timeout" }));
    call(&mut log, 25, "provider_request_retrying", 2, &json!({ "retry_after": 0.5, "error.type": "timeout" }));
    call(&mut log, 30, "provider_request_sent", 2, &json!({}));
    assert_eq!(of(&log.spans(), Role::Request).len(), 0, "it is not over");
    call(
        &mut log,
        40,
        "provider_response_received",
        2,
        &json!({ "input_tokens": 7, "output_tokens": 3, "finish_reason": "stop" }),
    );
    log.add("s", 50, "node_generation_completed", &json!({ "node_id": "n" }));
    let spans = ended(log);
    let request = one(&spans, Role::Request);
    assert_eq!(
        (times(request), outcome(request).as_str(), request.name.as_str()),
        ((10, 40), "completed", "chat m")
    );
    assert_eq!(attribute(request, "gen_ai.response.finish_reasons").as_deref(), Some("stop"));
    assert_eq!(attribute(request, "error.type"), None);
    let [retry] = request.events.as_slice() else { panic!("{request:#?}") };
    assert_eq!((retry.name.as_str(), retry.time), ("retry", Timestamp::from_millis(START + 25)));
    let attempts: Vec<_> =
        of(&spans, Role::Attempt).iter().map(|span| (times(span), span.status.clone())).collect();
    assert_eq!(attempts, [((10, 20), failed("late")), ((30, 40), watchpost::otel::span::Status::Unset)]);
}

#[test]
fn a_request_that_is_given_up_failed_when_its_last_attempt_did() {
    for retrying in [false, true] {
        let mut log = started();
        log.add("s", 1, "node_generation_started", &json!({ "node_id": "n" }));
        call(&mut log, 10, "provider_request_sent", 1, &json!({}));
        call(&mut log, 20, "provider_request_failed", 1, &json!({ "error": "late", "error.type": "timeout" }));
        if retrying {
            call(&mut log, 21, "provider_request_retrying", 2, &json!({}));
        }
        assert_eq!(of(&log.spans(), Role::Request).len(), 0, "another attempt may follow");
        log.add(
            "s",
            50,
            "node_generation_failed",
            &json!({ "node_id": "n", "error": "gave up", "error.type": "provider" }),
        );
        assert_eq!(log.told().last().map(|told| told.spans.len()), Some(2));
        let spans = ended(log);
        let request = one(&spans, Role::Request);
        assert_eq!((times(request), &request.status), ((10, 20), &failed("late")));
        assert_eq!(attribute(request, "error.type").as_deref(), Some("timeout"));
        assert_eq!(times(one(&spans, Role::Node)), (1, 50));
    }
}

#[test]
fn a_request_in_flight_outlives_its_node_and_an_undecided_one_fails_with_the_segment() {
    let mut log = started();
    log.add("s", 1, "node_generation_started", &json!({ "node_id": "n" }));
    call(&mut log, 10, "provider_request_sent", 1, &json!({}));
    log.add("s", 15, "node_generation_completed", &json!({ "node_id": "n" }));
    assert_eq!(of(&log.spans(), Role::Request).len(), 0);
    call(&mut log, 20, "provider_request_failed", 1, &json!({ "error": "late" }));
    let spans = ended(log);
    let request = one(&spans, Role::Request);
    assert_eq!((times(request), &request.status), ((10, 20), &failed("late")));
    assert_eq!(attribute(request, "error.type").as_deref(), Some("_OTHER"));
    assert_eq!(request.parent, Some(one(&spans, Role::Node).span_id));
}

#[test]
fn a_session_whose_beginning_nobody_has_gets_a_root_with_its_first_event() {
    let mut log = Log::default();
    log.add("s", 5, "node_generation_started", &json!({ "node_id": "n" }));
    let spans = ended(log);
    assert_eq!(times(one(&spans, Role::Session)), (5, 1000));
    assert_eq!(one(&spans, Role::Node).parent, Some(one(&spans, Role::Session).span_id));
}

#[test]
fn ten_thousand_spans_may_be_open_then_the_oldest_is_closed() {
    let mut log = started();
    for at in 0..10_010 {
        log.add("s", at, "node_generation_started", &json!({ "node_id": format!("n{at}") }));
    }
    let spans = log.spans();
    let closed = of(&spans, Role::Node);
    // The root is one of them.
    assert_eq!(closed.len(), 11);
    let id = attribute(closed[0], "watchpost.node.id");
    assert_eq!(
        (id.as_deref(), outcome(closed[0]).as_str(), times(closed[0])),
        (Some("n0"), "interrupted", (0, 9999))
    );
    let mut tracker = Tracker::default();
    log.events.iter().for_each(|event| drop(tracker.apply(event)));
    let saved = tracker.changes();
    assert!(saved.len() > 1, "more than one piece");
    assert!(saved.iter().flat_map(|(_, value)| value).all(|value| value.len() <= 1 << 20));
    let mut again = Tracker::default();
    saved.iter().rev().for_each(|(key, value)| again.restore(key, value.as_ref().expect("a record")).expect(key));
    log.add("s", 20_000, "session_ended", &json!({}));
    let last = log.events.last().expect("an event");
    assert_eq!(tracker.apply(last), again.apply(last));
    let gone = again.changes();
    assert!(gone.len() == saved.len() && gone.iter().all(|(_, value)| value.is_none()));
}

/// Applies all, and before each event for which it is said saves what has changed and goes on with what was saved.
fn interrupted(log: &Log, at: &[bool]) -> Vec<Told> {
    let mut saved = std::collections::BTreeMap::new();
    let mut tracker = Tracker::default();
    let mut told = Vec::new();
    for (event, save) in log.events.iter().zip(at.iter().cycle()) {
        if *save {
            for (key, value) in tracker.changes() {
                match value {
                    Some(value) => drop(saved.insert(key, value)),
                    None => drop(saved.remove(&key)),
                }
            }
            tracker = Tracker::default();
            saved.iter().for_each(|(key, value)| tracker.restore(key, value).expect(key));
        }
        told.push(tracker.apply(event));
    }
    told
}

/// Events of two sessions; a third of their names of types are those of the segments.
fn history() -> impl Strategy<Value = Log> {
    vec((random(), any::<bool>()), 0..80).prop_map(|history| {
        let mut log = Log::default();
        for (told, second) in history {
            if watchpost::event::Kind::new(&told.kind).is_ok()
                && serde_json::from_str::<serde_json::Map<_, Value>>(&told.data).is_ok()
            {
                let ts = Timestamp::from_millis(told.ts);
                log.add_text(if second { "b" } else { "a" }, ts, &told.kind, told.data);
            }
        }
        log
    })
}

proptest! {
    #[test]
    fn any_events_make_whole_trees_the_same_from_any_saved_state(log in history(), at in vec(any::<bool>(), 1..9)) {
        let mut log = log;
        for stream in ["a", "b"] {
            log.add_text(stream, Timestamp::from_millis(START), "session_ended", "{}".into());
        }
        let told = log.told();
        let spans: Vec<_> = told.iter().flat_map(|told| told.spans.clone()).collect();
        check_tree(&spans, NONE);
        prop_assert!(told.iter().all(|told| told.context.trace_id.is_some()));
        prop_assert_eq!(&interrupted(&log, &at), &told);
        prop_assert_eq!(&log.told(), &told);
    }
}

#[test]
fn a_record_of_another_version_is_refused() {
    let mut tracker = Tracker::default();
    for (key, value) in [("s", &[9_u8, 0, 1, 0][..]), ("s", b"\x01"), ("a.b", &[1, 0, 1, 0])] {
        assert!(tracker.restore(key, value).is_err(), "{key} {value:?}");
    }
}
