//! The recordings over HTTP and its WebSocket, through the real client and the real loop.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use watchpost::config::ProcessCompose;
use watchpost::demo::{Player, Recording};
use watchpost::event::Event;
use watchpost::event::process::ProcessData;
use watchpost::state::process::Processes;

use super::recordings::{RECORDINGS, read, shown};
use super::support::account::{Account, account, print, told};
use super::support::log::Log;
use super::support::running::{Running, settings};

/// The fold of the events knows the processes by the names that they have at the end, and which are up.
fn check_fold(name: &str, events: &[Event]) {
    let mut state = Processes::default();
    events.iter().for_each(|event| state.apply(event));
    let up = state.sources["main"].processes.values().filter(|process| process.up);
    let mut open = BTreeSet::new();
    for event in events {
        let run = event.data.read::<ProcessData>().ok().and_then(|data| data.run_id);
        match event.kind.as_str() {
            "started" => open.extend(run),
            "stopped" | "crashed" => drop(run.map(|run| open.remove(&run))),
            _ => {}
        }
    }
    assert_eq!(up.filter_map(|process| process.run_id).collect::<BTreeSet<_>>(), open, "{name}");
    let names: Vec<&str> = state.sources["main"].processes.keys().map(String::as_str).collect();
    if name.starts_with("by_hand") {
        assert_eq!(names, ["steady", "web", "worker-0", "worker-1", "worker-2"], "{name}");
    }
}

/// Plays a recording at ten times its speed into a log, through the real client and the real loop of a source of
/// that name.
pub(crate) async fn record(log: &Log, source: &str, recording: &Recording) {
    const SPEED: f64 = 10.0;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let poll_interval = Duration::from_millis(recording.interval_ms).div_f64(SPEED);
    let (player, over) = (Player::new(recording.clone(), SPEED), CancellationToken::new());
    let serving = tokio::spawn({
        let (player, over) = (player.clone(), over.clone());
        async move { player.serve(listener, over).await.expect("a server") }
    });
    let sample_interval = Some(Duration::from_millis(100));
    let name = source.to_owned();
    let source = Running::start(log, ProcessCompose { name, poll_interval, sample_interval, ..settings(&url) });
    player.ended().await;
    source.stop().await;
    over.cancel();
    serving.await.expect("no panic");
}

/// A recording, and the account of its events.
async fn play(name: &str) -> Account {
    let recording = read(name);
    let log = Log::new();
    record(&log, "main", &recording).await;
    let events = log.events();
    check_fold(name, &events);
    super::spans::processes::check(name, &events);
    // The last polls may have come too late for what happened at the very end.
    let until = recording.wall.plus_millis(recording.length_ms() as i64 - 3000);
    account(&recording.truth, until, &shown(&recording, false), &told(&events))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_over_http_keeps_its_account() {
    let mut playing = tokio::task::JoinSet::new();
    for name in RECORDINGS {
        playing.spawn(async move { (name, play(name).await) });
    }
    let mut accounts = playing.join_all().await;
    accounts.sort_by_key(|(name, _)| *name);
    for (name, account) in &accounts {
        assert!(account.wrong.is_empty(), "{name}: {account:#?}");
        assert_eq!(account.truth, account.runs(), "{name}: {account:#?}");
    }
    print("over HTTP, ten times as fast", &accounts);
}
