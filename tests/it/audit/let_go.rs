//! What the log has let go of: sessions that were pruned, and the trimmed heads of the other streams.

use std::path::Path;

use serde_json::json;
use watchpost::event::{Class, Data, Draft, Logged, StreamId, Timestamp};
use watchpost::store::{Limit, Store, Tree, Write};

use super::{Server, audit, backends, closed, configure, counts, deliver, draft, own, publish, store, submit};
use crate::it::jetstream_sessions::of_session;
use crate::it::support::daemon::{Daemon, beside};
use crate::it::support::history::Log;
use crate::it::support::wait::until;

/// A process stream of which nothing is left.
const GONE: &str = "proc-gone-1";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pruned_or_trimmed_is_counted_and_is_no_finding() {
    let (nats, there) = (Server::start(), own("").await);
    let dir = tempfile::tempdir().expect("a folder");
    let events = delivered(dir.path(), &nats, &there).await;
    configure(dir.path(), &backends(&nats, &there));
    prune(dir.path()).await;
    let left = trim(dir.path());
    let of = |events: &[Logged], session: &str| {
        events.iter().filter(|logged| logged.event.session.as_str() == session).count()
    };
    let streams = [GONE, "proc-main-1", "old", "new"];
    assert_eq!(streams.map(|session| of(&events, session)), [10, 400, 12, 12]);
    let [gone, main, old, new] = streams.map(|session| of(&left, session));
    assert_eq!([gone, old, new], [0, 0, 12]);
    assert!((1..400).contains(&main), "{main}");

    let sessions = |events: &[Logged]| {
        events.iter().filter(|logged| logged.event.session.class() == Class::Session).count() as u64
    };
    let counted = |events: &[Logged]| {
        let (all, sessions) = (events.len() as u64, sessions(events));
        [all - sessions, sessions, all]
    };
    let (alike, let_go) = (counted(&left), std::array::from_fn(|at| counted(&events)[at] - counted(&left)[at]));
    let (code, findings, summaries) = audit(dir.path(), &[]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{summaries:?}");
    assert_eq!((counts(&summaries, "alike"), counts(&summaries, "let_go")), (alike.into(), let_go.into()));

    // What never was in a stream is told from what it has let go of; of a session that it does not know it
    // cannot tell.
    let context = nats.jetstream().await;
    let added = |n: u128| uuid::Uuid::from_u128(n).to_string();
    for (n, session, seq) in [(1, GONE, 11), (2, "proc-never-1", 1), (3, "never", 1)] {
        let event = json!({"session": session, "seq": seq, "type": "started"}).to_string();
        publish(&context, "core.process.default.web.started", &added(n), event).await;
    }
    let check = |dir: &Path| {
        let (code, findings, summaries) = audit(dir, &[]);
        let extra = |n| super::finding("jetstream PROCESS_EVENTS", "extra", &added(n));
        assert_eq!((code, findings), (Some(1), vec![extra(1), extra(2)]));
        let [process, session, all] = let_go;
        assert_eq!(counts(&summaries, "let_go"), [process + 1, session, all]);
    };
    check(dir.path());
    let daemon = Daemon::start(dir, &backends(&nats, &there));
    check(daemon.dir());
}

/// A store whose events are in both backends.
async fn delivered(dir: &Path, nats: &Server, there: &crate::it::support::elasticsearch::Server) -> Vec<Logged> {
    let log = Log::on(Store::open(&store(dir)).expect("a store"));
    let of_gone = |n| Draft { session: StreamId::new(GONE).expect("an id"), ..draft(n, "web", "started") };
    submit(&log, (0..10).map(of_gone).collect()).await;
    for id in ["old", "new"] {
        submit(&log, vec![of_session(id, "session_started")]).await;
        submit(&log, (0..10).map(|_| of_session(id, "node_skipped")).collect()).await;
        let data = Data::parse(r#"{"status":"completed"}"#.into()).expect("an object");
        submit(&log, vec![Draft { data, ..of_session(id, "session_ended") }]).await;
    }
    for n in 10..50 {
        submit(&log, (n * 10..n * 10 + 10).map(|n| draft(n, "web", "started")).collect()).await;
    }
    deliver(&log.store, &nats.settings(), Some(&there.settings())).await;
    closed(log)
}

/// Removes the older of the two sessions, as a person would.
async fn prune(dir: &Path) {
    until("the index to have both sessions", async || {
        let mut prune = beside(dir, &["sessions", "prune"]);
        let output = prune.env("WATCHPOST_STORE_MAX_SESSIONS", "1").output().expect("it runs");
        output.stdout.ends_with(b"1 removed\n").then_some(())
    })
    .await;
}

/// Trims about the first half, as it comes when `store.keep_streams` is over; answers what is left.
fn trim(dir: &Path) -> Vec<Logged> {
    let store = Store::open(&store(dir)).expect("no one else has it");
    let held = store.range().start + (store.range().end - store.range().start) / 2;
    let cursor = json!({"offset": held, "required": true}).to_string();
    store.put(&[Write::put(Tree::Cursors, "held", cursor)]).expect("room");
    store.maintainer().pass(true).expect("a pass");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    while writer.trim(later).expect("a step") > 0 {}
    store.put(&[Write::remove(Tree::Cursors, "held")]).expect("room");
    flusher.flush(writer.next_offset()).expect("durable");
    store.log(0, Limit::events(1000)).expect("a log")
}
