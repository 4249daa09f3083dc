//! A real Prometheus on loopback, of the shipped configuration without what it scrapes and without alerts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::http;
use super::port::free_port;
use super::started::{Started, answers_ok, paths};

/// A server with its own data; killed when it is dropped.
pub(crate) struct Prometheus {
    started: Option<Started>,
    dir: TempDir,
    port: u16,
}

impl Prometheus {
    /// Starts one on a free port, with nothing in it.
    pub(crate) fn start() -> Self {
        let mut server = Self { started: None, dir: tempfile::tempdir().expect("a folder"), port: free_port() };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/prometheus/prometheus.yml");
        let shipped = std::fs::read_to_string(shipped).expect("the shipped configuration");
        let config = without(&without(&shipped, "scrape_configs"), "rule_files");
        std::fs::write(server.dir.path().join("prometheus.yml"), config).expect("a file");
        server.restart();
        server
    }

    /// Starts it on the port that it had, with the data that it had; answers once it is ready.
    pub(crate) fn restart(&mut self) {
        assert!(self.started.is_none(), "it runs already");
        let dir = self.dir.path();
        let mut command = Command::new(&programs()[0]);
        command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        command.args(["--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"]);
        let ready = || answers_ok(self.port, "/-/ready");
        self.started = Some(Started::start("Prometheus", command, &dir.join("said"), ready));
    }

    /// Ends it as an administrator would.
    pub(crate) fn stop(&mut self) {
        self.started.take().expect("it runs").stop();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        drop(self.started.take());
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What an expression gives now: each with its labels (`metric`) and `value`, a pair of time and text.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("/api/v1/query", &[("query", expression)]).await;
        data["result"].as_array().unwrap_or_else(|| panic!("{expression}: no vector: {data}")).clone()
    }

    /// The one number that an expression gives now; `None` if it gives none.
    pub(crate) async fn number(&self, expression: &str) -> Option<f64> {
        let found = self.query(expression).await;
        assert!(found.len() < 2, "{expression}: more than one: {found:?}");
        found.first().map(|one| one["value"][1].as_str().expect("a text").parse().expect("a number"))
    }

    /// The `data` of an answer of its API.
    pub(crate) async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.url())).expect("a URL");
        url.query_pairs_mut().extend_pairs(parameters);
        let answer: Value = http::client().get(url).send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].clone()
    }
}

/// promtool: `WATCHPOST_PROMTOOL`, else what the script builds.
pub(crate) fn promtool() -> &'static Path {
    &programs()[1]
}

fn programs() -> &'static [PathBuf] {
    static PROGRAMS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| paths("prometheus.sh", &["WATCHPOST_PROMETHEUS", "WATCHPOST_PROMTOOL"]))
}

/// A configuration without one of its outermost parts.
fn without(text: &str, part: &str) -> String {
    assert!(text.contains(&format!("\n{part}:")), "no {part} in it");
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside = match line.chars().next() {
            None | Some(' ' | '#') => inside,
            Some(_) => line.starts_with(&format!("{part}:")),
        };
        if !inside {
            kept.extend([line, "\n"]);
        }
    }
    kept
}
