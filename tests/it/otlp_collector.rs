//! Delivery over OTLP to the real Collector, whatever happens to it.

use std::collections::HashMap;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchpost::config::{Compression, Exporter, Otlp, Protocol};
use watchpost::dead_letter;
use watchpost::demo::Workload;
use watchpost::sink::otlp::{Logs, Spans};
use watchpost::store::{Limit, Store, Submission};

use super::support::collector::{Backends, Collector};
use super::support::delivering::Delivering;
use super::support::history::{Log, draft};
use super::support::session::Written;
use super::support::wait::until;

/// Small requests, so that there are many.
fn small() -> Otlp {
    Otlp { batch_records: 20, window: 4, ..Otlp::default() }
}

fn exporter(collector: &Collector, protocol: Protocol, compression: Compression) -> Exporter {
    let endpoint = match protocol {
        Protocol::Grpc => collector.grpc(),
        Protocol::HttpProtobuf => format!("{}/v1/logs", collector.http()),
    };
    Exporter { endpoint, protocol, compression, timeout: Duration::from_secs(2), ..Exporter::default() }
}

/// Commits so many events, the first with number `from`.
async fn emit(log: &Log, from: u64, count: u64) {
    let drafts: Vec<_> = (from..from + count).map(|n| draft(n, "web", "started")).collect();
    for drafts in drafts.chunks(500) {
        log.ingest.submit(Submission::events(drafts.to_vec())).await.expect("room");
    }
}

fn ids(store: &Store) -> Vec<String> {
    let page = store.log(0, Limit::events(10_000)).expect("readable");
    page.iter().map(|logged| logged.event.id.to_string()).collect()
}

/// How often each of the records is there, by a name within it.
fn count(records: &[Value], id: impl Fn(&Value) -> &Value) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for record in records {
        *counts.entry(id(record).as_str().expect("an id").to_owned()).or_default() += 1;
    }
    counts
}

/// How often each event is there.
fn events(collector: &Collector) -> HashMap<String, usize> {
    count(&collector.logs(), |log| &log["attributes"]["watchpost.event.id"])
}

