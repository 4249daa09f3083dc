//! Spans in a real Tempo of the shipped configuration, on the shipped way: daemon → Collector → Tempo. What is read
//! back by id and found by TraceQL is held against the fold of the log.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use watchpost::demo::{Player, Recording};
use watchpost::otel::Span;
use watchpost::otel::span::{Role, Status};

use crate::support::collector::{Backends, Collector};
use crate::support::daemon::{self, Daemon};
use crate::support::lag;
use crate::support::span_lines::{read, written};
use crate::support::told::told;
use crate::support::wait::until;

use server::{Found, Tempo};

/// A daemon whose spans go to Tempo by the Collector.
struct Way {
    daemon: Daemon,
    tempo: Tempo,
    _collector: Collector,
}

impl Way {
    /// `more` stands in the daemon's configuration.
    fn start(more: &str) -> Self {
        let tempo = Tempo::start();
        let collector = Collector::with(Backends { tempo: Some(tempo.otlp()), ..Backends::default() });
        let otlp = format!("otlp: {{endpoint: '{}', signals: [spans]}}\n", collector.grpc());
        let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), &format!("{otlp}{more}"));
        Self { daemon, tempo, _collector: collector }
    }

    /// Ends the daemon once it has delivered everything; answers its fold's spans, and the Tempo that has them.
    async fn drain(mut self) -> Arrived {
        lag::behind(self.daemon.dir(), &[]).await;
        self.daemon.signal(Signal::TERM);
        let status = self.daemon.wait();
        assert!(status.success(), "{status}");
        let spans = told(self.daemon.dir()).into_iter().flat_map(|(_, told)| told.spans).collect();
        Arrived { spans, way: self }
    }

    /// Sends an event of a session.
    async fn tell(&self, session: &str, event: &str) {
        assert!(self.daemon.post(&format!("/{session}/events"), event).await.is_some(), "{event}");
    }
}

/// What the fold says, and what Tempo ought to say as well.
struct Arrived {
    spans: Vec<Span>,
    way: Way,
}

impl Arrived {
    /// Each trace is there by its id, and its tree is that of the fold; answers how many spans that were.
    async fn check_by_id(&self) {
        let mut traces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for span in &self.spans {
            traces.entry(span.trace_id.to_string()).or_default().insert(written(span));
        }
        for (id, expected) in &traces {
            let found = self.way.tempo.trace(id, expected.len()).await;
            assert_eq!(&found.iter().map(read).collect::<BTreeSet<_>>(), expected, "{id}");
            assert_eq!(found.len(), expected.len(), "each once");
        }
        println!("{} spans in {} traces are those of the fold", self.spans.len(), traces.len());
    }

    /// An expression of TraceQL finds the spans of the fold that are `of` a kind, of which there are some, and no
    /// other.
    async fn check_by_traceql(&self, expression: &str, of: impl Fn(&Span) -> bool) {
        let expected: BTreeSet<(String, String)> = self.spans.iter().filter(|span| of(span)).map(ids).collect();
        assert!(!expected.is_empty(), "the fold has none for {expression}");
        let found = self.way.tempo.search(expression, expected.len()).await;
        let one =
            |found: &Found| found.spans.iter().map(|span| (found.id.clone(), span.clone())).collect::<Vec<_>>();
        assert_eq!(found.iter().flat_map(one).collect::<BTreeSet<_>>(), expected, "{expression}");
        println!("{expression}: {} spans", expected.len());
    }
}

fn ids(span: &Span) -> (String, String) {
    (span.trace_id.to_string(), span.span_id.to_string())
}

fn is_failed(span: &Span) -> bool {
    matches!(span.status, Status::Error(_))
}

