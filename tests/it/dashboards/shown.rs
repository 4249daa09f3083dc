//! Every expression of every dashboard, on a real Prometheus: daemon → Collector → Prometheus.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::board::boards;
use super::promql;
use crate::it::support::collector::Collector;
use crate::it::support::prometheus::Prometheus;
use crate::it::support::standard::Standard;

/// How long the workload goes on at most, once the recordings are over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Expressions that have given nothing yet, each with the dashboard that it is of.
type Waiting = BTreeMap<String, String>;

fn all() -> Waiting {
    let of = |board| -> Vec<(String, String)> {
        let expressions = promql::expressions(board).into_iter();
        expressions.map(|expr| (promql::without_nought(&expr).to_owned(), board.name.clone())).collect()
    };
    boards().iter().flat_map(of).collect()
}

/// Whether there is a number among what came.
fn is_data(found: &[Value]) -> bool {
    found.iter().any(|series| series["value"][1].as_str().is_some_and(|value| value != "NaN"))
}

/// Those that give nothing now either.
async fn still(prometheus: &Prometheus, waiting: Waiting) -> Waiting {
    let mut left = Waiting::new();
    for (expression, board) in waiting {
        if !is_data(&prometheus.query(&expression).await) {
            left.insert(expression, board);
        }
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expression_returns_data_from_prometheus_after_the_standard_workload() {
    let prometheus = Prometheus::start();
    let collector = Collector::start(Some(&prometheus.url()));
    let endpoint = collector.grpc();
    let more = format!("otlp: {{endpoint: '{endpoint}', metrics_interval: 1s}}\ntelemetry: {{export: true}}");
    let standard = Standard::start(&more).await;
    let mut waiting = all();
    assert!(waiting.len() > 60, "{}", waiting.len());
    let deadline = Instant::now() + PATIENCE;
    for seed in 1.. {
        let sessions = standard.sessions(seed);
        tokio::pin!(sessions);
        while tokio::time::timeout(Duration::from_secs(1), &mut sessions).await.is_err() {
            waiting = still(&prometheus, waiting).await;
        }
        waiting = still(&prometheus, waiting).await;
        if waiting.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{} give nothing: {waiting:#?}", waiting.len());
    }
    standard.drain().await;
}
