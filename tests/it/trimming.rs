//! Trimming keeps what the trimmed events had come to.

use tokio_util::sync::CancellationToken;
use watchpost::api::{self, Listener, Parts};
use watchpost::client::Client;
use watchpost::config::{self, Listen};
use watchpost::event::process::{ProcessData, ProcessState};
use watchpost::event::{Data, Draft, Kind, Offset, Origin, Severity, StreamId, Subject, Timestamp};
use watchpost::ingest::{self, Ingest};
use watchpost::session::Sessions;
use watchpost::state::process::Processes;
use watchpost::store::{Disk, Limit, Store, Submission, Tree, Write};
use watchpost::telemetry::Telemetry;

use super::support::log::Log;

/// Event `n` of three processes that start, turn healthy, restart and end.
fn draft(n: u64) -> Draft {
    let name = ["a", "b.c", "d/é"][n as usize % 3];
    let kind = ["started", "healthy", "status_changed", "restarted", "stopped"][n as usize / 3 % 5];
    let state = ProcessState {
        name: name.into(),
        namespace: "default".into(),
        status: "Running".into(),
        is_ready: "Ready".into(),
        has_ready_probe: true,
        restarts: n,
        exit_code: 0,
        is_running: true,
        replicas: None,
        pid: n as i64,
        age: 1,
        mem: -1,
        cpu: 0.5,
    };
    let mut data: ProcessData = serde_json::from_value(serde_json::json!({
        "process": name, "namespace": "default", "state": state,
    }))
    .expect("the least of a process event");
    data.restarts = Some(1);
    let kind = Kind::new(kind).expect("a type");
    let subject = Subject::process("core.process", "default", name, &kind).expect("a subject");
    let stream = StreamId::new("proc-main-1").expect("an id");
    let data = Data::from_value(&data).expect("an object");
    let origin = Origin { source: Some("main".into()), ..Origin::default() };
    Draft {
        origin,
        ts: Some(Timestamp::from_millis(n as i64)),
        ..Draft::new(stream, kind, subject, Severity::Info, data)
    }
}

fn folded(store: &Store, from: Offset, mut processes: Processes) -> Processes {
    for logged in store.log(from, Limit::events(100_000)).expect("the log") {
        processes.apply(&logged.event);
    }
    processes
}

