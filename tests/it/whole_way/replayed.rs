//! Everything is sent again to backends that have lost it.

use serde_json::Value;

use super::super::support::collector::Collector;
use super::super::support::elasticsearch::Server;
use super::super::support::wait::until;
use super::killed::Killed;
use super::{arrived, configuration, template};

/// What the backends have.
#[derive(Debug, PartialEq)]
struct Copy {
    logs: Vec<Value>,
    spans: Vec<Value>,
    documents: Vec<(String, Value)>,
}

impl Copy {
    /// Waits until there are so many events, and the span of each session.
    async fn of(events: usize, sessions: usize, collector: &Collector, server: &Server) -> Self {
        until("a copy", async || {
            let (logs, spans) = (collector.logs(), collector.spans());
            let documents = server.documents("logs-watchpost.otel-*").await;
            let ended = spans.iter().filter(|span| arrived::is_session(span)).count();
            let there = logs.len() == events && documents.len() == events && ended == sessions;
            let (logs, spans) = (arrived::without_repeats(logs), arrived::without_repeats(spans));
            there.then_some(Self { logs, spans, documents })
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_whole_store_to_an_empty_backend_gives_the_same() {
    let mut server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
    template(&server).await;
    let mut collector = Collector::start(None);
    let mut daemon = Killed::start(configuration(&collector, &server, "", "")).await;
    daemon.session().await;
    daemon.session().await;
    let events = daemon.run(&["events", "query", "--json"]).await.expect("events").lines().count();
    let first = Copy::of(events, 2, &collector, &server).await;
    daemon.behind(&[]).await;

    collector.stop();
    for file in ["logs.jsonl", "spans.jsonl"] {
        std::fs::remove_file(collector.dir().join(file)).expect("it was written");
    }
    collector.restart();
    let server = tokio::task::spawn_blocking(move || {
        server.wipe();
        server
    })
    .await
    .expect("a server");
    template(&server).await;

    for (sink, resets) in [("otlp", 2), ("elasticsearch", 1)] {
        let told = daemon.run(&["sinks", "reset", sink, "--from", "start"]).await.expect("a reset");
        assert_eq!(told.lines().count(), resets, "{told}");
    }
    let second = Copy::of(events, 2, &collector, &server).await;
    assert_eq!(second, first);
    let metrics = daemon.run(&["sinks", "reset", "otlp-metrics", "--from", "start"]).await;
    assert!(metrics.is_err_and(|error| error.contains("cannot be reset") || error.contains("no sink")));
    daemon.drain().await;
}
