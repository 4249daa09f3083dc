//! Beginning, and beginning again.

use super::*;
use crate::event::{Timestamp, Trace};

#[tokio::test]
async fn a_session_has_an_id_of_its_own_and_its_root_span() {
    let bench = Bench::new();
    let begun = bench.sessions.begin(start()).await.expect("begun");
    let id: uuid::Uuid = begun.id.as_str().parse().expect("a UUID");
    assert_eq!((id.get_version_num(), id.to_string().as_str(), begun.seq), (7, begun.id.as_str(), 1));
    let info = bench.info(&begun.id);
    assert_eq!(info.trace, Some(Trace::root(&begun.id, info.start, None)));
    assert_eq!(begun.traceparent.trace_id, Trace::of_session(&begun.id, info.start));
    assert_eq!(bench.kinds(&begun.id), ["session_started"]);
}

#[tokio::test]
async fn session_ids_are_unique_and_in_order_under_rapid_creation() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for _ in 0..2000 {
        ids.push(bench.sessions.begin(start()).await.expect("begun").id);
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted, ids);
}

#[tokio::test]
async fn the_same_start_again_gets_the_first_answer() {
    let bench = Bench::new();
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a context");
    let own = Start { id: Some(stream("build-17")), traceparent: Some(caller), ..start() };
    let keyed = Start { idempotency_key: Some("key-1".into()), ..start() };
    for again in [own, keyed] {
        let first = bench.sessions.begin(again.clone()).await.expect("begun");
        assert!(!first.duplicate);
        let metadata = Data::parse(r#" { "args": ["--all"], "command": "generate" } "#.into()).expect("an object");
        let second = bench.sessions.begin(Start { metadata, ..again }).await.expect("the same");
        assert_eq!(second, Begun { duplicate: true, ..first.clone() });
        assert_eq!(bench.kinds(&first.id), ["session_started"]);
    }
}

#[tokio::test]
async fn the_same_id_or_key_for_another_start_is_a_conflict_that_names_the_field() {
    let bench = Bench::new();
    let other = || Start::new(&json!({ "command": "other" })).expect("an object");
    let id = bench.begin("build-17").await;
    let again = |start: Start| bench.sessions.begin(Start { id: Some(id.clone()), ..start });
    let field = |error| match error {
        Error::Conflict { field, .. } => field,
        error => panic!("no conflict: {error}"),
    };
    assert_eq!(field(again(other()).await.expect_err("another one")), "metadata");
    let early = Start { ts: Some(Timestamp::from_millis(5)), ..start() };
    assert_eq!(field(again(early).await.expect_err("another one")), "ts");
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a context");
    let called = Start { traceparent: Some(caller), ..start() };
    assert_eq!(field(again(called).await.expect_err("another one")), "traceparent");
    let key = |start| Start { idempotency_key: Some("key-1".into()), ..start };
    bench.sessions.begin(key(start())).await.expect("begun");
    let error = bench.sessions.begin(key(other())).await.expect_err("another one");
    assert_eq!(field(error), "Idempotency-Key");
}

#[tokio::test]
async fn many_who_begin_the_same_at_once_begin_one_session() {
    let bench = Bench::new();
    let by_id = Start { id: Some(stream("build-17")), ..start() };
    let by_key = Start { idempotency_key: Some("key-1".into()), ..start() };
    for start in [by_id, by_key] {
        let begins = (0..20).map(|_| bench.sessions.begin(start.clone()));
        let begun: Vec<Begun> =
            futures_util::future::join_all(begins).await.into_iter().map(|b| b.expect("one")).collect();
        assert_eq!(begun.iter().filter(|begun| !begun.duplicate).count(), 1);
        assert!(begun.iter().all(|other| (&other.id, &other.traceparent) == (&begun[0].id, &begun[0].traceparent)));
    }
    assert_eq!(bench.sessions.store().sessions(&Default::default()).expect("readable").sessions.len(), 2);
}

#[tokio::test]
async fn a_wrong_id_or_key_is_refused_with_the_rule() {
    let bench = Bench::new();
    for id in ["proc-a-1", "source-a", "hub-a", "observer-a"] {
        let error = bench.sessions.begin(Start { id: Some(stream(id)), ..start() }).await.expect_err(id);
        assert!(error.to_string().contains("does not begin with proc-"), "{error}");
    }
    for key in ["", "a b", &"x".repeat(129)] {
        let start = Start { idempotency_key: Some(key.into()), ..start() };
        let error = bench.sessions.begin(start).await.expect_err(key);
        assert!(error.to_string().starts_with("Idempotency-Key: expected 1 to 128"), "{error}");
    }
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    let bench = Bench::new();
    let keyed = |n: usize| Start { idempotency_key: Some(format!("key-{n}")), ..start() };
    for n in 0..3 {
        bench.sessions.begin(keyed(n)).await.expect("begun");
    }
    let after = |hours: i64| Timestamp::now().plus_millis(hours * 3600 * 1000);
    assert_eq!(idempotency::forget(bench.sessions.store(), after(23)).expect("room"), 0);
    assert_eq!(idempotency::forget(bench.sessions.store(), after(25)).expect("room"), 3);
    assert!(!bench.sessions.begin(keyed(0)).await.expect("begun").duplicate);
}

#[tokio::test]
async fn a_session_that_could_not_be_begun_can_be_begun_again() {
    let bench = Bench::new();
    bench.disk.set_free(Some(0));
    let keyed = Start { idempotency_key: Some("key-1".into()), ..start() };
    assert!(bench.sessions.begin(keyed.clone()).await.expect_err("no room").is_retryable());
    bench.disk.set_free(None);
    assert!(!bench.sessions.begin(keyed).await.expect("begun").duplicate);
}
