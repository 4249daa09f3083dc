//! A log, its fold, the Collector and Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::config::Exporter;
use watchpost::deliver::{self, Delivery};
use watchpost::demo::Workload;
use watchpost::event::{Data, Draft, Event, Kind, StreamId, Subject, Timestamp};
use watchpost::otel::metrics::{MAX_REQUEST, Metrics};
use watchpost::otel::{Span, Tracker};
use watchpost::sink::otlp::metrics::{self, Counts};
use watchpost::sink::otlp::{Channel, Signal};
use watchpost::state::process::{Process, Processes};
use watchpost::store::Submission;

use super::super::playback;
use super::super::recordings;
use super::super::support::collector::Collector;
use super::super::support::history;
use super::super::support::log::Log;
use super::super::support::prometheus::Prometheus;
use super::super::support::session;
use super::super::support::wait::until;
use super::series::{Series, of_requests};

/// Everything that metrics go through.
pub(crate) struct Stack {
    pub(crate) prometheus: Prometheus,
    pub(crate) collector: Collector,
    pub(crate) exporter: Exporter,
    log: Log,
    max_series: usize,
    running: Option<Running>,
}

struct Running {
    stop_fold: CancellationToken,
    stop_exporter: CancellationToken,
    fold: JoinHandle<()>,
    exporter: JoinHandle<()>,
    counts: Arc<Counts>,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

impl Stack {
    pub(crate) fn start(max_series: usize) -> Self {
        let prometheus = Prometheus::start();
        let collector = Collector::start(Some(&prometheus.url()));
        let exporter = Exporter { endpoint: collector.grpc(), ..Exporter::default() };
        Self { prometheus, collector, exporter, log: Log::new(), max_series, running: None }
    }

    /// Starts what a daemon starts: the delivery to the fold, and the exporter.
    pub(crate) fn deliver(&mut self) {
        let store = self.log.store.clone();
        let channel = Channel::new(&self.exporter, Signal::Metrics).expect("a channel");
        let interval = Duration::from_millis(300);
        let (fold, exporter) = metrics::new(self.max_series, interval, store.range().end, channel);
        let counts = exporter.counts();
        let (delivery, _handle) = Delivery::new("otlp-metrics", fold, store, deliver::Settings::default());
        let (stop_fold, stop_exporter) = (CancellationToken::new(), CancellationToken::new());
        let fold = tokio::spawn(delivery.run(stop_fold.clone()));
        let exporter = tokio::spawn(exporter.run(stop_exporter.clone()));
        self.running = Some(Running { stop_fold, stop_exporter, fold, exporter, counts });
    }

    /// Ends it as a daemon does: the fold, then the exporter.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop_fold.cancel();
        running.fold.await.expect("no panic");
        running.stop_exporter.cancel();
        running.exporter.await.expect("no panic");
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn crash(&mut self) {
        let running = self.running.take().expect("it runs");
        for task in [running.fold, running.exporter] {
            task.abort();
            let _aborted = task.await;
        }
    }

    pub(crate) async fn commit(&self, drafts: Vec<Draft>) {
        for drafts in drafts.chunks(500) {
            self.log.ingest.submit(Submission::events(drafts.to_vec())).await.expect("room");
        }
    }

    /// Plays a recording of process-compose into the log.
    pub(crate) async fn record(&self, source: &str, recording: &str) {
        playback::record(&self.log, source, &recordings::read(recording)).await;
    }

    /// Waits until everything that is committed was taken by the Collector.
    pub(crate) async fn exported(&self) {
        self.rises("exports", |counts| &counts.taken).await;
    }

    /// Waits until exports fail.
    pub(crate) async fn failed(&self) {
        self.rises("failures", |counts| &counts.failed).await;
    }

    /// Two more: the first may have been under way before what it is to tell of.
    async fn rises(&self, what: &str, of: impl Fn(&Counts) -> &AtomicU64) {
        let counts = &self.running.as_ref().expect("it runs").counts;
        let count = || of(counts).load(Ordering::Relaxed);
        let before = count();
        until(what, async || Some(()).filter(|()| count() >= before + 2)).await;
    }

    /// What a fold of its own says of the whole log.
    pub(crate) fn expected(&self) -> Vec<Series> {
        of_requests(&self.folded().0.export(now(), MAX_REQUEST))
    }

    /// The spans that ended.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.folded().1
    }

