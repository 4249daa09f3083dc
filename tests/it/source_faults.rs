//! The source where something gives way beneath it: the disk, the stream of states, the number of processes.

use serde_json::Value;
use watchpost::config::{Endpoint, ProcessCompose, Secret};
use watchpost::event::process::{ProcessData, Reason};
use watchpost::store::{Disk, Failing};

use super::support::fake::{FIRST, Fake, Reply, process};
use super::support::log::{Log, count, short};
use super::support::running::{Running, settings};

fn web(status: &str, exit_code: i64) -> Vec<Value> {
    vec![process("web", status, 5, exit_code)]
}

fn shows(processes: Vec<Value>) -> Reply {
    Reply::Processes(FIRST, processes)
}

/// What happens while the disk fails is told once, when it no longer does.
async fn is_told_once(disk: &Disk, breaks: impl FnOnce(), heals: impl FnOnce()) {
    let (log, fake) = (Log::on(disk), Fake::start(shows(web("Running", 0))).await);
    let source = Running::start(&log, settings(&fake.url()));
    log.wait("a start", |events| count(events, "started") == 1).await;
    breaks();
    fake.answers(shows(web("Completed", 7)));
    fake.polled(2).await;
    heals();
    log.wait("a crash", |events| count(events, "crashed") == 1).await;
    fake.polled(3).await;
    source.stop().await;
    assert_eq!(short(&log.events()), ["web started", "web status_changed", "web crashed"]);
}

#[tokio::test]
async fn a_commit_that_failed_is_made_again() {
    for failing in [Failing::Apply, Failing::Flush] {
        let disk = Disk::default();
        is_told_once(&disk, || disk.fail(failing), || {}).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let disk = Disk::default();
    is_told_once(&disk, || disk.set_free(Some(0)), || disk.set_free(None)).await;
}

#[tokio::test]
async fn more_processes_than_fit_into_one_commit_are_told_once() {
    let many = |status: &str| (0..3000).map(|n| process(&format!("p{n}"), status, 10 + n, 1)).collect();
    let (log, fake) = (Log::new(), Fake::start(shows(many("Running"))).await);
    let first = Running::start(&log, settings(&fake.url()));
    // Stopped in the middle, it goes on where it was: what was told stays told.
    log.wait("some starts", |events| count(events, "started") >= 300).await;
    first.stop().await;
    let second = Running::start(&log, settings(&fake.url()));
    log.wait("all starts", |events| count(events, "started") == 3000).await;
    second.stop().await;
    fake.answers(shows(many("Completed")));
    let third = Running::start(&log, settings(&fake.url()));
    log.wait("all ends", |events| count(events, "crashed") == 3000).await;
    fake.polled(2).await;
    third.stop().await;
    assert_eq!(log.events().len(), 9000);
}

#[tokio::test]
async fn frames_come_over_a_unix_socket_with_a_token() {
    const TOKEN: &str = "a token of twenty characters";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pc.sock");
    let (log, fake) = (Log::new(), Fake::at_socket(&path, Reply::Locked(TOKEN, web("Running", 0))));
    let token = Some(Secret::new(TOKEN));
    let endpoint = Endpoint::Socket(path);
    let source = Running::start(&log, ProcessCompose { token, endpoint, ..settings("") });
    log.wait("a start", |events| count(events, "started") == 1).await;
    // Between two polls, so that only the frames show that it was asked to stop.
    fake.frame(process("web", "Terminating", 5, 0)).await;
    fake.frame(process("web", "Completed", 5, 143)).await;
    fake.answers(Reply::Locked(TOKEN, web("Completed", 143)));
    let events = log.wait("an end", |events| events.iter().any(|e| e.kind.as_str() == "stopped")).await;
    source.stop().await;
    let stop = events.iter().find(|event| event.kind.as_str() == "stopped").expect("an end");
    let data: ProcessData = stop.data.read().expect("a payload");
    assert_eq!((data.reason, data.exit_code, data.ambiguous), (Some(Reason::Requested), Some(143), false));
}

#[tokio::test]
async fn a_frame_over_the_limit_costs_the_stream_and_nothing_else() {
    let (log, fake) = (Log::new(), Fake::start(shows(web("Running", 0))).await);
    let source = Running::start(&log, settings(&fake.url()));
    log.wait("a start", |events| count(events, "started") == 1).await;
    fake.frame(process(&"x".repeat(300 << 10), "Running", 6, 0)).await;
    fake.answers(shows(web("Completed", 7)));
    log.wait("a crash", |events| count(events, "crashed") == 1).await;
    // It listens again.
    fake.frame(process("web", "Running", 5, 0)).await;
    source.stop().await;
    assert_eq!(short(&log.events()), ["web started", "web status_changed", "web crashed"]);
}