/// Every event is there, and at most `most` times.
fn complete(found: &HashMap<String, usize>, store: &Store, most: usize) {
    let ids = ids(store);
    let missing: Vec<&String> = ids.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), ids.len());
    assert_eq!(found.len(), ids.len(), "others are there");
    assert!(found.values().all(|times| *times <= most), "more often than {most} times");
    assert_eq!(dead_letter::stats(store).expect("readable"), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_over_both_protocols_whatever_the_compression() {
    let collector = Collector::start(None);
    let log = Log::on(Store::memory());
    let ways = [Protocol::Grpc, Protocol::HttpProtobuf].into_iter().flat_map(|protocol| {
        [Compression::None, Compression::Gzip, Compression::Zstd].map(|compression| (protocol, compression))
    });
    emit(&log, 0, 500).await;
    for (round, (protocol, compression)) in (1..).zip(ways) {
        let sink = Logs::new(&small(), exporter(&collector, protocol, compression));
        let delivering = Delivering::start(&format!("otlp-{round}"), sink, &log.store);
        delivering.drained().await;
        delivering.stop().await;
        let found = events(&collector);
        complete(&found, &log.store, round);
        assert!(found.values().all(|times| *times == round), "{protocol:?} {compression:?}");
    }
    log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_collector_is_stopped_killed_and_stuck() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut collector = Collector::stopped(Backends::default());
        let log = Log::on(Store::memory());
        emit(&log, 0, 200).await;
        let quick =
            Exporter { timeout: Duration::from_millis(500), ..exporter(&collector, protocol, Compression::Gzip) };
        let delivering = Delivering::start("otlp-logs", Logs::new(&small(), quick), &log.store);
        until("it to notice", async || delivering.handle.watch().borrow().last_error.clone()).await;
        collector.restart();
        delivering.drained().await;
        // Until here, nothing was under way when it ended: each is there once.
        complete(&events(&collector), &log.store, 1);
        collector.stop();
        emit(&log, 200, 200).await;
        collector.restart();
        delivering.drained().await;
        complete(&events(&collector), &log.store, 1);
        for round in 2..6 {
            let at = delivering.offset();
            emit(&log, round * 200, 200).await;
            until("some to arrive", async || (delivering.offset() > at).then_some(())).await;
            collector.kill();
            collector.restart();
        }
        let pid = Pid::from_raw(i32::try_from(collector.pid()).expect("a pid")).expect("a pid");
        kill_process(pid, Signal::STOP).expect("it runs");
        emit(&log, 1200, 200).await;
        until("it to notice", async || (delivering.handle.watch().borrow().failures > 1).then_some(())).await;
        kill_process(pid, Signal::CONT).expect("it runs");
        delivering.drained().await;
        delivering.stop().await;
        // What was under way at a kill, or was not answered in time, may be there again: by its id it counts once.
        complete(&events(&collector), &log.store, 20);
        log.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_short_of_memory_gets_everything_later() {
    let limits = [
        ("${env:COLLECTOR_MEMORY_MIB:-400}", "12".to_owned()),
        ("spike_limit_mib: 100", "spike_limit_mib: 11".to_owned()),
    ];
    let mut collector = Collector::with(Backends { edits: limits.to_vec(), ..Backends::default() });
    for (protocol, mut number) in [(Protocol::Grpc, 0), (Protocol::HttpProtobuf, 100_000)] {
        let log = Log::on(Store::memory());
        let sink = Logs::new(&small(), exporter(&collector, protocol, Compression::Gzip));
        let delivering = Delivering::start("otlp-logs", sink, &log.store);
        // It looks at its memory once a second.
        let refused = until("it to refuse", async || {
            emit(&log, number, 10).await;
            number += 10;
            delivering.handle.watch().borrow().last_error.clone()
        });
        let error = refused.await;
        assert!(error.message.contains("memory"), "{}", error.message);
        let file = collector.dir().join("collector.yaml");
        let tight = std::fs::read_to_string(&file).expect("its configuration");
        collector.stop();
        std::fs::write(&file, tight.replace("limit_mib: 12", "limit_mib: 400")).expect("written");
        collector.restart();
        delivering.drained().await;
        delivering.stop().await;
        let found: HashMap<String, usize> =
            events(&collector).into_iter().filter(|(id, _)| ids(&log.store).contains(id)).collect();
        complete(&found, &log.store, 2);
        collector.stop();
        std::fs::write(&file, tight).expect("written");
        collector.restart();
        log.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_larger_than_the_collector_takes_are_split() {
    let limit = vec![("max_recv_msg_size_mib: 16", "max_recv_msg_size_mib: 1".to_owned())];
    let collector = Collector::with(Backends { edits: limit, ..Backends::default() });
    let log = Log::on(Store::memory());
    emit(&log, 0, 4000).await;
    let large = Otlp { batch_records: 8192, batch_bytes: 8 << 20, ..Otlp::default() };
    let sink = Logs::new(&large, exporter(&collector, Protocol::Grpc, Compression::Gzip));
    let delivering = Delivering::start("otlp-logs", sink, &log.store);
    delivering.drained().await;
    delivering.stop().await;
    complete(&events(&collector), &log.store, 1);
    log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_wait_in_the_log_while_the_collectors_queue_is_full() {
    let mut backend = Collector::stopped(Backends::default());
    let mut collector = Collector::with(Backends::small_queue(&backend));
    let store = Store::memory();
    let mut written = Written::new(store.clone(), "chain-1", &Workload::default());
    while written.write(1000) > 0 {}
    written.close();
    let sink = Spans::new(&small(), exporter(&collector, Protocol::Grpc, Compression::Zstd));
    let delivering = Delivering::start("otlp-spans", sink, &store);
    let error = until("it to be full", async || delivering.handle.watch().borrow().last_error.clone()).await;
    assert!(error.message.contains("queue is full"), "{}", error.message);
    collector.kill();
    collector.restart();
    backend.restart();
    delivering.drained().await;
    delivering.stop().await;
    let sent = {
        let mut tracker = watchpost::otel::Tracker::default();
        let log = store.log(0, Limit::events(10_000)).expect("readable");
        log.iter()
            .flat_map(|logged| tracker.apply(&logged.event).spans)
            .map(|span| span.span_id.to_string())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let found = until("all spans", async || {
        let found = count(&backend.spans(), |span| &span["spanId"]);
        (found.len() >= sent.len()).then_some(found)
    });
    assert_eq!(found.await.into_keys().collect::<std::collections::BTreeSet<_>>(), sent);
}
