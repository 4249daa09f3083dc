//! Sessions as the document has them, by a writer in this process, and by many processes through a real daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use serde_json::json;
use watchpost::client::{self, Client, sessions};
use watchpost::config;
use watchpost::event::{Data, Event, StreamId};
use watchpost::recorder::{End, Error, Recorder, Session, Start};
use watchpost::store::{self, Limit, SessionQuery, Status, Store};

use super::support::daemon::{self, Daemon, beside};
use super::support::wait;

/// A recorder in a folder of its own.
struct Bench {
    dir: tempfile::TempDir,
    recorder: Recorder,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let recorder =
            Recorder::open(daemon::store(dir.path()), config::Session::default()).await.expect("it opens");
        Self { dir, recorder }
    }

    async fn start(&self) -> Session {
        let start = Start::new(&json!({ "command": "generate" })).expect("an object");
        self.recorder.start(start).await.expect("begun")
    }

    /// The same after the process has been started again.
    async fn restarted(self) -> Self {
        self.recorder.close().await.expect("a quiet end");
        // A process that another test starts has the lock too, for the moment between fork and exec.
        let recorder = wait::until("the store to be free", async || {
            match Recorder::open(daemon::store(self.dir.path()), config::Session::default()).await {
                Err(Error::Store(store::Error::Locked { .. })) => None,
                opened => Some(opened.expect("it opens")),
            }
        })
        .await;
        Self { dir: self.dir, recorder }
    }

    fn store(&self) -> &Store {
        self.recorder.store().expect("it is here")
    }
}

fn events(store: &Store, id: &StreamId) -> Vec<Event> {
    let events = store.stream(id, 1, Limit::events(10_000)).expect("readable");
    events.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)).collect()
}

fn kinds(store: &Store, id: &StreamId) -> Vec<String> {
    events(store, id).iter().map(|event| event.kind.to_string()).collect()
}

fn status(store: &Store, id: &StreamId) -> Status {
    store.session(id).expect("readable").expect("it is there").status
}

