//! `watchpost watch`, from a real NATS that a real daemon delivers to, and from that daemon.

use std::process::Output;

use super::support::daemon::{Daemon, store, watchpost};
use super::support::nats::Server;
use super::support::{history, wait};

/// What a command printed, which must have gone well.
fn lines(output: Output) -> Vec<String> {
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// A daemon that has delivered six events.
async fn delivered(nats: &Server) -> Daemon {
    let dir = tempfile::tempdir().expect("a folder");
    history::six_events(&store(dir.path())).await;
    let daemon = Daemon::start(dir, &format!("jetstream: {{url: '{}'}}\n", nats.settings().nats.url));
    wait::until("all to be delivered", async || {
        let sinks = lines(watchpost(daemon.dir(), &["sinks", "--json"]));
        sinks
            .iter()
            .any(|sink| sink.contains(r#""delivered":6"#) && sink.contains(r#""lag_events":0"#))
            .then_some(())
    })
    .await;
    daemon
}

#[tokio::test]
async fn shows_the_current_state_then_chooses() {
    let nats = Server::start();
    let daemon = delivered(&nats).await;
    let state = [
        "09:53:31.000 ▶ default/api started, pid 41",
        "09:53:33.000 ✔ default/api is healthy",
        "09:53:34.000 ✖ default/web crashed, exit code 1",
        "09:53:35.000 ↻ default/web restarted",
        "09:53:36.000 ▶ default/web started, pid 41",
    ];
    let all = ["09:53:31.000 ▶ default/api started, pid 41", "09:53:32.000 ▶ default/web started, pid 41"];
    for from in ["nats", "daemon"] {
        let check = |args: &[&str], expected: &[&str]| {
            let limit = expected.len().to_string();
            let args = [&["watch", "--from", from, "--limit", &limit], args].concat();
            assert_eq!(lines(watchpost(daemon.dir(), &args)), expected, "{args:?}");
        };
        check(&[], &state);
        check(&["-p", "web"], &state[2..]);
        check(&["-p", "default/api"], &state[..2]);
        check(&["-p", "web", "-p", "default/web", "-p", "web"], &state[2..]);
        check(&["-t", "crashed,restarted,crashed"], &state[2..4]);
        check(&["-p", "web", "-p", "api", "-t", "healthy"], &state[1..2]);
    }
    let since = ["watch", "--from", "daemon", "--since", "2025-10-16T09:53:31Z", "--limit", "2"];
    assert_eq!(lines(watchpost(daemon.dir(), &since)), all);
    let json = lines(watchpost(daemon.dir(), &["watch", "--limit", "1", "--json", "-t", "crashed"]));
    let event: serde_json::Value = serde_json::from_str(&json[0]).expect("an object");
    assert_eq!((&event["exit_code"], &event["process"]), (&1.into(), &"web".into()));
}

#[test]
fn says_what_it_cannot_reach() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("watchpost.yaml"), "jetstream: {url: 'nats://127.0.0.1:1'}\n").expect("written");
    let check = |args: &[&str], expected: &str| {
        let output = watchpost(dir.path(), args);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    check(&["watch"], "127.0.0.1:1");
    check(&["watch", "--from", "daemon", "--url", "http://127.0.0.1:1"], "no daemon answers at http://127.0.0.1:1");
}
