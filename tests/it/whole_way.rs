//! The whole way: sources → daemon → Collector → files and Prometheus, and daemon → Elasticsearch, all of them the
//! real ones. What arrives is held against the log and its folds: nothing is missing, nothing counts twice.

mod arrived;
mod conflict;
mod full;
mod killed;
mod log;
mod outages;
mod replayed;
mod world;

use watchpost::elasticsearch::{Connection, setup};

use self::log::{Folded, folded};
use super::support::collector::Collector;
use super::support::elasticsearch::Server;
use super::support::prometheus::Prometheus;
use super::support::standard::Standard;

/// What a daemon is told to deliver to, with more in its settings of OTLP and of Elasticsearch.
fn configuration(collector: &Collector, server: &Server, otlp: &str, elasticsearch: &str) -> String {
    format!(
        "otlp: {{endpoint: '{}', metrics_interval: 300ms, {otlp}}}\nelasticsearch: {{url: '{}', {elasticsearch}}}\n\
         telemetry: {{export: false}}\n",
        collector.grpc(),
        server.url()
    )
}

async fn template(server: &Server) {
    let settings = server.settings();
    setup(&Connection::new(&settings).expect("settings"), settings.retention).await.expect("a template");
}

/// Waits until everything is everywhere, and holds it against the log. Logs and spans may be two Collectors' files.
async fn check(
    mut folded: Folded,
    [logs, spans]: [&Collector; 2],
    server: &Server,
    prometheus: &Prometheus,
    once: bool,
) {
    arrived::documents(&folded, server).await;
    arrived::logs(&folded, logs, once).await;
    arrived::spans(&folded, spans, once).await;
    super::otlp_metrics::in_prometheus(prometheus, &folded.series()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_everywhere_once_with_the_spans_and_the_metrics_of_the_folds() {
    // Its own: the recordings have the same streams each time that they are played, by other tests too.
    let server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
    template(&server).await;
    let prometheus = Prometheus::start();
    let collector = Collector::start(Some(&prometheus.url()));
    let standard = Standard::start(&configuration(&collector, &server, "", "")).await;
    standard.sessions(1).await;
    standard.recordings_ended().await;
    standard.wait_until_all_is_told().await;
    let dir = standard.drain().await;
    let folded = folded(dir.path());
    assert!(folded.events.len() > 500 && folded.spans.len() > 100, "{} events", folded.events.len());
    check(folded, [&collector; 2], &server, &prometheus, true).await;
}
