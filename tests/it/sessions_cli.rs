//! What `watchpost sessions` prints, from a daemon and from the store that it leaves.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use watchpost::client::Client;
use watchpost::client::sessions::Start;
use watchpost::event::{Data, StreamId, Timestamp};

use super::support::daemon::{Daemon, watchpost};
use super::support::wait::until;

/// When the first session began.
const START: i64 = 1_760_608_411_000;

/// Two sessions: one that completed, and one that is active, with a node that failed and one that waits.
const DONE: &str = "0199ec5e-0000-7000-8000-00000000000a";
const ACTIVE: &str = "0199ec5f-0000-7000-8000-00000000000b";

/// The events of a session behind its first, a second apart.
fn events(upto: &str) -> Vec<Value> {
    let node = |kind: &str, node: &str, more: Value| {
        let mut data = json!({"plan_id": "p", "level_index": 0, "node_id": node, "path": format!("src/{node}.rs")});
        data.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"type": kind, "data": data})
    };
    let call = |kind: &str, more: Value| {
        let mut data =
            json!({"request_id": "r-1", "node_id": "a", "attempt": 1, "provider": "acme", "model": "m-1"});
        data.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"type": kind, "data": data})
    };
    let all = vec![
        json!({"type": "generation_started", "data": {"plan_id": "p", "total_nodes": 2, "total_levels": 1}}),
        json!({"type": "level_started", "data": {"plan_id": "p", "level_index": 0, "total_count": 2}}),
        node("node_generation_started", "a", json!({})),
        call("provider_request_sent", json!({})),
        node("node_generation_started", "b", json!({})),
        node(
            "node_generation_failed",
            "b",
            json!({"error": "the provider\u{1b}[2J gave up", "error.type": "timeout"}),
        ),
        call("provider_response_received", json!({"input_tokens": 1200, "output_tokens": 34})),
        node("node_generation_completed", "a", json!({"duration_ms": 4000})),
        json!({"type": "level_completed", "data": {"plan_id": "p", "level_index": 0, "generated_count": 1,
            "failed_count": 1, "total_count": 2}}),
        json!({"type": "generation_completed", "data": {"plan_id": "p", "generated_count": 1, "failed_count": 1,
            "total_count": 2}}),
        json!({"type": "session_ended", "data": {"status": "completed", "exit_code": 0}}),
    ];
    let end = all.iter().position(|event| event["type"] == upto).expect("a type of it") + 1;
    all.into_iter().take(end).collect()
}

/// Records a session up to its first event of a type.
async fn record(dir: &Path, id: &str, number: i64, upto: &str) {
    let client = Client::new(&format!("unix:{}/api", dir.display()), None).expect("a client");
    let at = |second: i64| Timestamp::from_millis(START + number * 600_000 + second * 1000);
    let id = StreamId::new(id).expect("an id");
    let metadata = json!({"command": "generate", "command_summary": format!("generate src --run {number}")});
    let metadata = Data::from_value(&metadata).expect("an object");
    let start = Start { id: Some(id.clone()), ts: Some(at(0)), traceparent: None, metadata };
    client.start_session(&start).await.expect("a session");
    let lines = events(upto).into_iter().zip(1..).map(|(mut event, second)| {
        event["ts"] = json!(at(second).to_string());
        event.to_string()
    });
    let answers = client.send_lines(&id, &lines.collect::<Vec<_>>(), Uuid::now_v7()).await.expect("answers");
    assert!(answers.iter().all(|line| line.answer.is_ok()), "{answers:?}");
}

/// A daemon that has the two sessions.
async fn recorded() -> Daemon {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    record(daemon.dir(), DONE, 0, "session_ended").await;
    record(daemon.dir(), ACTIVE, 1, "node_generation_failed").await;
    daemon
}

/// The store that such a daemon leaves.
fn left(mut daemon: Daemon) -> TempDir {
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait().success());
    daemon.take_dir()
}

fn sessions(dir: &Path, args: &[&str]) -> Output {
    watchpost(dir, &[&["sessions"], args].concat())
}

/// What a command printed, which must have gone well.
fn told(dir: &Path, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = sessions(dir, args);
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

fn json_of(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&told(dir, &[args, &["--json"]].concat())).expect("one object")
}

/// Checks the same with the daemon and without.
async fn both(check: impl Fn(&Path)) {
    let daemon = recorded().await;
    check(daemon.dir());
    check(left(daemon).path());
}

