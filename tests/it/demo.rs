//! `watchpost demo`: the whole way from a recorded process-compose to the store, and to NATS where it is asked.

use std::process::{Command, Stdio};

use super::support::daemon::Daemon;
use super::support::nats::Server;

fn run(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_watchpost")).args(args).env_clear().output().expect("it runs");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn shows_every_kind_of_transition_and_leaves_what_it_says() {
    let nats = Server::start();
    let dir = tempfile::tempdir().expect("a folder");
    let keep = dir.path().join("demo").to_string_lossy().into_owned();
    let url = nats.settings().nats.url;
    let told = run(&["demo", "--speed", "20", "--keep", &keep, "--nats-url", &url]);
    for line in [
        "▶ restarts/fast started",
        "✖ restarts/slow crashed, exit code 1",
        "↻ restarts/always restarted by its policy, 1 so far",
        "✔ health/line is healthy",
        "! health/a is unhealthy",
        " session started: context generate src --recursive",
        " level 3 completed: 12 of 12 generated",
        " events of the session, which is drawn below.",
        "✔ context generate src --recursive ",
        "│ ├ ✖ level 0 ",
        "all invariants hold",
        &format!("All that go to NATS are at {url}."),
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("is down"), "{told}");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  watchpost ")).collect();
    assert_eq!(commands.len(), 5, "{told}");
    for command in commands {
        let left = run(&command.split(' ').collect::<Vec<_>>());
        assert!(!left.is_empty(), "{command}");
    }
    let crashed = run(&["watch", "--nats-url", &url, "-t", "unhealthy", "--limit", "1"]);
    assert!(crashed.ends_with("! health/a is unhealthy\n"), "{crashed}");
}

#[test]
fn the_same_seed_gives_the_same_session() {
    let session = |more: &[&str]| run(&[&["demo", "session", "--seed", "7", "--fast"], more].concat());
    let events = session(&["--json"]);
    let without_times = |events: &str| {
        let event = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).expect("an object");
            (event["type"].clone(), event["data"].clone())
        };
        events.lines().map(event).collect::<Vec<_>>()
    };
    let first = without_times(&events);
    assert_eq!(first, without_times(&session(&["--json"])));
    assert_ne!(first, without_times(&run(&["demo", "session", "--seed", "8", "--fast", "--json"])));
    assert_eq!((&first[0].0, &first[first.len() - 1].0), (&"session_started".into(), &"session_ended".into()));
    let dir = tempfile::tempdir().expect("a folder");
    let keep = dir.path().join("demo").to_string_lossy().into_owned();
    let told = session(&["--keep", &keep]);
    assert_eq!(told.lines().filter(|line| line.get(2..3) == Some(":")).count(), first.len(), "{told}");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  watchpost ")).collect();
    assert_eq!(commands.len(), 3, "{told}");
    for command in commands {
        let left = run(&command.replace("--speed 4", "--speed 10000").split(' ').collect::<Vec<_>>());
        assert!(left.contains("context generate src"), "{command}: {left}");
    }
}

#[test]
fn a_session_is_played_to_a_daemon() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let url = format!("unix:{}/api", daemon.dir().display());
    let told = run(&["demo", "session", "--fast", "--levels", "2", "--nodes", "6", "--url", &url]);
    assert!(told.contains("✔ context generate src --recursive ") && told.contains("session ended"), "{told}");
    let show = told.lines().find_map(|line| line.strip_prefix("  watchpost ")).expect("a command");
    assert!(run(&show.split(' ').collect::<Vec<_>>()).contains("✔ completed"), "{show}");
    let mut json = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    let mut json = json.args(["demo", "session", "--fast", "--json"]).env_clear().stdout(Stdio::piped()).spawn();
    let mut record = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    let piped = json.as_mut().expect("it runs").stdout.take().expect("a pipe");
    record.args(["sessions", "record", "--name", "piped", "--url", &url]).env_clear().stdin(piped);
    assert!(record.output().expect("it runs").status.success());
    assert!(json.expect("it runs").wait().expect("a child").success());
    let list = run(&["sessions", "list", "--command", "piped: context", "--status", "completed", "--url", &url]);
    assert_eq!(list.lines().count(), 2, "{list}");
}

#[test]
fn says_what_did_not_reach_nats() {
    let told = run(&["demo", "--speed", "100", "--nats-url", "nats://me:secret@127.0.0.1:1"]);
    assert!(told.contains("of them are not at nats://***@127.0.0.1:1: no answer, or not in time."), "{told}");
}
