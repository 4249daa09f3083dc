//! The commands that write to sessions, with a real daemon that comes, goes and is killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::support::daemon::{Daemon, beside, command, configure, watchpost};
use super::support::wait;

fn start(dir: TempDir, more: &str) -> Daemon {
    Daemon::start(dir, more)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What a command printed, which must have gone well and told nothing else.
fn said(output: &Output) -> String {
    let error = text(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{}: {error}", output.status);
    text(&output.stdout)
}

/// The events of the session that began last; none while it is not there.
fn events(dir: &Path, session: &str) -> Vec<Value> {
    let output = watchpost(dir, &["events", "query", "--session", session, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

/// Waits until the session has its end, and gives its events.
async fn ended(dir: &Path, session: &str) -> Vec<Value> {
    wait::until("the session to end", async || {
        let events = events(dir, session);
        (kinds(&events).last() == Some(&"session_ended")).then_some(events)
    })
    .await
}

/// A run whose command waits for a file before each of its steps.
struct Steps {
    child: Child,
}

impl Steps {
    fn start(dir: &Path) -> Self {
        let script = "echo $WATCHPOST_SESSION > $D/id.tmp; mv $D/id.tmp $D/id; n=1; while [ $n -le 4 ]; do \
                      while [ ! -e $D/go$n ]; do sleep 0.02; done; \
                      watchpost sessions emit step_$n || exit 9; touch $D/done$n; n=$((n+1)); done";
        let mut run = beside(dir, &["sessions", "run", "--heartbeat", "100ms", "--", "sh", "-c", script]);
        let child = run.env("D", dir).stderr(Stdio::piped()).spawn().expect("it runs");
        Self { child }
    }

    async fn session(dir: &Path) -> String {
        let id = wait::until("the session's id", async || std::fs::read_to_string(dir.join("id")).ok()).await;
        id.trim().to_owned()
    }

    async fn step(dir: &Path, n: usize) {
        std::fs::write(dir.join(format!("go{n}")), "").expect("written");
        wait::until("the step", async || dir.join(format!("done{n}")).exists().then_some(())).await;
    }

    /// What it complained of, at its end.
    fn finish(self) -> String {
        let output = self.child.wait_with_output().expect("a child");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}");
        error
    }
}

const WHOLE: [&str; 6] = ["session_started", "step_1", "step_2", "step_3", "step_4", "session_ended"];

fn without_pauses(events: &[Value]) -> Vec<&str> {
    kinds(events).into_iter().filter(|kind| !["session_interrupted", "session_resumed"].contains(kind)).collect()
}

#[tokio::test]
async fn with_a_daemon_a_run_is_a_session_from_its_first_event_to_its_last() {
    let daemon = start(tempfile::tempdir().expect("a folder"), "");
    let dir = daemon.dir();
    let script = "echo $TRACEPARENT; watchpost sessions emit level_started --data '{\"level_index\":0}'; exit 3";
    let output = beside(dir, &["sessions", "run", "--", "sh", "-c", script]).output().expect("it runs");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(3), String::new()));
    let list = said(&watchpost(dir, &["sessions", "list", "--json"]));
    let session: Value = serde_json::from_str(&list).expect("one session");
    assert_eq!((&session["status"], &session["events"]), (&"failed".into(), &3.into()));
    let traceparent = text(&output.stdout);
    let trace = &session["trace"];
    let expected =
        format!("00-{}-{}-01", trace["trace_id"].as_str().expect("hex"), trace["span_id"].as_str().expect("hex"));
    assert_eq!(traceparent.trim(), expected);
    let events = events(dir, session["id"].as_str().expect("an id"));
    assert_eq!(kinds(&events), ["session_started", "level_started", "session_ended"]);
    assert_eq!(events[2]["data"], serde_json::json!({"status": "failed", "exit_code": 3, "error": "exit code 3"}));
    assert!(!dir.join("spool").exists());
}

#[tokio::test]
async fn a_daemon_that_comes_while_the_run_is_on_takes_what_was_spooled_and_what_comes_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "");
    let steps = Steps::start(dir.path());
    let session = Steps::session(dir.path()).await;
    Steps::step(dir.path(), 1).await;
    Steps::step(dir.path(), 2).await;
    let daemon = start(dir, "");
    wait::until("the first steps", async || (events(daemon.dir(), &session).len() == 3).then_some(())).await;
    Steps::step(daemon.dir(), 3).await;
    Steps::step(daemon.dir(), 4).await;
    let told = steps.finish();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(kinds(&ended(daemon.dir(), &session).await), WHOLE);
    wait::until("the file to go", async || {
        (!daemon.dir().join(format!("spool/{session}.jsonl")).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_the_run_is_on_gets_what_came_meanwhile_in_order() {
    let mut daemon = start(tempfile::tempdir().expect("a folder"), "");
    let steps = Steps::start(daemon.dir());
    let session = Steps::session(daemon.dir()).await;
    Steps::step(daemon.dir(), 1).await;
    daemon.signal(Signal::KILL);
    daemon.wait();
    Steps::step(daemon.dir(), 2).await;
    Steps::step(daemon.dir(), 3).await;
    let daemon = start(daemon.take_dir(), "");
    // Not waiting for the spool: what comes now must not pass it.
    Steps::step(daemon.dir(), 4).await;
    let told = steps.finish();
    assert_eq!(told.lines().count(), 1, "said once: {told}");
    assert_eq!(kinds(&ended(daemon.dir(), &session).await), WHOLE);
}

#[tokio::test]
async fn a_run_that_ends_while_the_daemon_is_away_has_its_end_when_it_is_back() {
    let mut daemon = start(tempfile::tempdir().expect("a folder"), "");
    let steps = Steps::start(daemon.dir());
    let session = Steps::session(daemon.dir()).await;
    for n in 1..=3 {
        Steps::step(daemon.dir(), n).await;
    }
    daemon.signal(Signal::KILL);
    daemon.wait();
    Steps::step(daemon.dir(), 4).await;
    steps.finish();
    let daemon = start(daemon.take_dir(), "");
    assert_eq!(kinds(&ended(daemon.dir(), &session).await), WHOLE);
    let list = said(&watchpost(daemon.dir(), &["sessions", "list", "--json"]));
    assert!(list.contains(r#""status":"completed""#), "{list}");
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_a_session_that_is_interrupted_and_can_be_resumed() {
    let daemon = start(tempfile::tempdir().expect("a folder"), "session: {idle: 1s}\n");
    let mut steps = Steps::start(daemon.dir());
    let session = Steps::session(daemon.dir()).await;
    Steps::step(daemon.dir(), 1).await;
    // Longer than `session.idle`: the heartbeats keep it alive.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(kinds(&events(daemon.dir(), &session)), WHOLE[..2]);
    steps.child.kill().expect("it is there");
    steps.child.wait().expect("a child");
    wait::until("the interruption", async || {
        (kinds(&events(daemon.dir(), &session)).last() == Some(&"session_interrupted")).then_some(())
    })
    .await;
    // Its command goes on by itself, and is heard again.
    Steps::step(daemon.dir(), 2).await;
    let expected = ["session_started", "step_1", "session_interrupted", "session_resumed", "step_2"];
    assert_eq!(kinds(&events(daemon.dir(), &session)), expected);
    for n in 3..=4 {
        Steps::step(daemon.dir(), n).await;
    }
    said(&watchpost(daemon.dir(), &["sessions", "close", &session[..20], "--reason", "gone"]));
    let events = events(daemon.dir(), &session);
    let data = &events.last().expect("an end")["data"];
    assert_eq!(data, &serde_json::json!({"status": "failed", "closed": true, "reason": "gone"}));
    let again = watchpost(daemon.dir(), &["sessions", "close", &session, "--status", "completed"]);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("has ended"), "{}", text(&again.stderr));
}

#[tokio::test]
async fn a_run_that_is_killed_while_it_spools_loses_nothing_that_it_had_written() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "");
    let mut steps = Steps::start(dir.path());
    let session = Steps::session(dir.path()).await;
    Steps::step(dir.path(), 1).await;
    steps.child.kill().expect("it is there");
    steps.child.wait().expect("a child");
    Steps::step(dir.path(), 2).await;
    let daemon = start(dir, "session: {idle: 500ms}\n");
    wait::until("the interruption", async || {
        (kinds(&events(daemon.dir(), &session)).last() == Some(&"session_interrupted")).then_some(())
    })
    .await;
    for n in 3..=4 {
        Steps::step(daemon.dir(), n).await;
    }
    assert_eq!(without_pauses(&events(daemon.dir(), &session)), WHOLE[..5]);
}

fn record(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command: Command = beside(dir, &[&["sessions", "record"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that ends early reads no more.
    let _all = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("a child")
}

#[tokio::test]
async fn what_a_program_prints_is_recorded_line_by_line_and_bad_lines_are_told() {
    let daemon = start(tempfile::tempdir().expect("a folder"), "");
    let dir = daemon.dir();
    let input: String = (1..=3000).map(|n| format!("{{\"type\":\"step\",\"data\":{{\"n\":{n}}}}}\n")).collect();
    let id = said(&record(dir, &["--name", "nightly"], &input));
    let all = events(dir, id.trim());
    assert_eq!(all.len(), 3002);
    let numbers: Vec<u64> =
        all[1..3001].iter().map(|event| event["data"]["n"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=3000).collect::<Vec<_>>());
    assert_eq!((&all[0]["data"]["name"], &all[3001]["data"]["status"]), (&"nightly".into(), &"completed".into()));
    let bad = "{\"type\":\"a\"}\n\nno JSON\n{\"type\":\"Bad\"}\n{\"type\":\"b\"}";
    let output = record(dir, &[], bad);
    let (id, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(kinds(&events(dir, id.trim())), ["session_started", "a", "b", "session_ended"]);
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("line 3: event: expected a JSON object"), "{error}");
    assert!(lines[1].starts_with("line 4: type: expected"), "{error}");
    let ended = record(dir, &["--session", id.trim()], "{\"type\":\"late\"}\n");
    assert!(ended.status.code() == Some(2) && text(&ended.stderr).contains("has ended"), "{}", text(&ended.stderr));
    let stored = record(dir, &["--store", "store"], "");
    assert_eq!(stored.status.code(), Some(2));
    assert!(text(&stored.stderr).contains("--store: this needs a daemon"), "{}", text(&stored.stderr));
    let none = record(dir, &["--session", "nobody"], "");
    assert_eq!(none.status.code(), Some(1), "{}", text(&none.stderr));
}

#[tokio::test]
async fn a_session_that_was_printed_is_recorded_anew_with_its_beginning_and_its_end() {
    let daemon = start(tempfile::tempdir().expect("a folder"), "");
    let dir = daemon.dir();
    let played = said(&watchpost(dir, &["demo", "session", "--fast", "--json", "--levels", "2", "--nodes", "4"]));
    let first = said(&record(dir, &[], &played));
    let printed = said(&watchpost(dir, &["events", "query", "--session", first.trim(), "--json"]));
    let again = said(&record(dir, &[], &printed));
    let printed = said(&watchpost(dir, &["sessions", "follow", again.trim(), "--json"]));
    let third = said(&record(dir, &["--name", "third"], &printed));
    let bare = |events: Vec<Value>| -> Vec<(Value, Value, Value)> {
        events
            .into_iter()
            .map(|event| (event["type"].clone(), event["ts"].clone(), event["data"].clone()))
            .collect()
    };
    let played: Vec<Value> = played.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let played = bare(played);
    assert_eq!(bare(events(dir, first.trim())), played);
    assert_eq!(bare(events(dir, again.trim())), played);
    let third = bare(events(dir, third.trim()));
    assert_eq!((&third[1..], &third[0].2["name"]), (&played[1..], &"third".into()));
    let list = said(&watchpost(dir, &["sessions", "list", "--command", "third: "]));
    assert_eq!(list.lines().count(), 2, "{list}");
    let letters = said(&watchpost(dir, &["dlq", "list"]));
    assert!(!letters.contains("late"), "an end is sent once: {letters}");
    let interrupted = "{\"type\":\"a\",\"session\":\"x\"}\n{\"type\":\"session_interrupted\",\"session\":\"x\"}\n\
                       {\"type\":\"session_resumed\",\"session\":\"x\"}\n{\"type\":\"b\",\"session\":\"x\"}\n";
    let id = said(&record(dir, &[], interrupted));
    assert_eq!(kinds(&events(dir, id.trim())), ["session_started", "a", "b", "session_ended"]);
    let wrong = "{\"type\":\"session_started\",\"data\":7}\n{\"type\":\"session_ended\",\"data\":{\"status\":\"failed\"}}\n";
    let output = record(dir, &[], wrong);
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(1), 1));
    assert!(text(&output.stderr).starts_with("line 1: data: expected"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn inside_of_a_run_what_is_recorded_belongs_to_it() {
    let daemon = start(tempfile::tempdir().expect("a folder"), "");
    let dir = daemon.dir();
    let script = "echo '{\"type\":\"a\"}' | watchpost sessions record";
    let output = beside(dir, &["sessions", "run", "--", "sh", "-c", script]).output().expect("it runs");
    let id = said(&output);
    assert_eq!(kinds(&events(dir, id.trim())), ["session_started", "a", "session_ended"]);
}

#[tokio::test]
async fn old_sessions_are_pruned_when_it_is_asked_for_with_a_daemon_and_without() {
    for with_daemon in [true, false] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().to_owned();
        let keep_one = |mut command: Command| {
            command.env("WATCHPOST_STORE_MAX_SESSIONS", "1");
            command
        };
        let mut daemon = Daemon::ready(keep_one(command(&path, "")), dir);
        for n in 0..3 {
            record(&path, &["--name", &format!("s{n}")], "{\"type\":\"a\"}\n");
        }
        let prune = |args: &[&str]| {
            let prune = keep_one(beside(&path, &[&["sessions", "prune"], args].concat())).output();
            said(&prune.expect("it runs"))
        };
        let told = wait::until("the index to have them", async || {
            Some(prune(&["--dry-run"])).filter(|told| told.ends_with("2 would be removed\n"))
        })
        .await;
        assert_eq!(told.matches("watchpost sessions record").count(), 2, "{told}");
        let kept = (!with_daemon).then(|| {
            daemon.signal(Signal::TERM);
            daemon.wait();
            daemon.take_dir()
        });
        let told = prune(&[]);
        assert!(told.ends_with("2 removed\n"), "{told}");
        assert_eq!(prune(&[]), "0 removed\n");
        let list = said(&watchpost(&path, &["sessions", "list", "--json"]));
        assert!(list.lines().count() == 1 && list.contains(r#""name":"s2""#), "{list}");
        drop(kept);
    }
}
