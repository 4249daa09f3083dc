//! Writers in this process.

use futures_util::FutureExt;

use super::*;
use crate::ingest::{self, Account};

#[tokio::test]
async fn ten_emitted_events_commit_as_ten_sequential_records() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    for n in 0..10 {
        assert_eq!(session.emit("scan_progress", &json!({ "node_count": n })).await, Ok(n));
    }
    assert_eq!(session.flush().await, Ok(Account { sent: 10, taken: 10, ..Account::default() }));
    let end = session.end(End::completed()).await.expect("it ends");
    let id = session.id().clone();
    drop(session);
    let events = bench.events(&id);
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!((end.seq, events[11].kind.as_str()), (12, "session_ended"));
    assert_eq!(data(&events[5]), json!({ "node_count": 4 }));
    assert_eq!(bench.info(&id).status, Status::Completed);
}

#[tokio::test]
async fn a_writer_dropped_without_an_end_leaves_an_interrupted_session_that_can_be_taken_up() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    let id = session.id().clone();
    session.emit("scan_started", &json!({})).await.expect("room");
    let stop = tokio_util::sync::CancellationToken::new();
    let keeper = tokio::spawn(Keeper::new(bench.sessions.clone()).run(stop.clone()));
    drop(session);
    let mut durable = bench.sessions.store().durable();
    while bench.info(&id).status != Status::Interrupted {
        durable.changed().await.expect("the store");
    }
    assert_eq!(bench.kinds(&id), ["session_started", "scan_started", "session_interrupted"]);
    assert_eq!(data(&bench.events(&id)[2]), json!({ "reason": "writer_gone" }));
    let again = bench.sessions.open(Start { id: Some(id.clone()), ..start() }).await.expect("taken up");
    assert_eq!(again.record("scan_completed", &json!({})).await.expect("taken").seq, 5);
    again.end(End::completed()).await.expect("it ends");
    assert_eq!(bench.kinds(&id)[3..], ["session_resumed", "scan_completed", "session_ended"]);
    stop.cancel();
    keeper.await.expect("it ends well");
}

#[tokio::test]
async fn whoever_writes_to_a_session_whose_writer_is_gone_resumes_it() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    let id = session.id().clone();
    drop(session);
    // The keeper does not run: it is done before the event.
    assert_eq!(bench.add(&id, "scan_started").await.seq, 4);
    assert_eq!(bench.kinds(&id)[1..], ["session_interrupted", "session_resumed", "scan_started"]);
}

#[tokio::test]
async fn a_session_of_a_process_that_is_gone_is_interrupted_at_the_next_start() {
    let mut bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    let (id, remote) = (session.id().clone(), bench.begin("remote").await);
    session.record("scan_started", &json!({})).await.expect("taken");
    // As after kill -9: nothing of the process runs any more.
    std::mem::forget(session);
    bench = bench.restart();
    bench.keeper.turn().await;
    assert_eq!(bench.kinds(&id), ["session_started", "scan_started", "session_interrupted"]);
    assert_eq!(bench.info(&remote).status, Status::Active);
    // Once.
    bench = bench.restart();
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).events, 3);
}

#[tokio::test]
async fn an_event_is_as_severe_as_the_catalog_has_it() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    session.record("node_generation_failed", &json!({ "error": "boom" })).await.expect("taken");
    session.record("something_of_its_own", &json!({})).await.expect("taken");
    session.record("session_ended", &json!({ "status": "failed" })).await.expect("taken");
    let severities: Vec<_> = bench.events(session.id()).into_iter().map(|event| event.severity).collect();
    assert_eq!(severities, [Severity::Info, Severity::Error, Severity::Info, Severity::Error]);
}

#[tokio::test]
async fn a_writer_that_nobody_waits_for_any_more_is_gone() {
    let mut bench = Bench::new();
    let start = Start { id: Some(stream("s")), ..start() };
    assert!(bench.sessions.open(start).now_or_never().is_none());
    bench.stored("s").await;
    while bench.info(&stream("s")).status != Status::Interrupted {
        tokio::task::yield_now().await;
        bench.keeper.turn().await;
    }
    assert_eq!(data(&bench.events(&stream("s"))[1]), json!({ "reason": "writer_gone" }));
}

#[tokio::test]
async fn a_session_has_one_writer_in_a_process() {
    let bench = Bench::new();
    let session = bench.sessions.open(Start { id: Some(stream("s")), ..start() }).await.expect("begun");
    let again = || bench.sessions.open(Start { id: Some(stream("s")), ..start() });
    assert!(matches!(again().await, Err(Error::Conflict { field: "id", .. })));
    session.end(End::completed()).await.expect("it ends");
    assert!(matches!(again().await, Err(Error::Ended(_))));
}

#[tokio::test]
async fn what_was_not_taken_is_told_by_its_index() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    assert!(matches!(session.emit("Not A Type", &json!({})).await, Err(Error::Invalid(_))));
    assert!(matches!(session.emit("scan_started", &json!([1])).await, Err(Error::Invalid(_))));
    let large = json!({ "path": "x".repeat(70_000) });
    assert!(matches!(session.emit("file_changed", &large).await, Err(Error::Invalid(_))));
    session.emit("scan_started", &json!({})).await.expect("room");
    session.emit("scan_completed", &json!({})).await.expect("room");
    let account = session.flush().await.expect("it runs");
    assert_eq!((account.sent, account.taken, account.missed), (2, 2, 0));
    bench.disk.set_free(Some(0));
    for _ in 0..150 {
        session.emit("scan_progress", &json!({})).await.expect("room");
    }
    let account = session.flush().await.expect("it runs");
    assert_eq!((account.sent, account.taken, account.missed, account.first_missed.len()), (152, 2, 150, 100));
    assert_eq!(account.first_missed[99].index, 101);
    assert!(matches!(account.first_missed[99].error, ingest::Error::NoRoom(_)));
}

#[tokio::test]
async fn an_end_that_found_no_room_can_be_tried_again() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    bench.disk.set_free(Some(0));
    assert!(session.end(End::completed()).await.expect_err("no room").is_retryable());
    bench.disk.set_free(None);
    assert_eq!(session.end(End::completed()).await.expect("room").seq, 2);
}

#[tokio::test]
async fn a_full_bus_is_told_at_once_or_waited_for() {
    let bench = Bench::new();
    let session = bench.sessions.open(start()).await.expect("begun");
    let (mut sent, mut full) = (0, 0);
    while full == 0 {
        match session.try_emit("scan_progress", &json!({})) {
            Ok(_) => sent += 1,
            Err(Error::Ingest(ingest::Error::Full)) => full += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 10_000_000, "the writer is faster than whoever sends");
    }
    session.emit("scan_completed", &json!({})).await.expect("room in the end");
    assert_eq!(session.flush().await.expect("it runs").taken, sent + 1);
}
