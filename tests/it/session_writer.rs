//! A writer in another process than the daemon: what it emits is there once and in order, whatever becomes of the
//! daemon, and what was not taken is told.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use watchpost::client::Client;
use watchpost::client::sessions::{End, Refused, Settings, Start, Writer};
use watchpost::event::Data;

use super::support::daemon::Daemon;
use super::support::wait;

fn client(dir: &Path) -> Client {
    Client::new(&format!("unix:{}/api", dir.display()), None).expect("a client")
}

async fn writer(dir: &Path) -> Writer {
    let settings = Settings {
        heartbeat: Duration::from_millis(100),
        backoff_most: Duration::from_millis(200),
        ..Settings::default()
    };
    let metadata = Data::parse(r#"{"command":"engine"}"#.into()).expect("an object");
    let start = Start { id: None, ts: None, traceparent: None, metadata };
    Writer::start(client(dir), start, settings).await.expect("a daemon")
}

fn start(more: &str) -> Daemon {
    Daemon::start(tempfile::tempdir().expect("a folder"), more)
}

/// The types and the numbers of all events of the session.
async fn events(dir: &Path, writer: &Writer) -> Vec<(String, Option<u64>)> {
    let (client, mut all) = (client(dir), Vec::new());
    loop {
        let rows = client.session_events(writer.id(), all.len() as u64 + 1, 1000).await.expect("readable");
        if rows.is_empty() {
            return all;
        }
        all.extend(rows.iter().map(|row| {
            let event = &row.logged.event;
            let data: serde_json::Value = event.data.read().expect("JSON");
            (event.kind.to_string(), data["n"].as_u64())
        }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_again_and_again_has_each_event_once_and_in_order() {
    let mut daemon = start("");
    let writer = writer(daemon.dir()).await;
    let mut emitted = 0;
    for _ in 0..4 {
        for _ in 0..1500 {
            writer.emit("step", &json!({ "n": emitted })).await.expect("room");
            emitted += 1;
        }
        let enough = rand::random_range(emitted - 1400..emitted);
        wait::until("some to be stored", async || (writer.tally().stored >= enough).then_some(())).await;
        daemon.signal(Signal::KILL);
        daemon.wait();
        for _ in 0..100 {
            writer.try_emit("step", &json!({ "n": emitted })).expect("room");
            emitted += 1;
        }
        wait::until("the loss to be noticed", async || writer.tally().waits_for).await;
        daemon = Daemon::start(daemon.take_dir(), "");
    }
    let tally = writer.flush().await;
    assert_eq!((tally.stored, tally.refused, tally.waits_for), (emitted, 0, None));
    let steps = (0..emitted).map(|n| ("step".to_owned(), Some(n)));
    let expected: Vec<_> = [("session_started".to_owned(), None)].into_iter().chain(steps).collect();
    assert_eq!(events(daemon.dir(), &writer).await, expected);
    let id = writer.id().clone();
    let ended = writer.end(&End::completed()).await.expect("it ends");
    assert_eq!(ended.seq, emitted + 2);
    assert!(client(daemon.dir()).session(id.as_str(), None).await.expect("it is there").session.end.is_some());
}

#[tokio::test]
async fn what_is_not_taken_is_told_with_its_number_and_loses_nothing_else() {
    let daemon = start("");
    let writer = writer(daemon.dir()).await;
    assert!(writer.traceparent().starts_with("00-"));
    writer.line(7, r#"{"type":"a"}"#.into()).await.expect("taken");
    writer.line(8, "no JSON".into()).await.expect("taken");
    writer.line(9, r#"{"type":"Bad"}"#.into()).await.expect("taken");
    writer.line(10, r#"{"type":"b"}"#.into()).await.expect("taken");
    let tally = writer.flush().await;
    assert_eq!((tally.stored, tally.refused), (2, 2));
    let refusals: Vec<(u64, bool)> = writer
        .take_refusals()
        .iter()
        .map(|refusal| (refusal.number, refusal.reason.contains("expected")))
        .collect();
    assert_eq!((refusals, writer.take_refusals()), (vec![(8, true), (9, true)], Vec::new()));
    assert!(matches!(writer.try_emit("Bad", &json!({})), Err(Refused::Invalid(_))));
    assert!(matches!(writer.try_emit("a", &json!([])), Err(Refused::Invalid(_))));
    let large = json!({ "a": "x".repeat(65_536) });
    assert!(matches!(writer.emit("a", &large).await, Err(Refused::Invalid(_))));
    client(daemon.dir()).close_session(writer.id(), &End::failed("no more")).await.expect("closed");
    writer.emit("late", &json!({})).await.expect("taken");
    let tally = writer.flush().await;
    assert!(tally.refused == 3 && tally.closed.is_none(), "{tally:?}");
    let kinds: Vec<String> = events(daemon.dir(), &writer).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["session_started", "a", "b", "session_ended"]);
}

#[tokio::test]
async fn while_the_daemon_is_away_a_full_queue_is_told_and_an_emit_waits() {
    let mut daemon = start("");
    let writer = writer(daemon.dir()).await;
    daemon.signal(Signal::KILL);
    daemon.wait();
    let large = json!({ "x": "x".repeat(16_000) });
    let taken = (0..10_000).take_while(|_| writer.try_emit("large", &large).is_ok()).count();
    assert!((900..1100).contains(&taken), "16 MiB wait: {taken}");
    assert_eq!(writer.try_emit("large", &large), Err(Refused::Full));
    let waits = tokio::time::timeout(Duration::from_millis(100), writer.emit("large", &large)).await;
    assert!(waits.is_err(), "there is no room");
    let _daemon = Daemon::start(daemon.take_dir(), "");
    writer.emit("large", &large).await.expect("room again");
    assert_eq!(writer.flush().await.stored, taken as u64 + 1);
}

#[tokio::test]
async fn an_idle_writer_keeps_its_session_and_one_that_is_dropped_does_not() {
    let daemon = start("session: {idle: 500ms}\n");
    let writer = writer(daemon.dir()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(events(daemon.dir(), &writer).await.len(), 1, "its heartbeats are heard");
    let (id, client) = (writer.id().clone(), client(daemon.dir()));
    drop(writer);
    wait::until("the interruption", async || {
        let shown = client.session(id.as_str(), None).await.ok()?;
        (shown.session.status == watchpost::store::Status::Interrupted).then_some(())
    })
    .await;
}
