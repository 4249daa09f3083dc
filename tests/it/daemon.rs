//! The daemon as the system sees it: signals, readiness, restarts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::support::daemon::{Daemon, command, watchpost};

fn check(dir: &std::path::Path, args: &[&str], code: i32) -> String {
    let output = watchpost(dir, args);
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    error
}

#[test]
fn a_signal_drains_and_another_daemon_takes_over() {
    let mut dir = tempfile::tempdir().expect("a folder");
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(dir, "");
        check(daemon.dir(), &["events", "query"], 0);
        daemon.signal(signal);
        let status = daemon.wait();
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
        assert!(!daemon.dir().join("api").exists());
        check(daemon.dir(), &["store", "check"], 0);
        dir = daemon.take_dir();
    }
}

#[test]
fn a_second_signal_forces_but_not_the_echo_of_the_first() {
    // Takes connections and never says a word: a drain waits for the delivery's next try.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("it binds");
    let url = silent.local_addr().expect("an address");
    let dir = tempfile::tempdir().expect("a folder");
    let mut daemon = Daemon::start(dir, &format!("jetstream: {{url: 'nats://{url}'}}\n"));
    let began = Instant::now();
    let status = daemon.wait_and(|daemon| daemon.signal(Signal::TERM));
    let took = began.elapsed();
    let log = daemon.log();
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("the drain was forced while these were running: delivery jetstream"), "{log}");
    assert!((Duration::from_millis(200)..Duration::from_secs(4)).contains(&took), "{took:?}");
    check(daemon.dir(), &["store", "check"], 0);
}

#[test]
fn what_takes_no_events_can_still_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut full = command(dir.path(), "");
    full.env("WATCHPOST_STORE_MIN_FREE", "1000TiB");
    let daemon = Daemon::ready(full, dir);
    for args in
        [&["events", "query"][..], &["sinks"], &["dlq", "list"], &["watch", "--from", "daemon", "--limit", "0"]]
    {
        check(daemon.dir(), args, 0);
    }
}

#[test]
fn sinks_are_followed_while_they_change() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir, "jetstream: {url: 'nats://127.0.0.1:1'}\n");
    let mut follow = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    follow.args(["sinks", "--follow", "--json"]).env_clear().stdout(Stdio::piped());
    follow.env("WATCHPOST_CONFIG", daemon.dir().join("watchpost.yaml"));
    let mut follow = follow.spawn().expect("it runs");
    let out = BufReader::new(follow.stdout.take().expect("a pipe"));
    let failures = out.lines().filter_map(|line| {
        let sink: serde_json::Value = serde_json::from_str(&line.expect("UTF-8")).expect("an object");
        (sink["sink"] == "jetstream").then(|| sink["failures"].as_u64().expect("a number"))
    });
    let two: Vec<u64> = failures.take(2).collect();
    follow.kill().expect("it is there");
    follow.wait().expect("a child");
    assert!(two[0] < two[1], "{two:?}");
}

#[test]
fn a_second_daemon_says_who_holds_the_store() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let error = check(daemon.dir(), &["store", "check"], 3);
    assert!(error.contains(&format!("process id {}", daemon.pid())), "{error}");
    let second = command(daemon.dir(), "").output().expect("it runs");
    assert_eq!(second.status.code(), Some(3));
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    assert!(error.contains("the API cannot listen"), "{error}");
}

#[test]
fn what_is_killed_starts_again() {
    let mut daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    daemon.signal(Signal::KILL);
    daemon.wait();
    let again = Daemon::start(daemon.take_dir(), "");
    check(again.dir(), &["events", "query"], 0);
}
