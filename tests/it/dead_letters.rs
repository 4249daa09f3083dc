//! Dead letters, from a sink's refusal to a person's decision, over the API of a real daemon.

use std::path::Path;

use async_nats::jetstream::stream::Config;
use serde_json::Value;

use super::support::daemon::{Daemon, store, watchpost};
use super::support::nats::Server;
use super::support::{history, wait};

fn run(dir: &Path, args: &[&str], code: i32) -> String {
    let output = watchpost(dir, args);
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The letters that a listing shows.
fn letters(dir: &Path, args: &[&str]) -> Vec<Value> {
    let lines = run(dir, &[&["dlq", "list", "--json"], args].concat(), 0);
    lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[tokio::test]
async fn are_listed_shown_retried_and_discarded() {
    let nats = Server::start();
    // No event fits into this stream, so each is refused for good.
    let narrow = Config {
        name: "PROCESS_EVENTS".into(),
        subjects: vec!["core.>".into()],
        max_message_size: 64,
        ..Config::default()
    };
    nats.jetstream().await.create_stream(narrow).await.expect("made");
    let dir = tempfile::tempdir().expect("a folder");
    history::six_events(&store(dir.path())).await;
    let mut daemon = Daemon::start(dir, &format!("jetstream: {{url: '{}'}}\n", nats.settings().nats.url));
    let dead = wait::until("six dead letters", async || {
        let letters = letters(daemon.dir(), &[]);
        (letters.len() == 6).then_some(letters)
    })
    .await;
    let id = dead[0]["id"].as_str().expect("an id");
    assert_eq!(
        (&dead[0]["sink"], &dead[0]["offset"], &dead[0]["attempts"]),
        (&"jetstream".into(), &0.into(), &1.into())
    );
    assert_eq!(dead[3]["event"]["exit_code"], 1, "{}", dead[3]);
    assert_eq!(letters(daemon.dir(), &["--limit", "4"]).len(), 4);
    assert_eq!(letters(daemon.dir(), &["--sink", "other"]).len(), 0);
    assert!(run(daemon.dir(), &["dlq", "stats"], 0).contains("delivery  jetstream  6"));
    assert!(run(daemon.dir(), &["dlq", "show", id], 0).contains(id));

    run(daemon.dir(), &["dlq", "discard", id, "--dry-run"], 0);
    assert_eq!(letters(daemon.dir(), &[]).len(), 6, "a dry run does nothing");
    assert_eq!(run(daemon.dir(), &["dlq", "discard", id], 0), "1 discarded\n");
    run(daemon.dir(), &["dlq", "show", id], 1);
    run(daemon.dir(), &["dlq", "discard", id], 1);

    assert_eq!(run(daemon.dir(), &["dlq", "retry-all"], 0), "5 will be sent again\n");
    wait::until("all to be refused again", async || {
        letters(daemon.dir(), &[]).iter().all(|letter| letter["attempts"] == 2).then_some(())
    })
    .await;

    // With no daemon running the same commands work on the store.
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
    let left = letters(daemon.dir(), &[]);
    assert_eq!(left.len(), 5);
    let id = left[0]["id"].as_str().expect("an id");
    assert_eq!(run(daemon.dir(), &["dlq", "retry", id], 0), "1 will be sent again\n");
    assert_eq!(letters(daemon.dir(), &[])[0]["retrying"], true);
    let again = Daemon::start(daemon.take_dir(), &format!("jetstream: {{url: '{}'}}\n", nats.settings().nats.url));
    wait::until("the next daemon to take it up", async || {
        letters(again.dir(), &[]).iter().any(|letter| letter["attempts"] == 3).then_some(())
    })
    .await;
}