fn millis(span: &Span) -> i64 {
    span.end.as_millis() - span.start.as_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_session_is_found_by_id_and_by_traceql() {
    let way = Way::start("");
    let url = format!("unix:{}/api", way.daemon.dir().display());
    let played =
        daemon::watchpost(way.daemon.dir(), &["demo", "session", "--levels", "2", "--nodes", "4", "--url", &url]);
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let arrived = way.drain().await;
    arrived.check_by_id().await;
    let root = arrived.spans.iter().find(|span| span.role == Role::Session).expect("a root");
    let attribute = |name: &str| root.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let Some(watchpost::otel::Value::Text(id)) = attribute("session.id") else { panic!("{root:?}") };
    let of_session = format!("span.session.id = \"{id}\"");
    let found = arrived.way.tempo.search(&format!("{{ {of_session} }}"), arrived.spans.len()).await;
    let [found] = found.as_slice() else { panic!("one trace: {found:?}") };
    assert_eq!((&found.id, &found.root), (&root.trace_id.to_string(), &root.name));
    arrived.check_by_traceql(&format!("{{ {of_session} }}"), |_| true).await;
    arrived.check_by_traceql(&format!("{{ {of_session} && status = error }}"), is_failed).await;
    let longest = arrived.spans.iter().filter(|span| span.role == Role::Node).map(millis).max().expect("a node");
    let long = format!("{{ {of_session} && duration >= {longest}ms }}");
    arrived.check_by_traceql(&long, |span| millis(span) >= longest).await;
    // By the parents: requests below a node, below the session's root.
    let below =
        format!("{{ name = \"{}\" }} >> {{ span.watchpost.node.id != nil }} >> {{ kind = client }}", root.name);
    arrived.check_by_traceql(&below, |span| span.role == Role::Request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_project_s_start_is_found_by_id_and_by_traceql() {
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
        "process_compose: [{{name: main, url: 'http://{address}', poll_interval: 500ms, timeout: 400ms}}]\n"
    );
    let way = Way::start(&supervisor);
    tokio::time::timeout(Duration::from_secs(60), player.ended()).await.expect("it ends");
    let arrived = way.drain().await;
    arrived.check_by_id().await;
    arrived.check_by_traceql("{ name = \"startup\" }", |span| span.role == Role::Startup).await;
    let below = |name: &str| format!("{{ name = \"startup\" }} > {{ name = \"{name}\" }}");
    arrived.check_by_traceql(&below("launch"), |span| span.role == Role::StartupProcess).await;
    arrived.check_by_traceql(&below("waiting"), |span| span.role == Role::StartupWait).await;
    over.cancel();
    serving.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_is_found_by_its_first_span_and_the_nodes_that_have_ended() {
    let way = Way::start("");
    let told = way.daemon.post("", r#"{"metadata":{"command":"build"}}"#).await.expect("a session");
    let id = told["id"].as_str().expect("an id");
    way.tell(id, r#"{"type":"node_generation_started","data":{"node_id":"a"}}"#).await;
    way.tell(id, r#"{"type":"node_generation_completed","data":{"node_id":"a"}}"#).await;
    way.tell(id, r#"{"type":"node_generation_started","data":{"node_id":"b"}}"#).await;
    let first = format!("{{ name = \"session started\" && span.session.id = \"{id}\" }}");
    let found = way.tempo.search(&first, 1).await;
    let [live] = found.as_slice() else { panic!("one trace: {found:?}") };
    let spans = way.tempo.trace(&live.id, 2).await;
    let text = |span: &Value, name: &str| span["attributes"][name].as_str().map(str::to_owned);
    let nodes: Vec<_> = spans.iter().filter_map(|span| text(span, "watchpost.node.id")).collect();
    assert_eq!((spans.len(), nodes), (2, vec!["a".to_owned()]), "{spans:#?}");
    assert!(way.daemon.post(&format!("/{id}/end"), r#"{"status":"completed"}"#).await.is_some());
    let arrived = way.drain().await;
    // The root, and the node that was still open.
    assert_eq!(arrived.spans.len(), 4);
    arrived.check_by_id().await;
    let root = format!("{{ name = \"session build\" && span.session.id = \"{id}\" }}");
    arrived.check_by_traceql(&root, |span| span.role == Role::Session).await;
    assert_eq!(arrived.way.tempo.search(&root, 1).await[0].root, "session build");
}