#[test]
fn the_fold_of_what_was_trimmed_and_what_is_left_is_the_fold_of_everything() {
    let disk = Disk::default();
    let mut store = Store::on(&disk).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    for n in 0..60 {
        let drafts = (n * 10..n * 10 + 10).map(draft).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room").remove(0).expect("taken");
        flusher.flush(writer.next_offset()).expect("durable");
        if n % 7 == 0 {
            store.maintainer().pass(true).expect("a pass");
        }
    }
    store.maintainer().pass(true).expect("a pass");
    let everything = folded(&store, 0, Processes::default());
    assert_eq!(everything.sources["main"].processes.len(), 3);
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    for confirmed in [100, 333, 600] {
        let cursor = format!(r#"{{"offset":{confirmed},"required":true}}"#);
        store.put(&[Write::put(Tree::Cursors, "jetstream", cursor)]).expect("room");
        while writer.trim(later).expect("a step") > 0 {}
        let (next, trimmed) = store.trimmed_processes().expect("the fold");
        assert!(0 < next && next <= confirmed && next == store.range().start, "{next} of {confirmed}");
        assert_eq!(folded(&store, next, trimmed), everything, "trimmed up to {confirmed}");
        assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
        flusher.flush(writer.next_offset()).expect("durable");
        store = Store::on(&disk).expect("the same store");
        writer = store.writer().expect("the writer").0;
    }
    assert_eq!(store.range(), 600..600);
}

#[tokio::test]
async fn the_disk_budget_is_held_by_trimming_and_a_store_that_cannot_be_trimmed_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let max_bytes = 3_000_000;
    let settings = config::Store {
        dir: dir.path().join("store"),
        max_bytes: Some(max_bytes),
        min_free: 0,
        ..config::Store::default()
    };
    let store = Store::open(&settings).expect("a store");
    // Nobody has confirmed anything: at the end it is trimmed all the same, which is told.
    store.put(&[Write::put(Tree::Cursors, "jetstream", r#"{"offset":0,"required":true}"#)]).expect("room");
    let (ingest, ingestor) = Ingest::start(&store).expect("ingest");
    for n in 0..100u64 {
        let drafts: Vec<_> = (n * 100..n * 100 + 100).map(draft).collect();
        submit(&ingest, drafts).await.expect("the oldest make room");
    }
    let stats = store.stats().expect("stats");
    assert!(stats.first_offset > 0, "{stats:?}");
    assert!(stats.live_bytes * 26 / 10 <= max_bytes, "{stats:?}");
    assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
    let session = |n| Draft { session: StreamId::new("a-session").expect("an id"), ..draft(n) };
    let start = Draft { kind: Kind::new("session_started").expect("a type"), ..session(0) };
    submit(&ingest, vec![start]).await.expect("room");
    let refused = loop {
        if let Err(error) = submit(&ingest, (0..100).map(session).collect()).await {
            break error.to_string();
        }
    };
    assert!(refused.contains("store.max_bytes") && refused.contains("try later"), "{refused}");
    ingestor.drain().expect("a quiet end");
}

/// Submits, and tries again while it is told to, for five seconds at most.
async fn submit(ingest: &Ingest, drafts: Vec<Draft>) -> Result<(), ingest::Error> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        match ingest.submit(Submission::events(drafts.clone())).await {
            Err(error) if error.is_retryable() && tokio::time::Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            other => return other.map(|_| ()),
        }
    }
}

#[tokio::test]
async fn the_processes_of_the_api_miss_nothing_that_was_trimmed_between_two_requests() {
    let store = Store::on(&Disk::default()).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let mut commit = |from: u64, until: u64| {
        for n in from..until {
            let drafts = (n * 10..n * 10 + 10).map(draft).collect();
            writer.apply(&[Submission::events(drafts)]).expect("room").remove(0).expect("taken");
        }
        flusher.flush(writer.next_offset()).expect("durable");
    };
    let listener = Listener::bind(&Listen::Tcp(([127, 0, 0, 1], 0).into())).await.expect("it binds");
    let listener = listener.expect("a listener");
    let client = Client::new(&listener.url(), None).expect("a client");
    // The writer of this store is here; what the API would write goes elsewhere.
    let elsewhere = Log::new();
    let (other, ingest) = (elsewhere.store.clone(), elsewhere.ingest.clone());
    let (sessions, _keeper) = Sessions::start(other, ingest, config::Session::default()).expect("a store");
    let parts = Parts {
        store: store.clone(),
        ingest: elsewhere.ingest.clone(),
        sessions,
        settings: config::Api::default(),
        prefixes: Vec::new(),
        sources: Vec::new(),
        sinks: Vec::new(),
        telemetry: Telemetry::local(),
    };
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(api::serve(listener, parts, shutdown.clone()));
    let runs = async || -> Vec<u64> {
        let rows: Vec<serde_json::Value> = client.get("/api/processes").await.expect("an answer");
        rows.iter().map(|row| row["runs"].as_u64().expect("a number")).collect()
    };
    commit(0, 10);
    runs().await;
    commit(10, 60);
    let everything = folded(&store, 0, Processes::default());
    let expected: Vec<u64> = everything.sources["main"].processes.values().map(|process| process.runs).collect();
    store.maintainer().pass(true).expect("a pass");
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    while writer.trim(later).expect("a step") > 0 {}
    flusher.flush(writer.next_offset()).expect("durable");
    assert!(store.range().start > 100, "{:?}", store.range());
    assert_eq!(runs().await, expected);
    shutdown.cancel();
    serving.await.expect("no panic").expect("no error");
}