#[tokio::test]
async fn session_history_view_can_list_open_and_replay_a_session() {
    both(|dir| {
        let list = told(dir, &["list"]);
        let rows: Vec<&str> = list.lines().collect();
        assert_eq!(rows.len(), 3, "{list}");
        assert!(rows[1].starts_with(ACTIVE) && rows[1].ends_with("generate src --run 1"), "{list}");
        assert!(rows[2].contains("✔ completed") && rows[2].contains("2025-10-16 09:53:31"), "{list}");
        insta::assert_snapshot!("opened", told(dir, &["show", DONE]));
        insta::assert_snapshot!("replayed", told(dir, &["replay", "0199ec5e"]));
        let replayed = json_of(dir, &["replay", DONE]);
        assert_eq!(replayed, json_of(dir, &["replay", DONE]));
        assert_eq!(replayed["state"], json_of(dir, &["show", DONE])["state"]);
        let faster = told(dir, &["replay", DONE, "--speed", "10000"]);
        assert!(faster.contains(replayed["hash"].as_str().expect("a hash")), "{faster}");
    })
    .await;
}

#[tokio::test]
async fn provider_request_sent_and_response_received_update_node_status_from_waiting_to_complete() {
    both(|dir| {
        let at = |seq: &str| told(dir, &["show", DONE, "--until", seq]);
        let (waits, answered) = (at("5"), at("8"));
        let node = |told: &str| told.lines().find(|line| line.contains("src/a.rs")).expect("a row").to_owned();
        assert!(node(&waits).contains("● src/a.rs"), "{waits}");
        assert!(node(&waits).ends_with("waits for the provider"), "{waits}");
        assert!(node(&answered).contains("✔ src/a.rs"), "{answered}");
        assert!(node(&answered).ends_with("1,200 + 34 tokens"), "{answered}");
        let status =
            |seq: &str| json_of(dir, &["show", DONE, "--until", seq])["state"]["nodes"][0]["status"].clone();
        assert_eq!([status("4"), status("5"), status("8")], ["generating", "provider_waiting", "complete"]);
        assert!(
            waits.contains(", runs for ") && !waits.contains(" days"),
            "the time is that of the event: {waits}"
        );
        let elapsed = json_of(dir, &["show", DONE, "--until", "5"])["rates"]["elapsed_ms"].as_u64();
        assert!(elapsed.is_some_and(|elapsed| elapsed < 60_000), "{elapsed:?}");
    })
    .await;
}

#[tokio::test]
async fn node_generation_failed_renders_failure_detail_with_error_message() {
    both(|dir| {
        for told in [told(dir, &["show", ACTIVE]), told(dir, &["replay", ACTIVE])] {
            let row = told.lines().find(|line| line.contains("✖ src/b.rs")).expect("its row in the tree");
            assert!(row.ends_with("the provider\\u{1b}[2J gave up"), "{told}");
            let failures: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("Failures: 1")).collect();
            assert!(failures[1].starts_with("  ✖ src/b.rs: the provider\\u{1b}[2J gave up"), "{told}");
            assert!(!told.contains('\u{1b}'), "{told:?}");
        }
        let replayed = told(dir, &["replay", ACTIVE]);
        assert!(replayed.contains("10:03:37.000 ✖ src/b.rs failed: the provider"), "{replayed}");
    })
    .await;
}

