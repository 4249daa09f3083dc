//! A real Collector on loopback, of the shipped configuration; what has no backend in a test it writes to files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::otlp_json::records;
use super::port::free_port;
use super::started::{Started, answers_ok, paths};

/// A Collector with its own queues and files; killed when it is dropped.
pub(crate) struct Collector {
    started: Option<Started>,
    dir: TempDir,
    grpc: u16,
    http: u16,
    health: u16,
    metrics: u16,
    backends: Backends,
}

/// Where a Collector sends what it does not write to files, and what is other in its configuration.
#[derive(Default)]
pub(crate) struct Backends {
    /// Prometheus's URL; without one, metrics wait in their queue.
    pub(crate) prometheus: Option<String>,
    /// Tempo's OTLP port, `HOST:PORT`; without one, spans are written to a file.
    pub(crate) tempo: Option<String>,
    /// Texts of the configuration, and what stands there instead: for faults.
    pub(crate) edits: Vec<(&'static str, String)>,
}

impl Backends {
    /// Those of spans that go to another Collector, over a queue that a session fills. What was waiting is tried
    /// again within a second once that one is back.
    pub(crate) fn small_queue(tempo: &Collector) -> Self {
        let edits = [
            ("queue_size: 1073741824\n      num_consumers: 2", "queue_size: 20000\n      num_consumers: 2"),
            ("min_size: 1048576", "min_size: 4000"),
            ("max_size: 4194304", "max_size: 8000"),
            ("max_interval: 30s", "max_interval: 1s"),
        ];
        let edits = edits.map(|(from, to)| (from, to.to_owned())).to_vec();
        Self { tempo: Some(tempo.grpc().replace("http://", "")), edits, ..Self::default() }
    }
}

impl Collector {
    /// Starts one that writes logs and spans to files, and sends metrics to Prometheus, if there is one.
    pub(crate) fn start(prometheus: Option<&str>) -> Self {
        Self::with(Backends { prometheus: prometheus.map(str::to_owned), ..Backends::default() })
    }

    /// Starts one with these backends.
    pub(crate) fn with(backends: Backends) -> Self {
        let mut collector = Self::stopped(backends);
        collector.restart();
        collector
    }

    /// Sets one up that does not run yet.
    pub(crate) fn stopped(backends: Backends) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [grpc, http, health, metrics] = [(); 4].map(|()| free_port());
        let collector = Self { started: None, dir, grpc, http, health, metrics, backends };
        std::fs::create_dir(collector.dir().join("queues")).expect("a folder");
        std::fs::write(collector.dir().join("collector.yaml"), collector.configuration()).expect("a file");
        collector
    }

    /// Starts it on the ports that it had; answers once it is healthy.
    pub(crate) fn restart(&mut self) {
        assert!(self.started.is_none(), "it runs already");
        let dir = self.dir();
        let mut command = Command::new(binary());
        command.arg("--config").arg(dir.join("collector.yaml")).envs(self.environment());
        let ready = || answers_ok(self.health, "/");
        self.started = Some(Started::start("the Collector", command, &dir.join("said"), ready));
    }

    /// Ends it as an administrator would.
    pub(crate) fn stop(&mut self) {
        self.started.take().expect("it runs").stop();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        drop(self.started.take());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.started.as_ref().expect("it runs").pid()
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where it takes OTLP over gRPC.
    pub(crate) fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Where it takes OTLP over HTTP.
    pub(crate) fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Its own metrics, as Prometheus would scrape them.
    pub(crate) fn metrics(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }

    /// The log records that it wrote, in order, as OTLP's JSON has them, but for `attributes` and `resource`,
    /// which are plain objects.
    pub(crate) fn logs(&self) -> Vec<Value> {
        self.written("logs.jsonl", ["resourceLogs", "scopeLogs", "logRecords"])
    }

    /// The spans that it wrote, in the same form.
    pub(crate) fn spans(&self) -> Vec<Value> {
        self.written("spans.jsonl", ["resourceSpans", "scopeSpans", "spans"])
    }

    fn written(&self, file: &str, [resources, scopes, kind]: [&str; 3]) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir().join(file)).unwrap_or_default();
        let requests = text.lines().filter_map(|line| whole(line, resources));
        requests.flat_map(|request| records(&request, [resources, scopes, kind])).collect()
    }

    fn configuration(&self) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/collector-config.sh");
        let mut command = Command::new(script);
        command.arg(self.dir());
        if self.backends.tempo.is_some() {
            command.arg("--with-tempo");
        }
        let output = command.output().expect("the script can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        self.backends.edits.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "otel-collector.yaml has no {from:?}");
            text.replace(from, to)
        })
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let unused = || format!("127.0.0.1:{}", free_port());
        let on = |port| format!("127.0.0.1:{port}");
        let prometheus = self.backends.prometheus.clone().unwrap_or_else(|| format!("http://{}", unused()));
        vec![
            ("COLLECTOR_OTLP_GRPC", on(self.grpc)),
            ("COLLECTOR_OTLP_HTTP", on(self.http)),
            ("COLLECTOR_HEALTH", on(self.health)),
            ("COLLECTOR_METRICS_PORT", self.metrics.to_string()),
            ("COLLECTOR_STORAGE", self.dir().join("queues").display().to_string()),
            ("COLLECTOR_PROMETHEUS", prometheus),
            ("COLLECTOR_TEMPO", self.backends.tempo.clone().unwrap_or_else(unused)),
        ]
    }
}

/// A line's request. A kill may leave one torn, and the next one behind it on the same line; the torn one was not
/// acknowledged.
fn whole(line: &str, begins: &str) -> Option<Value> {
    let begin = line.rfind(&format!("{{\"{begins}\":"))?;
    serde_json::from_str(line).or_else(|_| serde_json::from_str(&line[begin..])).ok()
}

/// The binary: `WATCHPOST_COLLECTOR`, else what the script builds.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| paths("collector.sh", &["WATCHPOST_COLLECTOR"]).remove(0))
}
