//! A real Tempo of the shipped configuration.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http;
use crate::support::otlp_json::records;
use crate::support::port::free_port;
use crate::support::started::{Started, answers_ok};
use crate::support::wait::{until, within};

/// So many spans of a trace, and so many traces, a search answers with; it takes no greater number for the spans.
const MOST: &str = "100";

/// A trace that came in pieces is one to a search when its block is complete, which takes 30 s.
const WHOLE: Duration = Duration::from_secs(90);

/// A Tempo with its own data; killed when it is dropped.
pub(super) struct Tempo {
    _started: Started,
    _dir: TempDir,
    http: u16,
    otlp: u16,
}

impl Tempo {
    pub(super) fn start() -> Self {
        let binary = std::env::var("TEMPO_BIN").expect("TEMPO_BIN names a Tempo of version 3");
        let dir = tempfile::tempdir().expect("a folder");
        let [http, grpc, otlp] = [(); 3].map(|()| free_port());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tempo-config.sh");
        let mut command = Command::new(script);
        command.arg(dir.path().join("data")).args([http, grpc, otlp].map(|port| port.to_string()));
        let config = command.output().expect("the script can be run").stdout;
        let file = dir.path().join("tempo.yaml");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new(binary);
        command.arg(format!("-config.file={}", file.display()));
        let ready = || answers_ok(http, "/ready");
        let started = Started::start("Tempo", command, &dir.path().join("said"), ready);
        Self { _started: started, _dir: dir, http, otlp }
    }

    /// Where it takes OTLP over gRPC, `HOST:PORT`.
    pub(super) fn otlp(&self) -> String {
        format!("127.0.0.1:{}", self.otlp)
    }

    /// The spans of a trace, each once, as soon as there are so many.
    pub(super) async fn trace(&self, id: &str, at_least: usize) -> Vec<Value> {
        until(&format!("{at_least} spans of the trace {id}"), async || {
            let found = self.ask(&format!("/api/v2/traces/{id}"), &[]).await?;
            let spans = records(&found["trace"], ["resourceSpans", "scopeSpans", "spans"]);
            // What is in its memory and in a block at once comes twice.
            let each: BTreeSet<String> = spans.into_iter().map(|span| plain(span).to_string()).collect();
            let parse = |span: &String| serde_json::from_str(span).expect("JSON");
            (each.len() >= at_least).then(|| each.iter().map(parse).collect())
        })
        .await
    }

    /// The traces in which an expression of TraceQL matches so many spans, as soon as it does.
    pub(super) async fn search(&self, expression: &str, at_least: usize) -> Vec<Found> {
        let query = [("q", expression), ("spss", MOST), ("limit", MOST)];
        within(WHOLE, &format!("{at_least} spans that match {expression}"), async || {
            let found = self.ask("/api/search", &query).await?;
            let found: Vec<Found> = found["traces"].as_array()?.iter().map(Found::read).collect();
            (found.iter().map(|trace| trace.spans.len()).sum::<usize>() >= at_least).then_some(found)
        })
        .await
    }

    /// The answer of its API, where it has one.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let answer = http::client().get(url).query(query).send().await.expect("an answer");
        match answer.status() {
            status if status.is_success() => Some(answer.json().await.expect("JSON")),
            status if status == 404 => None,
            status => panic!("{status}: {}", answer.text().await.unwrap_or_default()),
        }
    }
}

/// A trace that a search has found.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: String,
    /// The name of its root, which may not be there yet.
    pub(super) root: String,
    /// The spans that match.
    pub(super) spans: BTreeSet<String>,
}

impl Found {
    fn read(trace: &Value) -> Self {
        let sets = trace["spanSets"].as_array().expect("a list").iter();
        let spans = sets.flat_map(|set| set["spans"].as_array().expect("a list"));
        // Leading zeros are left out.
        let span = |span: &Value| format!("{:0>16}", span["spanID"].as_str().expect("an id"));
        Self {
            id: format!("{:0>32}", trace["traceID"].as_str().expect("an id")),
            root: trace["rootTraceName"].as_str().unwrap_or_default().to_owned(),
            spans: spans.map(span).collect(),
        }
    }
}

/// A span with its ids in hex and its enumerations as numbers, as OTLP's JSON has them.
fn plain(mut span: Value) -> Value {
    for key in ["traceId", "spanId", "parentSpanId"] {
        let bytes = BASE64_STANDARD.decode(span[key].as_str().unwrap_or_default()).expect("base64");
        span[key] = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    }
    span["kind"] = match span["kind"].as_str() {
        Some("SPAN_KIND_INTERNAL") => json!(1),
        Some("SPAN_KIND_CLIENT") => json!(3),
        kind => panic!("{kind:?}"),
    };
    span["status"]["code"] = match span["status"]["code"].as_str() {
        None | Some("STATUS_CODE_UNSET") => json!(0),
        Some("STATUS_CODE_OK") => json!(1),
        Some("STATUS_CODE_ERROR") => json!(2),
        code => panic!("{code:?}"),
    };
    span
}