#[tokio::test]
async fn level_started_and_level_completed_update_progress() {
    both(|dir| {
        let level = |seq: &str| {
            let told = told(dir, &["show", DONE, "--until", seq]);
            let row = told.lines().find(|line| line.contains(" level 0 ")).unwrap_or_default().to_owned();
            row.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(level("2"), "");
        assert!(level("3").starts_with("└ ● level 0"), "{}", level("3"));
        assert!(level("6").ends_with("0 of 2 complete"), "{}", level("6"));
        assert!(level("9").ends_with("1 of 2 complete, 1 failed"), "{}", level("9"));
        assert!(level("10").contains("✖ level 0 7.0 s"), "{}", level("10"));
        let progress = |seq: &str| json_of(dir, &["show", DONE, "--until", seq])["state"]["levels"][0].clone();
        assert_eq!((&progress("3")["total"], &progress("3")["ended"]), (&json!(2), &Value::Null));
        assert_eq!(progress("10")["told"], json!({"generated": 1, "failed": 1, "total": 2}));
    })
    .await;
}

#[tokio::test]
async fn sessions_are_chosen_by_status_time_and_command_and_paged() {
    both(|dir| {
        let ids = |args: &[&str]| -> Vec<String> {
            let told = told(dir, &[&["list", "--json"], args].concat());
            let id = |line: &str| serde_json::from_str::<Value>(line).expect("an object")["id"].clone();
            told.lines().map(|line| id(line).as_str().expect("an id").to_owned()).collect()
        };
        assert_eq!(ids(&[]), [ACTIVE, DONE]);
        assert_eq!(ids(&["--status", "completed,failed"]), [DONE]);
        assert_eq!(ids(&["--status", "active", "--status", "interrupted"]), [ACTIVE]);
        assert_eq!(ids(&["--since", "2025-10-16T09:54:00Z"]), [ACTIVE]);
        assert_eq!(ids(&["--until", "2025-10-16T09:54:00Z"]), [DONE]);
        assert_eq!(ids(&["--command", "SRC --run 0"]), [DONE]);
        assert_eq!(ids(&["--limit", "0"]), [""; 0]);
        let first = told(dir, &["list", "--limit", "1"]);
        let after = first.lines().last().and_then(|line| line.strip_prefix("… there are more: --after "));
        assert_eq!(ids(&["--limit", "1", "--after", after.expect("a place")]), [DONE]);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_told_has_its_exit_code() {
    both(|dir| {
        let check = |args: &[&str], exit: i32, expected: &str| {
            let Output { status, stderr, .. } = sessions(dir, args);
            let error = String::from_utf8_lossy(&stderr);
            assert_eq!(status.code(), Some(exit), "{args:?}: {error}");
            assert!(error.contains(expected), "{args:?}: {error}");
        };
        for command in ["show", "follow", "replay"] {
            check(&[command, "nobody"], 1, "there is no session nobody");
            check(&[command, "0199ec5"], 2, "several sessions begin with 0199ec5: ");
            check(&[command, "a/b"], 2, "a/b");
            check(&[command], 2, "ID");
            check(&[command, DONE, "--latest"], 2, "--latest");
        }
        check(&["diff", DONE, "nobody"], 1, "there is no session nobody");
        check(&["list", "--status", "done"], 2, "active, completed, failed or interrupted");
        check(&["list", "--after", "nowhere"], 2, "after");
        check(&["show", DONE, "--until", "0"], 2, "--until");
        check(&["replay", DONE, "--speed", "0"], 2, "--speed");
        check(&["list", "--store", "/nowhere"], 3, "there is no store");
    })
    .await;
}

#[tokio::test]
async fn the_latest_session_needs_no_id() {
    both(|dir| {
        for args in [&["show", "latest"][..], &["show", "--latest"], &["show", "0199ec5f"]] {
            assert_eq!(json_of(dir, args)["session"]["id"], ACTIVE, "{args:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_sessions_are_compared() {
    both(|dir| {
        let told = told(dir, &["diff", ACTIVE, DONE]);
        insta::assert_snapshot!("compared", told);
        let diff = json_of(dir, &["diff", ACTIVE, "0199ec5e"]);
        assert_eq!((&diff["a"], &diff["b"]), (&json!(ACTIVE), &json!(DONE)));
        assert_eq!(
            (&diff["before"]["nodes"]["complete"], &diff["after"]["nodes"]["complete"]),
            (&json!(0), &json!(1))
        );
    })
    .await;
}

#[tokio::test]
async fn a_session_is_followed_from_any_seq_to_its_end() {
    both(|dir| {
        let all = told(dir, &["follow", DONE]);
        assert_eq!(all.lines().count(), 12, "{all}");
        assert!(all.starts_with("09:53:31.000 ▶ session started: generate src --run 0\n"), "{all}");
        assert!(all.ends_with("session ended: completed, exit code 0\n"), "{all}");
        let tail: Vec<&str> = all.lines().skip(8).collect();
        assert_eq!(told(dir, &["follow", DONE, "--from", "9"]).lines().collect::<Vec<_>>(), tail);
        assert_eq!(told(dir, &["follow", DONE, "--from", "now"]), "");
        let json = told(dir, &["follow", DONE, "--json"]);
        let seqs = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object")["seq"].clone());
        assert_eq!(seqs.collect::<Vec<_>>(), (1..=12).map(Value::from).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_follower_sees_what_comes_and_ends_with_the_session() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let dir = daemon.dir().to_owned();
    record(&dir, ACTIVE, 0, "level_started").await;
    let file = dir.join("followed");
    let to = std::fs::File::create(&file).expect("a file");
    let mut follow = std::process::Command::new(env!("CARGO_BIN_EXE_watchpost"));
    follow.args(["sessions", "follow", "latest"]).env_clear().env("WATCHPOST_CONFIG", dir.join("watchpost.yaml"));
    let mut follow = follow.stdout(to).spawn().expect("it starts");
    let seen = || std::fs::read_to_string(&file).expect("UTF-8");
    until("what is there", async || seen().contains("level 0 started").then_some(())).await;
    assert!(follow.try_wait().expect("a child").is_none());
    let client = Client::new(&format!("unix:{}/api", dir.display()), None).expect("a client");
    let id = StreamId::new(ACTIVE).expect("an id");
    client.send_event(&id, r#"{"type":"lunch","data":{"at":12}}"#).await.expect("taken");
    until("what comes", async || seen().contains(r#"lunch {"at":12}"#).then_some(())).await;
    client.send_event(&id, r#"{"type":"session_ended","data":{"status":"failed"}}"#).await.expect("taken");
    let status = until("its end", async || follow.try_wait().expect("a child")).await;
    assert!(status.success());
    assert!(seen().ends_with("session ended: failed\n"), "{}", seen());
}
