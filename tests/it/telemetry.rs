//! Watchpost's own telemetry: what it measures is what was done, it arrives, and it feeds nothing.

mod away;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;
use watchpost::api::Listener;
use watchpost::config::{self, Api, Exporter, JetStream, Otlp, Secret, Settings};
use watchpost::daemon::{Daemon, Error, Shutdown};
use watchpost::event::Offset;
use watchpost::store::Store;
use watchpost::telemetry::names::{self, METRICS};
use watchpost::telemetry::{self, Telemetry};

use super::support::collector::Collector;
use super::support::exposition::Exposition;
use super::support::http;
use super::support::prometheus::{Prometheus, promtool};
use super::support::server::{Server, loopback};
use super::support::wait::until;

/// A daemon in this process, with its API at a free port.
struct Running {
    url: String,
    store: config::Store,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), Error>>,
    _dir: tempfile::TempDir,
}

impl Running {
    /// With these settings, but for places.
    async fn start(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = super::support::daemon::store(dir.path());
        let session = config::Session { spool: dir.path().join("spool"), ..config::Session::default() };
        let settings = Settings { store: store.clone(), session, api: loopback(), ..settings };
        let listener = Listener::bind(&settings.api.listen).await.expect("it binds").expect("a listener");
        let url = listener.url();
        let daemon = Daemon::start(settings, Some(listener)).await.expect("it starts");
        let shutdown = Shutdown::default();
        let task = tokio::spawn(daemon.run(shutdown.clone()));
        Self { url, store, shutdown, task, _dir: dir }
    }

    async fn post(&self, path: &str, body: serde_json::Value) -> u16 {
        let sent = http::client().post(format!("{}{path}", self.url)).json(&body).send().await;
        sent.expect("an answer").status().as_u16()
    }

