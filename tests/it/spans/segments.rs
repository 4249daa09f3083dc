//! A session's segments: interrupted, resumed, closed, in a caller's trace.

use serde_json::json;
use watchpost::event::trace::span_id;
use watchpost::otel::SpanId;
use watchpost::otel::span::{Role, Span, Status};

use super::{Log, NONE, attribute, check_contexts, check_tree, failed, of, one, outcome, times, trace};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A session in which a request is under way.
fn begun() -> Log {
    let mut log = Log::default();
    log.add("s", 0, "session_started", &json!({ "command": "merkle", "service": "engine" }));
    log.add("s", 10, "generation_started", &json!({ "plan_id": "p" }));
    log.add("s", 20, "level_started", &json!({ "plan_id": "p", "level_index": 0 }));
    log.add("s", 30, "node_generation_started", &json!({ "plan_id": "p", "level_index": 0, "node_id": "n" }));
    log.add("s", 35, "request_enqueued", &json!({ "request_id": "q", "node_id": "n" }));
    log.add(
        "s",
        40,
        "provider_request_sent",
        &json!({ "request_id": "r", "node_id": "n", "operation": "chat", "model": "m" }),
    );
    log
}

#[test]
fn an_interrupted_session_closes_what_is_open_once_and_goes_on_in_a_linked_segment() {
    let mut log = begun();
    log.add("s", 100, "session_interrupted", &json!({ "reason": "idle" }));
    let before = log.spans();
    log.add("s", 200, "session_resumed", &json!({ "segment": 2, "interrupted_seq": 7 }));
    log.add("s", 210, "node_generation_started", &json!({ "node_id": "n" }));
    log.add("s", 220, "node_generation_completed", &json!({ "node_id": "n" }));
    log.add("s", 230, "session_ended", &json!({ "status": "completed", "exit_code": 0 }));
    let told = log.told();
    let contexts: Vec<_> = told.iter().map(|told| told.context.clone()).collect();
    let spans = log.spans();
    check_tree(&spans, NONE);
    check_contexts(&contexts, &spans);
    assert_eq!(spans[..before.len()], before, "what was told once stays as it is");
    let interrupted = |span: &&Span| outcome(span) == "interrupted";
    let roles: Vec<Role> = before.iter().filter(interrupted).map(|span| span.role).collect();
    use Role::{Attempt, Generation, Level, Node, QueueWait, Request, Session};
    assert_eq!(roles, [Attempt, Request, QueueWait, Node, Level, Generation, Session], "children first");
    for span in before.iter().filter(interrupted) {
        assert_eq!((times(span).1, &span.status), (100, &Status::Unset));
        assert_eq!(attribute(span, "watchpost.session.reason").as_deref(), Some("idle"));
    }
    let roots = of(&spans, Session);
    assert_eq!(roots.len(), 2);
    assert_eq!((times(roots[0]), times(roots[1])), ((0, 100), (200, 230)));
    assert_eq!(roots[1].links.iter().map(|link| link.span_id).collect::<Vec<_>>(), [roots[0].span_id]);
    assert_eq!((roots[0].trace_id, roots[0].parent, roots[1].parent), (roots[1].trace_id, None, None));
    assert_eq!(attribute(roots[1], "watchpost.session.segment").as_deref(), Some("2"));
    assert_eq!(roots[1].name, "session merkle");
    assert_eq!(of(&spans, Node)[1].parent, Some(roots[1].span_id), "the level is of the segment before");
    assert_eq!(contexts[6].span_id, Some(roots[0].span_id));
    assert_eq!(spans.iter().filter(|span| span.role == Role::SessionStarted).count(), 1);
}

#[test]
fn a_person_closes_an_interrupted_session_without_another_segment() {
    let mut log = begun();
    log.add("s", 100, "session_interrupted", &json!({ "reason": "writer_gone" }));
    let before = log.spans();
    log.add("s", 200, "session_ended", &json!({ "status": "failed", "closed": true }));
    assert_eq!(log.spans(), before);
    let root = one(&before, Role::Session).span_id;
    assert_eq!(log.told().last().map(|told| told.context.span_id), Some(Some(root)));
}

#[test]
fn sessions_in_one_trace_have_spans_of_their_own() {
    let mut log = Log::default();
    for stream in ["first", "second"] {
        log.add(stream, 0, "session_started", &json!({})).trace = Some(trace(TRACE, None, Some(CALLER)));
        log.add(stream, 5, "level_started", &json!({ "level_index": 0 }));
        log.add(stream, 7, "level_completed", &json!({ "level_index": 0 }));
        log.add(stream, 9, "session_ended", &json!({ "status": "completed" }));
    }
    let spans = log.spans();
    let ids: std::collections::BTreeSet<String> = spans.iter().map(|span| span.span_id.to_string()).collect();
    assert_eq!((ids.len(), spans.len()), (6, 6));
    check_tree(&spans, &[CALLER]);
}

#[test]
fn the_root_is_what_session_started_carries_and_below_the_caller() {
    let root = span_id(TRACE, 1, "session/s");
    // As Watchpost begins a session itself, and as an event that only says which span its sender is in.
    for given in [trace(TRACE, Some(&root), Some(CALLER)), trace(TRACE, Some(CALLER), None)] {
        let mut log = Log::default();
        log.add("s", 0, "session_started", &json!({})).trace = Some(given);
        log.add("s", 5, "scan_started", &json!({}));
        log.add("s", 9, "session_ended", &json!({ "status": "failed", "error": "no space", "exit_code": 2 }));
        let spans = log.spans();
        check_tree(&spans, &[CALLER]);
        let span = one(&spans, Role::Session);
        assert_eq!((span.trace_id.to_string(), span.span_id.to_string()), (TRACE.to_owned(), root.clone()));
        assert_eq!(span.parent, SpanId::parse(CALLER));
        assert_eq!((&span.status, outcome(span).as_str()), (&failed("no space"), "failed"));
        assert_eq!(attribute(span, "process.exit.code").as_deref(), Some("2"));
        assert!(log.told().iter().all(|told| told.context.span_id == Some(span.span_id)));
    }
}

#[test]
fn a_session_whose_events_could_not_be_taken_has_an_error_however_it_ends() {
    let mut log = begun();
    log.add("s", 50, "ingest_failed", &json!({ "error": "no room" }));
    log.add("s", 60, "session_ended", &json!({ "status": "completed" }));
    let spans = log.spans();
    let root = one(&spans, Role::Session);
    assert_eq!((&root.status, outcome(root).as_str()), (&failed("no room"), "completed"));
    assert_eq!(attribute(root, "error.type").as_deref(), Some("ingest_failed"));
    let request = one(&spans, Role::Request);
    assert_eq!((outcome(request).as_str(), times(request)), ("interrupted", (40, 60)));
}

#[test]
fn a_service_has_the_name_that_the_session_gives_else_its_command() {
    let service = |data| {
        let mut log = Log::default();
        log.add("s", 0, "session_started", &data);
        log.told()[0].context.resource.service_name.to_string()
    };
    assert_eq!(service(json!({ "command": "merkle", "service": "engine" })), "engine");
    assert_eq!(service(json!({ "command": "merkle" })), "merkle");
    assert_eq!(service(json!({})), "unknown_service");
}
