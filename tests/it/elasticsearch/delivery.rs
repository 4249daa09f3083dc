//! The whole way from the log, over an outage, on a server of its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use watchpost::config;
use watchpost::deliver::{self, Delivery, Handle};
use watchpost::store::{Store, Submission};

use super::{Elasticsearch, Error, Sink, all, ids, ids_in, of_day, prepare, resumed, stream};
use crate::it::support::elasticsearch::Server;
use crate::it::support::history::{Log, draft};
use crate::it::support::wait::until;

/// All days together.
const EVERY: &str = "logs-watchpost.otel-*";

fn deliver(store: &Store, settings: config::Elasticsearch, shutdown: &CancellationToken) -> Handle {
    let quick = deliver::Settings {
        backoff_most: Duration::from_millis(200),
        breaker_first: Duration::from_millis(200),
        breaker_most: Duration::from_millis(200),
        ..deliver::Settings::default()
    };
    let sink = Elasticsearch::new(settings).expect("a sink");
    let (delivery, handle) = Delivery::new("elasticsearch", sink, store.clone(), quick);
    tokio::spawn(delivery.run(shutdown.clone()));
    handle
}

async fn emit(log: &Log, from: u64, count: u64) {
    let drafts = (from..from + count).map(|n| draft(n, "web", "started")).collect();
    log.ingest.submit(Submission::events(drafts)).await.expect("room");
}

async fn drained(log: &Log, handle: &Handle) {
    let end = log.store.range().end;
    until("all to be delivered", async || (handle.watch().borrow().offset >= end).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_has_every_event_once() {
    let most = "http.max_content_length: 32kb";
    let mut server = tokio::task::spawn_blocking(|| Server::with(most)).await.expect("a server");
    prepare(&server.settings()).await;
    too_large_is_cut(&server).await;
    a_block_of_the_whole_cluster_is_waited_for(&server).await;

    let log = Log::on(Store::memory());
    let shutdown = CancellationToken::new();
    let settings =
        config::Elasticsearch { batch_documents: 50, timeout: Duration::from_secs(5), ..server.settings() };
    let handle = deliver(&log.store, settings, &shutdown);
    emit(&log, 0, 300).await;
    drained(&log, &handle).await;

    // Killed while it is written to, away for a while, and back with what it had.
    emit(&log, 300, 400).await;
    tokio::task::block_in_place(|| server.kill());
    emit(&log, 700, 300).await;
    until("the loss to be seen", async || (handle.watch().borrow().failures > 1).then_some(())).await;
    assert!(handle.watch().borrow().offset < 1000, "nothing is confirmed that was not");
    tokio::task::block_in_place(|| server.restart());
    drained(&log, &handle).await;
    assert_eq!(handle.watch().borrow().dead_lettered, 0);
    let there: Vec<String> =
        ids_in(&server, EVERY).await.into_iter().filter(|id| id.starts_with("00000000-0000-4000-")).collect();
    let expected: Vec<String> = (0..1000).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
    assert!(there == expected, "{} of them", there.len());
    shutdown.cancel();
}

/// Requests that are larger than the server takes are cut until they fit; a document that never does is refused.
async fn too_large_is_cut(server: &Server) {
    let mut batch = of_day(11, 0, 2000);
    let huge = format!(r#"{{"process":"web","namespace":"default","text":"{}"}}"#, "x".repeat(60 * 1024));
    Arc::make_mut(&mut batch[1000].event).data = watchpost::event::Data::parse(huge).expect("an object");
    let mut sink = resumed(config::Elasticsearch { batch_documents: 10_000, ..server.settings() }).await;
    let sent = sink.send(&batch).await;
    assert_eq!(sent.settled, all(2000).settled, "{sent:?}");
    let there = ids_in(server, &stream(11)).await;
    let refused: Vec<usize> = sent.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [1000], "{sent:?}");
    assert!(sent.refused[0].reason.starts_with("413"), "{}", sent.refused[0].reason);
    batch.remove(1000);
    assert!(there == ids(&batch), "{} of them", there.len());
}

/// With such a block the request as a whole is refused, not its documents, and with 403 like a missing privilege.
async fn a_block_of_the_whole_cluster_is_waited_for(server: &Server) {
    let read_only = |on: Value| json!({"persistent": {"cluster.blocks.read_only": on}});
    let mut sink = resumed(server.settings()).await;
    assert_eq!(sink.send(&of_day(12, 0, 1)).await, all(1));
    server.done("PUT", "/_cluster/settings", Some(read_only(true.into()))).await;
    let sent = sink.send(&of_day(12, 1, 3)).await;
    server.done("PUT", "/_cluster/settings", Some(read_only(Value::Null))).await;
    let Some(Error::Retryable(reason)) = &sent.error else { panic!("{sent:?}") };
    assert!(sent.settled == 0 && reason.contains("403 ") && reason.contains("cluster read-only"), "{sent:?}");
    assert_eq!(sink.send(&of_day(12, 1, 3)).await, all(3));
    assert_eq!(ids_in(server, &stream(12)).await.len(), 4);
}
