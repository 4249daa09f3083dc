//! The shipped Collector and Prometheus, by themselves: what they acknowledge they keep.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::support::collector::{Backends, Collector};
use super::support::http;
use super::support::prometheus::Prometheus;
use super::support::wait::until;

fn now() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos().to_string()
}

async fn send(url: &str, body: &Value) -> u16 {
    let sent = http::client().post(url).json(body).send().await;
    sent.expect("an answer").status().as_u16()
}

async fn send_log(to: &Collector, id: &str) -> u16 {
    let attributes = json!([
        {"key": "watchpost.event.id", "value": {"stringValue": id}},
        {"key": "watchpost.event.seq", "value": {"intValue": "7"}},
    ]);
    let record = json!({"timeUnixNano": now(), "body": {"stringValue": "said"}, "attributes": attributes});
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]});
    let body = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]});
    send(&format!("{}/v1/logs", to.http()), &body).await
}

async fn send_span(to: &Collector, id: &str) -> u16 {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = json!({"traceId": trace, "spanId": id, "name": "node", "kind": 1,
        "startTimeUnixNano": now(), "endTimeUnixNano": now()});
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
    send(&format!("{}/v1/traces", to.http()), &body).await
}

async fn send_count(to: &Collector, value: u32) -> u16 {
    let point = json!({"timeUnixNano": now(), "startTimeUnixNano": now(), "asInt": value.to_string()});
    let sum = json!({"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point]});
    let metric = json!({"name": "watchpost.process.restarts", "unit": "{restart}", "sum": sum});
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]});
    let body = json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]});
    send(&format!("{}/v1/metrics", to.http()), &body).await
}

fn ids(records: &[Value], name: &str) -> Vec<String> {
    records.iter().map(|record| record[name].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_collector_acknowledged_is_written_also_when_it_is_killed() {
    let mut collector = Collector::start(None);
    assert_eq!(send_log(&collector, "a").await, 200);
    assert_eq!(send_span(&collector, "00f067aa0ba902b7").await, 200);
    collector.kill();
    collector.restart();
    assert_eq!(send_log(&collector, "b").await, 200);
    collector.stop();
    let logs = collector.logs();
    let found: Vec<_> = logs.iter().map(|log| log["attributes"]["watchpost.event.id"].clone()).collect();
    assert_eq!(found, ["a", "b"]);
    assert_eq!(logs[0]["attributes"]["watchpost.event.seq"], 7);
    assert_eq!(logs[0]["resource"]["service.name"], "web");
    assert_eq!(ids(&collector.spans(), "spanId"), ["00f067aa0ba902b7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_wait_on_disk_while_prometheus_is_down_and_the_collector_is_killed() {
    let mut prometheus = Prometheus::start();
    let mut collector = Collector::start(Some(&prometheus.url()));
    assert_eq!(send_count(&collector, 1).await, 200);
    let restarts = "watchpost_process_restarts_total{service_name=\"web\"}";
    let count = async |prometheus: &Prometheus, value: f64| {
        until("the count", async || prometheus.number(restarts).await.filter(|found| *found == value)).await
    };
    count(&prometheus, 1.0).await;
    prometheus.stop();
    for value in 2..5 {
        assert_eq!(send_count(&collector, value).await, 200);
    }
    collector.kill();
    collector.restart();
    prometheus.restart();
    // What was under way when the Collector was killed comes last.
    let all = async |prometheus: &Prometheus| {
        let samples = prometheus.query(&format!("{restarts}[5m]")).await;
        let values = samples.first().and_then(|series| series["values"].as_array()).cloned().unwrap_or_default();
        let values: Vec<_> = values.into_iter().map(|sample| sample[1].clone()).collect();
        (values == ["1", "2", "3", "4"]).then_some(())
    };
    until("every sample", async || all(&prometheus).await).await;
    prometheus.kill();
    prometheus.restart();
    until("every sample after a kill", async || all(&prometheus).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_wait_on_disk_while_their_backend_is_down_and_the_collector_is_killed() {
    // The backend is a second Collector, as it takes the same OTLP as Tempo.
    let mut backend = Collector::stopped(Backends::default());
    let tempo = backend.grpc().replace("http://", "");
    let mut collector = Collector::with(Backends { tempo: Some(tempo), ..Backends::default() });
    for id in ["00f067aa0ba902b1", "00f067aa0ba902b2"] {
        assert_eq!(send_span(&collector, id).await, 200);
    }
    collector.kill();
    collector.restart();
    backend.restart();
    let all = until("the spans", async || Some(backend.spans()).filter(|spans| spans.len() >= 2)).await;
    let mut found = ids(&all, "spanId");
    found.sort();
    found.dedup();
    assert_eq!(found, ["00f067aa0ba902b1", "00f067aa0ba902b2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_an_answer_that_may_be_tried_again() {
    let small = vec![("queue_size: 1073741824", "queue_size: 300".to_owned())];
    let collector = Collector::with(Backends { edits: small, ..Backends::default() });
    let mut answers = Vec::new();
    for value in 0..10 {
        answers.push(send_count(&collector, value).await);
    }
    assert_eq!(answers[0], 200);
    assert_eq!(answers[9], 503, "{answers:?}");
    let told = http::client().get(collector.metrics()).send().await.expect("an answer").text().await.expect("text");
    let refused =
        |line: &str| line.starts_with("otelcol_exporter_enqueue_failed_metric_points") && !line.ends_with(" 0");
    assert!(told.lines().any(refused), "{told}");
}
