//! Resident memory, each figure of a process of its own.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{draft, head, number, print_machine, row};
use tokio_util::sync::CancellationToken;
use watchpost::config;
use watchpost::deliver::{self, Delivery};
use watchpost::event::{Event, Logged};
use watchpost::ingest::Ingest;
use watchpost::sink::{Cursor, Error, Sent, Sink};
use watchpost::store::{Limit, Pass, Store, Submission};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The variable that tells a process started by this one what to do.
const ROLE: &str = "WATCHPOST_BENCH_ROLE";

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role, &PathBuf::from(std::env::var_os("DIR").expect("DIR")));
    }
    print_machine();
    let events = number("EVENTS", 1_000_000);
    let dir = tempfile::tempdir_in(".").expect("a folder");
    println!();
    head(&["what", "resident at the end", "at most"]);
    told("daemon, idle, empty store", daemon(&dir.path().join("empty")));
    told("10,000 events/s for a minute", of_role("load", &dir.path().join("load")));
    let many = dir.path().join("many");
    of_role("fill", &many);
    told(&format!("daemon, idle, {events} events"), daemon(&many));
    told(&format!("catching up {events} events into a sink"), of_role("catch-up", &many));
    of_role("fill", &many);
    told(&format!("catching up {} events into a sink", 2 * events), of_role("catch-up", &many));
}

fn told(what: &str, (end, most): (f64, f64)) {
    row(&[what, &format!("{end:.1} MiB"), &format!("{most:.1} MiB")]);
}

/// Resident memory of a process, in MiB: now, and the most that it had.
fn memory(pid: u32) -> Option<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
    };
    Some((mib("VmRSS:")?, mib("VmHWM:")?))
}

/// The daemon with nothing to do, ten seconds after its start.
fn daemon(dir: &Path) -> (f64, f64) {
    let file = dir.with_extension("yaml");
    let text = format!("store:\n  dir: {}\napi:\n  listen: 127.0.0.1:0\n", dir.display());
    std::fs::write(&file, text).expect("a configuration");
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchpost"))
        .args(["run", "--config"])
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon");
    std::thread::sleep(Duration::from_secs(10));
    let found = memory(child.id()).expect("the daemon runs");
    child.kill().and_then(|()| child.wait()).expect("the daemon ends");
    found
}

/// What a role needs, seen every tenth of a second until it ends.
fn of_role(role: &str, dir: &Path) -> (f64, f64) {
    let own = std::env::current_exe().expect("this program");
    let child: std::io::Result<Child> = Command::new(own).env(ROLE, role).env("DIR", dir).spawn();
    let mut child = child.expect("a process");
    let mut found = (0.0, 0.0);
    while child.try_wait().expect("a status").is_none() {
        found = memory(child.id()).filter(|(now, _)| *now > 0.0).unwrap_or(found);
        std::thread::sleep(Duration::from_millis(100));
    }
    found
}

fn play(role: &str, dir: &Path) {
    let settings = config::Store { dir: dir.to_owned(), ..config::Store::default() };
    let store = Store::open(&settings).expect("a store");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    match role {
        "fill" => fill(&store),
        "load" => runtime.block_on(load(&store)),
        _ => runtime.block_on(catch_up(store)),
    }
}

fn fill(store: &Store) {
    let (mut writer, flusher) = store.writer().expect("the writer");
    let maintainer = store.maintainer();
    let begin = store.range().end;
    let end = begin + number("EVENTS", 1_000_000);
    for first in (begin..end).step_by(1024) {
        let drafts = (first..end.min(first + 1024)).map(|n| draft(n, 64, false)).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room").remove(0).expect("taken");
        flusher.flush(writer.next_offset()).expect("durable");
        while maintainer.pass(false).expect("a pass") == Pass::Indexed {}
    }
}

/// Ten events a millisecond, and a follower.
async fn load(store: &Store) {
    let (ingest, ingestor) = Ingest::start(store).expect("ingest");
    let events = 10_000 * number("SECONDS", 60);
    let follower = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut durable, mut next) = (store.durable(), 0);
            while next < events {
                durable.wait_for(|end| *end > next).await.expect("the store");
                next += store.log(next, Limit::events(1024)).expect("a page").len() as u64;
            }
        }
    });
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut sent = 0;
    while sent < events {
        tick.tick().await;
        let due = (began.elapsed().as_millis() as u64 * 10).min(events);
        for n in sent..due {
            let one = Submission::events(vec![draft(n, 64, false)]);
            while let Err(error) = ingest.try_submit(one.clone()) {
                assert!(error.is_retryable(), "{error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        sent = due;
    }
    follower.await.expect("followed");
    ingestor.drain().expect("a quiet end");
}

/// A destination that takes everything at once.
struct Nowhere;

impl Sink for Nowhere {
    fn wants(&self, _: &Event) -> bool {
        true
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        Ok(at.clone())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        Sent { settled: batch.len(), ..Sent::default() }
    }
}

async fn catch_up(store: Store) {
    let end = store.range().end;
    store.put(&[watchpost::store::Write::remove(watchpost::store::Tree::Cursors, "nowhere")]).expect("room");
    let (delivery, handle) = Delivery::new("nowhere", Nowhere, store, deliver::Settings::default());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(delivery.run(shutdown.clone()));
    while handle.status().expect("a status").offset < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shutdown.cancel();
    running.await.expect("it ends");
}
