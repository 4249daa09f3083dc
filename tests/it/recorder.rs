//! Recording from a Rust program: in its own store, over a daemon, and through the store that it serves itself.

use std::process::{Command, Output};

use serde_json::json;
use watchpost::config::{self, Listen};
use watchpost::recorder::{End, Error, Recorder, Session, Start};
use watchpost::store::{Limit, Status, Store};

use super::support::daemon::{self, Daemon};

fn start() -> Start {
    Start::new(&json!({ "command": "generate" })).expect("an object")
}

async fn open(dir: &tempfile::TempDir) -> Recorder {
    Recorder::open(daemon::store(dir.path()), config::Session::default()).await.expect("it opens")
}

/// Two events and one that is too large, and the end.
async fn record(session: Session) {
    session.emit("scan_started", &json!({ "path": "src" })).await.expect("taken");
    let large = session.emit("file_changed", &json!({ "path": "x".repeat(70_000) })).await;
    assert!(matches!(large, Err(Error::Invalid(_))), "{large:?}");
    session.try_emit("scan_completed", &json!({ "node_count": 3 })).expect("room");
    let report = session.flush().await.expect("answered");
    assert_eq!((report.taken, report.missed), (2, 0), "{report:?}");
    let seq = session.end(End::completed()).await.expect("it ends");
    assert_eq!(seq, 4);
}

fn kinds(store: &Store, id: &watchpost::event::StreamId) -> Vec<String> {
    let events = store.stream(id, 1, Limit::events(100)).expect("readable");
    events.iter().map(|logged| logged.event.kind.to_string()).collect()
}

const KINDS: [&str; 4] = ["session_started", "scan_started", "scan_completed", "session_ended"];

#[tokio::test]
async fn a_session_is_recorded_in_a_store_of_its_own_and_over_its_api() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut recorder = open(&dir).await;
    let here = recorder.start(start()).await.expect("begun");
    let api = config::Api { listen: Listen::Tcp(([127, 0, 0, 1], 0).into()), ..config::Api::default() };
    let url = recorder.serve(api).await.expect("it listens").expect("somewhere");
    let mut elsewhere = Recorder::connect(&url, None).expect("a URL");
    let away = elsewhere.start(start()).await.expect("begun");
    let (one, other) = (here.id().clone(), away.id().clone());
    assert!(here.traceparent().starts_with("00-") && away.traceparent().starts_with("00-"));
    record(here).await;
    record(away).await;
    let store = recorder.store().expect("it is here");
    assert_eq!(
        (kinds(store, &one), kinds(store, &other)),
        (KINDS.map(str::to_owned).to_vec(), KINDS.map(str::to_owned).to_vec())
    );
    assert!(matches!(elsewhere.serve(config::Api::default()).await, Err(Error::Elsewhere)));
    recorder.close().await.expect("a quiet end");
    // The store is free again, and whole.
    let store = Store::open(&daemon::store(dir.path())).expect("nobody holds it");
    assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
}

#[tokio::test]
async fn missing_session_ended_session_remains_readable_and_marked_interrupted() {
    let dir = tempfile::tempdir().expect("a folder");
    let recorder = open(&dir).await;
    let (dropped, left) =
        (recorder.start(start()).await.expect("begun"), recorder.start(start()).await.expect("begun"));
    let ids = [dropped.id().clone(), left.id().clone()];
    for session in [&dropped, &left] {
        session.emit("scan_started", &json!({})).await.expect("taken");
        session.flush().await.expect("durable");
    }
    drop(dropped);
    recorder.close().await.expect("a quiet end");
    assert!(matches!(left.emit("scan_completed", &json!({})).await, Err(Error::Session(_))));
    drop(left);
    let recorder = open(&dir).await;
    let store = recorder.store().expect("it is here");
    for id in &ids {
        // Its status may be told a moment before the event behind it.
        super::support::wait::until("it to be interrupted", async || {
            let session = store.session(id).expect("readable").expect("it is there");
            (session.status == Status::Interrupted && session.events == 3).then_some(())
        })
        .await;
        assert_eq!(kinds(store, id), ["session_started", "scan_started", "session_interrupted"]);
    }
    recorder.close().await.expect("a quiet end");
}

fn example(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--offline", "--example", "emit"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // As from a shell: cargo builds what it has built already again where its own variables differ.
    let from_shell =
        ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR", "RUSTFLAGS"];
    command.env_clear().envs(from_shell.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(variables.iter().copied());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn the_example_runs_with_a_store_of_its_own_and_with_a_daemon() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("own");
    let said = example(&[
        ("WATCHPOST_STORE_DIR", &store.display().to_string()),
        ("WATCHPOST_STORE_UNSAFE_FS", "true"),
        ("WATCHPOST_STORE_MIN_FREE", "1KiB"),
    ]);
    let said = String::from_utf8(said.stdout).expect("UTF-8");
    assert!(
        said.contains(": 9 events are durable, 0 were refused\n1 session_started {\"args\":[\"--all\"],"),
        "{said}"
    );
    assert!(said.ends_with("11 session_ended {\"status\":\"completed\"}\n"), "{said}");
    let daemon = Daemon::start(dir, "");
    let url = format!("unix:{}/api", daemon.dir().display());
    let said = String::from_utf8(example(&[("WATCHPOST_URL", &url)]).stdout).expect("UTF-8");
    assert!(said.ends_with(": 9 events are durable, 0 were refused\n"), "{said}");
}
