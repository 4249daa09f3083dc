//! `watchpost demo`: the whole way from a recorded process-compose to the store, and to NATS where it is asked.

use std::process::Command;

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
        "all invariants hold",
        &format!("All that go to NATS are at {url}."),
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("is down"), "{told}");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  watchpost ")).collect();
    assert_eq!(commands.len(), 4, "{told}");
    for command in commands {
        let left = run(&command.split(' ').collect::<Vec<_>>());
        assert!(!left.is_empty(), "{command}");
    }
    let crashed = run(&["watch", "--nats-url", &url, "-t", "unhealthy", "--limit", "1"]);
    assert!(crashed.ends_with("! health/a is unhealthy\n"), "{crashed}");
}

#[test]
fn says_what_did_not_reach_nats() {
    let told = run(&["demo", "--speed", "100", "--nats-url", "nats://me:secret@127.0.0.1:1"]);
    assert!(told.contains("of them are not at nats://***@127.0.0.1:1: no answer, or not in time."), "{told}");
}