#[tokio::test]
async fn session_started_commits_as_sequence_1() {
    let bench = Bench::new().await;
    let session = bench.start().await;
    let first = &events(bench.store(), session.id())[0];
    assert_eq!((first.seq, first.kind.as_str()), (1, "session_started"));
    assert_eq!(first.data.get(), r#"{"command":"generate"}"#);
    assert_eq!(status(bench.store(), session.id()), Status::Active);
}

#[tokio::test]
async fn ten_emitted_events_commit_as_ten_sequential_records() {
    let bench = Bench::new().await;
    let session = bench.start().await;
    for n in 0..10 {
        session.emit("scan_progress", &json!({ "node_count": n })).await.expect("room");
    }
    session.flush().await.expect("durable");
    let id = session.id().clone();
    drop(session);
    let bench = bench.restarted().await;
    let events = events(bench.store(), &id);
    let told: Vec<(u64, String)> = events[1..11].iter().map(|e| (e.seq, e.data.get().to_owned())).collect();
    let expected: Vec<(u64, String)> = (0..10).map(|n| (n + 2, format!(r#"{{"node_count":{n}}}"#))).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn session_ended_commits_as_final_record_in_a_completed_session() {
    let bench = Bench::new().await;
    let session = bench.start().await;
    session.emit("scan_started", &json!({})).await.expect("room");
    let id = session.id().clone();
    assert_eq!(session.end(End { exit_code: Some(0), ..End::completed() }).await.expect("it ends"), 3);
    let late = Start { id: Some(id.clone()), ..Start::new(&json!({ "command": "generate" })).expect("an object") };
    assert!(bench.recorder.start(late).await.is_err(), "nothing follows an end");
    let bench = bench.restarted().await;
    assert_eq!(kinds(bench.store(), &id), ["session_started", "scan_started", "session_ended"]);
    assert_eq!(status(bench.store(), &id), Status::Completed);
}

#[tokio::test]
async fn an_interrupted_session_is_resumed_by_its_next_event_in_a_new_segment() {
    let bench = Bench::new().await;
    let session = bench.start().await;
    session.emit("scan_started", &json!({})).await.expect("room");
    let id = session.id().clone();
    drop(session);
    let bench = bench.restarted().await;
    wait::until("it to be interrupted", async || (status(bench.store(), &id) == Status::Interrupted).then_some(()))
        .await;
    let again = Start { id: Some(id.clone()), ..Start::new(&json!({ "command": "generate" })).expect("an object") };
    let session = bench.recorder.start(again).await.expect("taken up");
    session.emit("scan_completed", &json!({})).await.expect("room");
    session.end(End::completed()).await.expect("it ends");
    let events = events(bench.store(), &id);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let resumed = ["session_started", "scan_started", "session_interrupted", "session_resumed"];
    assert_eq!(kinds, [&resumed[..], &["scan_completed", "session_ended"]].concat());
    let told: serde_json::Value = events[3].data.read().expect("JSON");
    assert_eq!((&told["segment"], &told["interrupted_seq"]), (&json!(2), &json!(3)));
    assert_eq!(status(bench.store(), &id), Status::Completed);
}

/// What the command of one of the processes does.
const SCRIPT: &str = "for n in 1 2 3 4 5; do watchpost sessions emit scan_progress --data \"{\\\"node_count\\\":$n}\" \
     || exit 9; done";

fn ended_well(outputs: &[Output]) {
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Runs the same command in many processes at once.
async fn at_once(dir: &Path, processes: usize, args: &[&str]) -> Vec<Output> {
    let start = |_| {
        let mut command = beside(dir, args);
        tokio::task::spawn_blocking(move || command.output().expect("it runs"))
    };
    let running: Vec<_> = (0..processes).map(start).collect();
    let mut outputs = Vec::new();
    for process in running {
        outputs.push(process.await.expect("no panic"));
    }
    outputs
}

#[tokio::test]
async fn a_late_event_is_refused_by_409_and_stands_in_the_dead_letters_until_it_is_discarded() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let client = Client::new(&format!("unix:{}/api", daemon.dir().display()), None).expect("a client");
    let id = StreamId::new("build-17").expect("an id");
    let metadata = Data::parse("{}".into()).expect("an object");
    let start = sessions::Start { id: Some(id.clone()), ts: None, traceparent: None, metadata };
    client.start_session(&start).await.expect("begun");
    client.end_session(&id, &End::completed()).await.expect("it ends");
    let late = client.send_event(&id, r#"{"type":"scan_started","data":{"path":"src"}}"#).await;
    let error = late.expect_err("it is late");
    assert!(matches!(error, client::Error::Refused { status: 409, .. }), "{error}");
    let dlq = |args: &[&str]| {
        let output = daemon::watchpost(daemon.dir(), &[&["dlq"], args].concat());
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, listed, _) = dlq(&["list", "--kind", "late", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(&listed).expect("one letter");
    assert_eq!((code, &letter["reason"]), (Some(0), &json!("the session build-17 had ended")));
    assert_eq!(letter["event"]["type"], "scan_started");
    assert!(letter.get("offset").is_none() && letter.get("sink").is_none(), "{letter}");
    assert_eq!(dlq(&["list", "--kind", "delivery", "--json"]).1, "");
    let letter = letter["id"].as_str().expect("an id");
    let (code, _, error) = dlq(&["retry", letter]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("can only be discarded"), "{error}");
    assert_eq!(dlq(&["retry-all"]).1, "0 will be sent again\n");
    assert_eq!(dlq(&["discard", letter]).1, "1 discarded\n");
    assert_eq!(dlq(&["list"]).1.lines().count(), 1, "the heading alone");
}

#[tokio::test]
async fn twenty_processes_create_sessions_and_emit_at_the_same_time() {
    let mut daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let args = &["sessions", "run", "--name", "many", "--", "sh", "-c", SCRIPT];
    ended_well(&at_once(daemon.dir(), 20, args).await);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait().success());
    let store = Store::open(&daemon::store(daemon.dir())).expect("nobody holds it");
    let sessions = store.sessions(&SessionQuery::default()).expect("readable").sessions;
    assert_eq!(sessions.len(), 20);
    for session in &sessions {
        let events = events(&store, &session.id);
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        let counts = events[1..6].iter().map(|event| event.data.get().to_owned());
        assert_eq!(
            counts.collect::<Vec<_>>(),
            (1..=5).map(|n| format!(r#"{{"node_count":{n}}}"#)).collect::<Vec<_>>()
        );
        assert_eq!(session.status, Status::Completed);
    }
    assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
}

#[tokio::test]
async fn session_ids_are_unique_under_rapid_creation_by_many_processes() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let script = "for n in 1 2 3 4 5; do watchpost sessions run -- true || exit 9; done";
    ended_well(&at_once(daemon.dir(), 10, &["sessions", "run", "--", "sh", "-c", script]).await);
    let client = Client::new(&format!("unix:{}/api", daemon.dir().display()), None).expect("a client");
    let listed: Vec<serde_json::Value> = client.get("/api/sessions?limit=1000").await.expect("a list");
    let mut ids: BTreeMap<String, u64> = BTreeMap::new();
    for session in &listed {
        *ids.entry(session["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    // Five within each of ten, and the ten.
    assert_eq!((listed.len(), ids.len()), (60, 60));
    assert!(ids.keys().all(|id| uuid::Uuid::try_parse(id).is_ok_and(|id| id.get_version_num() == 7)));
}