    /// What Prometheus has to say of the log by plain counting, without the fold.
    pub(crate) fn counted(&self) -> Vec<(String, f64)> {
        let events = self.log.events();
        let count = |kind: &str| events.iter().filter(|event| event.kind.as_str() == kind).count() as f64;
        let data = |event: &Event| event.data.read::<serde_json::Value>().expect("an object");
        let sum = |kind: &str, field: &str| {
            let of = events.iter().filter(|event| event.kind.as_str() == kind);
            of.filter_map(|event| data(event)[field].as_f64()).sum::<f64>()
        };
        let ended = count("node_generation_completed") + count("node_generation_failed");
        let tried = count("provider_response_received") + count("provider_request_failed");
        let mut state = Processes::default();
        events.iter().for_each(|event| state.apply(event));
        let of_processes = |of: fn(&Process) -> u64| {
            state.sources.values().flat_map(|source| source.processes.values()).map(of).sum::<u64>() as f64
        };
        let outcome = |name: &str, outcome: &str| format!("sum({name}{{watchpost_outcome=\"{outcome}\"}})");
        let total = |name: &str| format!("sum({name})");
        let tokens = |kind: &str| format!("sum(gen_ai_client_token_usage_sum{{gen_ai_token_type=\"{kind}\"}})");
        vec![
            (total("watchpost_events_total"), events.len() as f64),
            (outcome("watchpost_nodes_total", "completed"), count("node_generation_completed")),
            (outcome("watchpost_nodes_total", "failed"), count("node_generation_failed")),
            (outcome("watchpost_nodes_total", "skipped"), count("node_skipped")),
            (total("watchpost_node_active"), count("node_generation_started") - ended),
            (total("watchpost_node_duration_seconds_count"), ended),
            (total("watchpost_level_duration_seconds_count"), count("level_completed")),
            (outcome("watchpost_provider_attempts_total", "completed"), count("provider_response_received")),
            (outcome("watchpost_provider_attempts_total", "failed"), count("provider_request_failed")),
            (total("watchpost_provider_active"), count("provider_request_sent") - tried),
            (total("watchpost_provider_retries_total"), count("provider_request_retrying")),
            (total("watchpost_queue_deduplicated_total"), count("request_deduplicated")),
            (total("watchpost_queue_wait_duration_seconds_count"), count("request_processing")),
            (tokens("input"), sum("provider_response_received", "input_tokens")),
            (tokens("output"), sum("provider_response_received", "output_tokens")),
            (total("watchpost_session_active"), count("session_started") - count("session_ended")),
            (total("watchpost_process_up_ratio"), of_processes(|process| u64::from(process.up))),
            (total("watchpost_process_starts_total"), of_processes(|process| process.runs)),
            (total("watchpost_process_restarts_total"), of_processes(|process| process.restarts)),
            (outcome("watchpost_process_exits_total", "failed"), of_processes(|process| process.crashes)),
            (total("watchpost_process_run_duration_seconds_count"), count("stopped") + count("crashed")),
        ]
    }

    /// One whole request at that time, encoded.
    pub(crate) fn request(&self, at: Timestamp) -> Vec<u8> {
        let mut requests = self.folded().0.export(at, MAX_REQUEST);
        for resource in requests.iter_mut().flat_map(|request| &mut request.resource_metrics) {
            series_at(resource, at);
        }
        requests.remove(0).encode_to_vec()
    }

    fn folded(&self) -> (Metrics, Vec<Span>) {
        let (mut tracker, mut metrics) = (Tracker::default(), Metrics::new(self.max_series));
        let mut spans = Vec::new();
        for event in self.log.events() {
            let told = tracker.apply(&event);
            metrics.apply(&event, &told);
            spans.extend(told.spans);
        }
        (metrics, spans)
    }
}

/// Sets the time of every counter's point, which an export would not do.
fn series_at(resource: &mut opentelemetry_proto::tonic::metrics::v1::ResourceMetrics, at: Timestamp) {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    for metric in resource.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
        if let Some(Data::Sum(sum)) = &mut metric.data {
            for point in &mut sum.data_points {
                point.time_unix_nano = at.as_millis() as u64 * 1_000_000;
            }
        }
    }
}

/// The first events of a session that begins now.
pub(crate) fn drafts(id: &str, workload: Workload, count: usize) -> Vec<Draft> {
    let (id, begin) = (StreamId::new(id).expect("an id"), now());
    let steps = workload.steps().take(count);
    steps
        .map(|step| Draft { ts: Some(begin.plus_millis(step.at_ms as i64)), ..session::draft(&id, &step) })
        .collect()
}

/// The same of a session that belongs to another service.
pub(crate) fn of_service(draft: Draft, service: Option<&str>) -> Draft {
    let mut data: serde_json::Value = draft.data.read().expect("an object");
    data["service"] = service.into();
    Draft { data: Data::from_value(&data).expect("an object"), ..draft }
}

/// The start of a process in a life of the supervisor `main`.
pub(crate) fn started(stream: &str, name: &str) -> Draft {
    let kind = Kind::new("started").expect("a type");
    let subject = Subject::process("core.process", "default", name, &kind).expect("a subject");
    let draft = history::draft(0, name, "started");
    Draft { id: None, ts: Some(now()), session: StreamId::new(stream).expect("an id"), subject, ..draft }
}
