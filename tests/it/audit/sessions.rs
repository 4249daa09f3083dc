//! The stream of sessions, beside that of processes.

use std::time::Duration;

use watchpost::config;
use watchpost::store::Store;

use super::{Server, audit, closed, configure, counts, deliver, draft, in_jetstream, store, submit};
use crate::it::jetstream_sessions::of_session;
use crate::it::support::history::Log;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_extra_or_different_is_found_in_the_stream_of_sessions_too() {
    let nats = Server::start();
    let dir = tempfile::tempdir().expect("a folder");
    let settings = config::JetStream { duplicate_window: Duration::from_millis(100), ..nats.settings() };
    let log = Log::on(Store::open(&store(dir.path())).expect("a store"));
    submit(&log, vec![of_session("a", "session_started")]).await;
    for n in 0..30 {
        let process = watchpost::event::Draft { ts: None, ..draft(n, "web", "started") };
        submit(&log, vec![process, of_session("a", "node_skipped")]).await;
    }
    deliver(&log.store, &settings, None).await;
    closed(log);
    configure(dir.path(), &format!("jetstream: {{url: '{}'}}\n", nats.url()));

    let (code, findings, summaries) = audit(dir.path(), &[]);
    assert_eq!((code, findings), (Some(0), Vec::new()));
    assert_eq!(counts(&summaries, "alike"), [30, 31]);
    in_jetstream(&nats, dir.path(), "SESSION_EVENTS").await;
    let (_, findings, _) = audit(dir.path(), &[]);
    assert!(findings.iter().all(|(backend, ..)| backend == "jetstream SESSION_EVENTS"), "{findings:?}");
}
