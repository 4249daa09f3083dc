//! Spans in a real Tempo of the shipped configuration: by id, and by TraceQL.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use watchpost::demo::{Player, Recording};

use crate::support::daemon::{self, Daemon};
use crate::support::http;
use crate::support::port::free_port;
use crate::support::started::{Started, answers_ok};
use crate::support::wait::until;

/// A Tempo with its own data; killed when it is dropped.
struct Tempo {
    _started: Started,
    _dir: TempDir,
    http: u16,
    otlp: u16,
}

impl Tempo {
    fn start() -> Self {
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

    /// What stands in the configuration of a daemon whose spans go there.
    fn settings(&self) -> String {
        format!("otlp: {{endpoint: 'http://127.0.0.1:{}', signals: [spans]}}\n", self.otlp)
    }

    /// The answer of its API, where it has one.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let answer = http::client().get(url).query(query).send().await.expect("an answer");
        match answer.status().is_success() {
            true => Some(answer.json().await.expect("JSON")),
            false => None,
        }
    }

    /// The spans of a trace, by their ids, once there are so many.
    async fn trace(&self, id: &str, at_least: usize) -> Vec<Value> {
        until(&format!("{at_least} spans of {id}"), async || {
            let found = self.ask(&format!("/api/v2/traces/{id}"), &[]).await?;
            let spans = found["trace"]["resourceSpans"].as_array()?.iter();
            let spans = spans.flat_map(|one| one["scopeSpans"].as_array().cloned().unwrap_or_default());
            let spans: Vec<Value> =
                spans.flat_map(|one| one["spans"].as_array().cloned().unwrap_or_default()).collect();
            let ids: BTreeSet<&str> = spans.iter().filter_map(|span| span["spanId"].as_str()).collect();
            (ids.len() >= at_least).then_some(()).map(|()| spans.clone())
        })
        .await
    }

    /// The ids of the traces that an expression of TraceQL finds, once there is one.
    async fn search(&self, expression: &str) -> Vec<String> {
        until(&format!("traces of {expression}"), async || {
            let found = self.ask("/api/search", &[("q", expression)]).await?;
            let traces = found["traces"].as_array()?.iter();
            // Leading zeros are left out.
            let ids: Vec<_> = traces.filter_map(|one| Some(format!("{:0>32}", one["traceID"].as_str()?))).collect();
            (!ids.is_empty()).then_some(ids)
        })
        .await
    }
}

fn names(spans: &[Value]) -> BTreeSet<String> {
    spans.iter().map(|span| span["name"].as_str().expect("a name").to_owned()).collect()
}

/// What the command prints about the events of a daemon, an event a line.
fn events(daemon: &Daemon, args: &[&str]) -> Vec<Value> {
    let output = daemon::watchpost(daemon.dir(), &[&["events", "query", "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_session_is_found_by_id_and_by_traceql() {
    let tempo = Tempo::start();
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir, &tempo.settings());
    let url = format!("unix:{}", daemon.dir().join("api").display());
    let played =
        daemon::watchpost(daemon.dir(), &["demo", "session", "--levels", "2", "--nodes", "4", "--url", &url]);
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let started = events(&daemon, &["--type", "session_started"]).remove(0);
    let trace = started["trace"]["trace_id"].as_str().expect("a trace id").to_owned();
    let nodes = events(&daemon, &["--type", "node_started", "--limit", "1000"]).len();
    let spans = tempo.trace(&trace, nodes + 2).await;
    let named = names(&spans);
    assert!(named.iter().any(|name| name.starts_with("node")), "{named:?}");
    let session = started["session"].as_str().expect("its id");
    let found = tempo.search(&format!("{{ span.session.id = \"{session}\" }}")).await;
    assert_eq!(found, [trace]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_project_s_start_is_found_by_traceql() {
    let tempo = Tempo::start();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/start_and_end.2.jsonl");
    let recording = Recording::parse(&std::fs::read_to_string(path).expect(path)).expect(path);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (player, over) = (Player::new(recording, 3.0), CancellationToken::new());
    let serving = tokio::spawn({
        let (player, over) = (player.clone(), over.clone());
        async move { player.serve(listener, over).await.expect("a server") }
    });
    let supervisor = format!(
        "process_compose: [{{name: main, url: 'http://{address}', poll_interval: 500ms, timeout: 400ms}}]\n{}",
        tempo.settings()
    );
    let _daemon = Daemon::start(tempfile::tempdir().expect("a folder"), &supervisor);
    tokio::time::timeout(Duration::from_secs(60), player.ended()).await.expect("it ends");
    let found = tempo.search("{ name = \"startup\" }").await;
    let named = names(&tempo.trace(&found[0], 2).await);
    assert!(named.contains("startup") && named.contains("launch"), "{named:?}");
    over.cancel();
    serving.await.expect("no panic");
}