    async fn metrics(&self) -> Exposition {
        let answer = http::client().get(format!("{}/metrics", self.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Exposition::parse(&answer.text().await.expect("text"))
    }

    /// Ends it; answers what its store has.
    async fn stop(self) -> std::ops::Range<Offset> {
        self.shutdown.drain.cancel();
        self.task.await.expect("no panic").expect("a quiet end");
        Store::open(&self.store).expect("it is closed").range()
    }
}

/// Events that are told of on a page.
const EVENTS: &str = "watchpost_ingest_events_total";

/// Settings with destinations where nobody listens.
fn nowhere() -> Settings {
    let nats = config::Nats { url: "nats://127.0.0.1:1".into(), ..config::Nats::default() };
    let metrics = Some(Exporter { endpoint: "http://127.0.0.1:1".into(), ..Exporter::default() });
    let often = Duration::from_millis(100);
    let otlp = Otlp { logs: None, spans: None, metrics, metrics_interval: often, ..Otlp::default() };
    let jetstream = Some(JetStream { nats, ..JetStream::default() });
    Settings { jetstream, otlp: Some(otlp), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_every_name_and_agree_with_what_was_done() {
    let daemon = Running::start(nowhere()).await;
    assert_eq!(daemon.post("/api/sessions", json!({"id": "one", "metadata": {}})).await, 201);
    for n in 0..20 {
        let event = json!({"type": "said", "data": {"n": n}});
        assert_eq!(daemon.post("/api/sessions/one/events", event).await, 201);
    }
    assert_eq!(daemon.post("/api/sessions/one/end", json!({"status": "completed"})).await, 200);
    assert_eq!(daemon.post("/api/sessions/one/events", json!({"type": "said"})).await, 409, "it is late");
    let nats = [("watchpost_sink_name", "jetstream-sessions")];
    let page = until("a failure of each sink", async || {
        let page = daemon.metrics().await;
        let failed = page.value("watchpost_metrics_exports_total", &[("watchpost_outcome", "failed")]);
        let failures = [failed, page.value("watchpost_sink_failures_total", &nats)];
        failures.iter().all(|failures| failures.is_some_and(|failures| failures > 0.0)).then_some(page)
    });
    let page = page.await;
    let found: BTreeSet<&str> = page.families.keys().map(String::as_str).collect();
    let names: Vec<String> = METRICS.iter().map(names::Metric::in_prometheus).collect();
    let expected = names.iter().map(String::as_str).chain(["target_info"]).collect();
    assert_eq!(found, expected);
    for (metric, name) in METRICS.iter().zip(&names) {
        assert_eq!(page.families[name], (metric.kind.name().into(), metric.about.into()), "{name}");
    }
    for (name, labels, expected) in [
        (EVENTS, &[][..], 22.0),
        ("watchpost_ingest_refused_total", &[("error_type", "ended")], 1.0),
        ("watchpost_ingest_refused_total", &[], 1.0),
        ("watchpost_ingest_commit_events_sum", &[], 22.0),
        ("watchpost_ingest_bus_events", &[], 0.0),
        ("watchpost_sink_lag_events", &nats, 22.0),
        ("watchpost_sink_delivered_total", &nats, 0.0),
        ("watchpost_metrics_exports_total", &[("watchpost_outcome", "completed")], 0.0),
        ("watchpost_metrics_exports_total", &[("watchpost_outcome", "refused")], 0.0),
        ("watchpost_dead_letters", &[("watchpost_dead_letter_kind", "late")], 1.0),
        ("watchpost_dead_letters", &[("watchpost_dead_letter_kind", "delivery")], 0.0),
        ("watchpost_store_healthy_ratio", &[], 1.0),
        (
            "http_server_request_duration_seconds_count",
            &[
                ("http_request_method", "POST"),
                ("http_route", "/api/sessions/{id}/events"),
                ("http_response_status_code", "201"),
            ],
            20.0,
        ),
        ("http_server_request_duration_seconds_count", &[("http_response_status_code", "409")], 1.0),
    ] {
        assert_eq!(page.value(name, labels), Some(expected), "{name} {labels:?}");
    }
    let commits = page.value("watchpost_ingest_commit_duration_seconds_count", &[]).expect("commits");
    let seconds = page.value("watchpost_ingest_commit_duration_seconds_sum", &[]).expect("their time");
    assert!((1.0..=22.0).contains(&commits) && seconds > 0.0 && seconds < 22.0, "{commits} in {seconds} s");
    assert!(page.value("watchpost_sink_lag_time_seconds", &nats).is_some_and(|lag| lag > 0.0 && lag < 60.0));
    assert!(page.value("watchpost_store_disk_bytes", &[]) >= page.value("watchpost_store_live_bytes", &[]));
    // Nothing of it is an event of ours, however often it is looked at.
    assert_eq!(daemon.metrics().await.value(EVENTS, &[]), Some(22.0));
    assert_eq!(daemon.stop().await, 0..22);
}

#[tokio::test]
async fn metrics_pass_promtool_and_need_the_token() {
    let api = Api { token: Some(Secret::new("right")), ..loopback() };
    let server = Server::start(api).await;
    assert_eq!(server.get("/metrics").await.status(), 401);
    let asked = http::client().get(format!("{}/metrics", server.url)).bearer_auth("right").send().await;
    let answer = asked.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.expect("text");
    // What was refused is counted too.
    let refused = Exposition::parse(&text)
        .value("http_server_request_duration_seconds_count", &[("http_response_status_code", "401")]);
    assert_eq!(refused, Some(1.0));
    let mut check = Command::new(promtool());
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("it runs");
    check.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let told = check.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    // `1` is the unit of what is no count, and its suffix is the translation's.
    let other: Vec<&str> = told.lines().filter(|line| !line.contains("_ratio")).collect();
    assert_eq!(other, Vec::<&str>::new());
    server.stop().await;
}

/// Settings whose own telemetry goes to a Collector.
fn exporting(to: String) -> Settings {
    let exporter = Exporter { endpoint: to, ..Exporter::default() };
    Settings { telemetry: config::Telemetry { exporter: Some(exporter) }, ..Settings::default() }
}

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// One thread, so that its subscriber sees all tasks.
#[tokio::test]
async fn traces_logs_and_metrics_arrive_over_grpc_with_the_resource() {
    let prometheus = Prometheus::start();
    let collector = Collector::start(Some(&prometheus.url()));
    check_arrival(exporting(collector.grpc()), &collector).await;
    // The last export is made at the end, so it has the last count.
    let arrived = async || prometheus.number("watchpost_ingest_events_total{service_name=\"watchpost\"}").await;
    assert_eq!(until("the metrics", arrived).await, 2.0);
    let lag = prometheus.query("watchpost_ingest_commit_duration_seconds_count").await;
    assert_eq!(lag[0]["metric"]["service_name"], "watchpost", "{lag:?}");
}

#[tokio::test]
async fn traces_and_logs_arrive_over_http() {
    let collector = Collector::start(None);
    let mut settings = exporting(collector.http());
    let exporter = settings.telemetry.exporter.as_mut().expect("it is set");
    (exporter.protocol, exporter.compression) = (config::Protocol::HttpProtobuf, config::Compression::Zstd);
    check_arrival(settings, &collector).await;
}

/// A daemon with its log, two events, and a caller that is traced: what the Collector wrote of that.
async fn check_arrival(settings: Settings, collector: &Collector) {
    let dir = tempfile::tempdir().expect("a folder");
    let (layers, slots) = telemetry::layers();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(layers));
    let session = config::Session { spool: dir.path().join("spool"), ..config::Session::default() };
    let store = super::support::daemon::store(dir.path());
    let settings = Settings { store: store.clone(), session, api: loopback(), ..settings };
    let telemetry = Telemetry::start(&settings).expect("an exporter");
    slots.fill(&telemetry);
    let within = tracing::debug_span!(target: names::SPANS, "within");
    within.in_scope(|| tracing::info!(target: "watchpost::test", "said within"));
    drop(within);
    let listener = Listener::bind(&settings.api.listen).await.expect("it binds").expect("a listener");
    let url = listener.url();
    let daemon = Daemon::start_with(settings, Some(listener), telemetry).await.expect("it starts");
    let shutdown = Shutdown::default();
    let running = tokio::spawn(daemon.run(shutdown.clone()));
    let begin = http::client().post(format!("{url}/api/sessions")).header("traceparent", CALLER);
    let begun = begin.json(&json!({"id": "one", "metadata": {}})).send().await.expect("an answer");
    assert_eq!(begun.status(), 201);
    let ended = http::client().post(format!("{url}/api/sessions/one/end")).json(&json!({"status": "completed"}));
    assert_eq!(ended.send().await.expect("an answer").status(), 200);
    assert_eq!(reqwest::get(format!("{url}/health")).await.expect("an answer").status(), 200);
    shutdown.drain.cancel();
    running.await.expect("no panic").expect("a quiet end");

    let spans = until("the spans", async || Some(collector.spans()).filter(|spans| spans.len() >= 4)).await;
    let names: BTreeSet<&str> = spans.iter().map(|span| span["name"].as_str().expect("a name")).collect();
    assert_eq!(names, BTreeSet::from(["POST /api/sessions", "POST /api/sessions/{id}/end", "drain", "within"]));
    let begin = spans.iter().find(|span| span["name"] == "POST /api/sessions").expect("it is there");
    assert_eq!(
        (begin["traceId"].as_str(), begin["parentSpanId"].as_str()),
        (Some(&CALLER[3..35]), Some(&CALLER[36..52]))
    );
    assert_eq!(begin["kind"], 2, "a server's");
    assert_eq!(begin["attributes"]["http.response.status_code"], 201, "{begin}");
    assert_eq!(begin["attributes"]["http.route"], "/api/sessions");
    let logs = until("the log", async || Some(collector.logs()).filter(|logs| !logs.is_empty())).await;
    let draining = logs.iter().find(|log| log["body"]["stringValue"] == "draining").expect("it was logged");
    assert_eq!(draining["severityText"], "INFO");
    let said = logs.iter().find(|log| log["body"]["stringValue"] == "said within").expect("it was logged");
    let within = spans.iter().find(|span| span["name"] == "within").expect("it is there");
    assert!(said["traceId"].is_string(), "{said}");
    assert_eq!((&said["traceId"], &said["spanId"]), (&within["traceId"], &within["spanId"]));
    assert!(logs.iter().all(|log| log.get("eventName").is_none()), "a place in the source is no name: {logs:?}");
    for told in spans.iter().chain(&logs) {
        let resource = &told["resource"];
        assert_eq!(resource["service.name"], "watchpost");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        let host = rustix::system::uname();
        assert_eq!(resource["host.name"].as_str(), host.nodename().to_str().ok());
        assert!(resource["service.instance.id"].as_str().is_some_and(|id| id.len() == 36), "{resource}");
    }
    assert_eq!(Store::open(&store).expect("it is closed").range(), 0..2, "own telemetry makes no event");
}

#[test]
fn the_page_about_own_telemetry_has_the_table() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/own-telemetry.md");
    let page = std::fs::read_to_string(page).expect("text");
    assert!(page.contains(&names::table()), "docs/own-telemetry.md should have:\n{}", names::table());
}

/// How long a shutdown may take that has nothing else to do.
const SOON: Duration = Duration::from_secs(4);
