//! Metrics on the real Collector and the real Prometheus: every one of the table is there, and is what the fold
//! says, through restarts and outages.

pub(crate) mod series;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use watchpost::config::{Exporter, Protocol};
use watchpost::demo::Workload;
use watchpost::otel::names::metrics::{Instrument, METRICS};
use watchpost::sink::otlp::{Channel, Fail, Signal};

use self::series::{Kind, Sample, Series};
use self::stack::{Stack, drafts, now};
use super::support::prometheus::Prometheus;
use super::support::wait::until;

/// Waits until Prometheus has what the fold of the whole log says: every series with its value, and no other.
async fn check(stack: &Stack) -> Vec<Series> {
    let expected = stack.expected();
    compare(&stack.prometheus, &expected, true).await;
    expected
}

/// Waits until Prometheus has these series with these values. It may have others: those of what is gone are there
/// for five minutes.
pub(crate) async fn in_prometheus(prometheus: &Prometheus, expected: &[Series]) {
    compare(prometheus, expected, false).await;
}

async fn compare(prometheus: &Prometheus, expected: &[Series], no_other: bool) {
    let wanted: BTreeMap<Sample, f64> = expected.iter().flat_map(Series::samples).collect();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = prometheus.query(r#"{__name__=~".+",__name__!="target_info"}"#).await;
        let found: BTreeMap<Sample, f64> = found.iter().map(series::sample).collect();
        let is = |(sample, value): &(&Sample, &f64)| {
            found.get(*sample).is_some_and(|found| (found - **value).abs() <= 1e-9 * value.abs())
        };
        let wrong: Vec<_> =
            wanted.iter().filter(|one| !is(one)).map(|(at, value)| (at, value, found.get(at))).collect();
        let strange: Vec<_> = found.keys().filter(|sample| no_other && !wanted.contains_key(*sample)).collect();
        if wrong.is_empty() && strange.is_empty() {
            return;
        }
        let (some, other) = (&wrong[..wrong.len().min(5)], &strange[..strange.len().min(5)]);
        let (total, too_many) = (wrong.len(), strange.len());
        assert!(Instant::now() < deadline, "{total} wrong: {some:#?}, {too_many} that nobody knows: {other:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// No series that counts has ever begun anew.
async fn check_resets(stack: &Stack) {
    for metric in METRICS.iter().filter(|metric| metric.instrument == Instrument::Counter) {
        let resets = format!("sum(resets({}[1h])) > 0", metric.prometheus);
        assert_eq!(stack.prometheus.query(&resets).await, [] as [Value; 0], "{}", metric.prometheus);
    }
    for metric in METRICS.iter().filter(|metric| matches!(metric.instrument, Instrument::Histogram(_))) {
        let resets = format!("sum(resets({}_count[1h])) > 0", metric.prometheus);
        assert_eq!(stack.prometheus.query(&resets).await, [] as [Value; 0], "{}", metric.prometheus);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_table_is_in_prometheus_as_the_fold_says() {
    let mut stack = Stack::start(2000);
    stack.deliver();
    stack.commit(drafts("s-whole", Workload::default(), usize::MAX)).await;
    stack.commit(drafts("s-half", Workload { seed: 2, ..Workload::default() }, 200)).await;
    tokio::join!(stack.record("main", "health.0.5"), stack.record("other", "restarts.0.5"));
    let expected = check(&stack).await;
    let there: BTreeSet<&str> = expected.iter().map(|series| series.metric.name.name).collect();
    let all = METRICS.iter().map(|metric| metric.name.name);
    let missing: Vec<&str> = all.filter(|name| !there.contains(name)).collect();
    // Its own test has it.
    assert_eq!(missing, ["watchpost.metrics.overflow"]);
    for (expression, value) in stack.counted() {
        assert_eq!(stack.prometheus.number(&expression).await, Some(value), "{expression}");
    }
    check_resets(&stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_that_is_restarted_in_the_middle_repeats_no_count_and_resets_no_series() {
    let mut stack = Stack::start(2000);
    let mut drafts = drafts("s-1", Workload { levels: 6, nodes: 30, ..Workload::default() }, usize::MAX);
    stack.deliver();
    for part in 0..4 {
        let rest = drafts.split_off((drafts.len() / (4 - part)).min(drafts.len()));
        stack.commit(std::mem::replace(&mut drafts, rest)).await;
        check(&stack).await;
        if part % 2 == 0 {
            // Killed: what was not saved yet is folded again.
            stack.crash().await;
        } else {
            stack.stop().await;
        }
        stack.deliver();
    }
    stack.commit(drafts).await;
    let expected = check(&stack).await;
    let nodes = expected.iter().filter(|series| series.metric.name.name == "watchpost.nodes");
    let count = |series: &Series| if let Kind::Number(count) = series.kind { count as u64 } else { 0 };
    assert_eq!(nodes.map(count).sum::<u64>(), 6 * 30 + 1);
    check_resets(&stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_right_after_prometheus_and_the_collector_were_away() {
    let mut stack = Stack::start(2000);
    let mut drafts = drafts("s-1", Workload::default(), usize::MAX);
    let rest = drafts.split_off(100);
    stack.deliver();
    stack.commit(drafts).await;
    check(&stack).await;
    stack.prometheus.stop();
    let mut rest = rest.into_iter();
    stack.commit(rest.by_ref().take(100).collect()).await;
    stack.exported().await;
    // Then the Collector too: what is exported now nobody takes.
    stack.collector.kill();
    stack.commit(rest.by_ref().take(50).collect()).await;
    stack.failed().await;
    stack.collector.restart();
    stack.prometheus.restart();
    stack.commit(rest.collect()).await;
    check(&stack).await;
    check_resets(&stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_the_limit_is_in_one_series_and_counted() {
    let mut stack = Stack::start(3);
    stack.deliver();
    for number in 0..6 {
        let service = Some(format!("service-{number}"));
        let drafts = drafts(&format!("s-{number}"), Workload::default(), 1);
        stack.commit(drafts.into_iter().map(|draft| stack::of_service(draft, service.as_deref())).collect()).await;
    }
    let expected = check(&stack).await;
    let overflow = expected.iter().filter(|series| series.metric.name.name == "watchpost.metrics.overflow");
    assert!(overflow.count() >= 2, "{expected:#?}");
    let starts = "watchpost_session_starts_total{otel_metric_overflow=\"true\"}";
    assert_eq!(stack.prometheus.number(starts).await, Some(3.0));
    let counted = "watchpost_metrics_overflow_total{watchpost_metric_name=\"watchpost.session.starts\"}";
    assert_eq!(stack.prometheus.number(counted).await, Some(3.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_lead_to_the_spans_of_what_was_measured() {
    let mut stack = Stack::start(2000);
    let begin = now();
    stack.deliver();
    stack.commit(drafts("s-1", Workload::default(), usize::MAX)).await;
    check(&stack).await;
    let spans = stack.spans();
    let (start, end) = ((begin.as_millis() / 1000 - 60).to_string(), (now().as_millis() / 1000 + 60).to_string());
    let queries = ["watchpost_node_duration_seconds_bucket", "watchpost_nodes_total"];
    for query in queries {
        let parameters = [("query", query), ("start", &*start), ("end", &*end)];
        let found = until("exemplars", async || {
            let data = stack.prometheus.ask("/api/v1/query_exemplars", &parameters).await;
            Some(data.as_array().expect("a list").clone()).filter(|list| !list.is_empty())
        });
        for exemplar in found.await.iter().flat_map(|series| series["exemplars"].as_array().expect("a list")) {
            let label = |name: &str| exemplar["labels"][name].as_str().expect("an id").to_owned();
            let value: f64 = exemplar["value"].as_str().expect("text").parse().expect("a number");
            let of = spans.iter().find(|span| {
                span.trace_id.to_string() == label("trace_id") && span.span_id.to_string() == label("span_id")
            });
            let span = of.unwrap_or_else(|| panic!("{query}: no such span: {exemplar}"));
            if query.ends_with("bucket") {
                let seconds = (span.end.as_millis() - span.start.as_millis()) as f64 / 1000.0;
                assert!((seconds - value).abs() < 1e-9, "{exemplar} of {span:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gauges_of_processes_that_are_gone_are_gone_at_once_and_their_counters_stay() {
    let mut stack = Stack::start(2000);
    stack.deliver();
    stack.commit(vec![stack::started("proc-main-1", "old"), stack::started("proc-main-1", "both")]).await;
    check(&stack).await;
    assert_eq!(stack.prometheus.number("count(watchpost_process_up_ratio)").await, Some(2.0));
    stack.commit(vec![stack::started("proc-main-2", "both")]).await;
    check(&stack).await;
    let up = until("the end of the old one", async || {
        Some(stack.prometheus.query("watchpost_process_up_ratio").await).filter(|found| found.len() == 1)
    });
    assert_eq!(up.await[0]["metric"]["service_name"], "both");
    let starts = "watchpost_process_starts_total{service_name=\"old\"}";
    assert_eq!(stack.prometheus.number(starts).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_prometheus_takes_the_same_and_says_why_it_refuses() {
    let mut stack = Stack::start(2000);
    let endpoint = format!("{}/api/v1/otlp/v1/metrics", stack.prometheus.url());
    stack.exporter = Exporter { endpoint, protocol: Protocol::HttpProtobuf, ..Exporter::default() };
    stack.deliver();
    stack.commit(drafts("s-1", Workload::default(), usize::MAX)).await;
    check(&stack).await;
    stack.stop().await;
    // An hour late, which no export is.
    let channel = Channel::new(&stack.exporter, Signal::Metrics).expect("a channel");
    let late = stack.request(now().plus_millis(-3_600_000));
    match channel.export(late.into()).await {
        Err(Fail::Refused(message)) => assert!(message.contains("too old sample"), "{message}"),
        other => panic!("{other:?}"),
    }
}
