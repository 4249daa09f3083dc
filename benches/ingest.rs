//! Durable ingest against the raw disk: every tree, id and index written, every write synced.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use support::{Times, draft, head, latency_row, number, print_machine, raw_append, raw_latencies, row, runtime};
use watchpost::config;
use watchpost::ingest::Ingest;
use watchpost::store::{Limit, Pass, Store, Submission};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The bytes of one event as canonical JSON.
const EVENT_BYTES: usize = 437;

fn main() {
    print_machine();
    throughput();
    for rate in [1000, 10_000] {
        latency(rate);
    }
}

fn settings(dir: &tempfile::TempDir) -> config::Store {
    config::Store { dir: dir.path().join("store"), ..config::Store::default() }
}

fn throughput() {
    let events = number("EVENTS", 200_000);
    println!(
        "\n{events} events of {EVENT_BYTES} bytes, written and indexed, against append + fdatasync of the same bytes\n"
    );
    head(&["streams", "batch", "raw events/s", "store events/s", "ratio", "MiB on disk"]);
    for (streams, batch) in [(64, 128), (64, 1024), (1, 128), (1, 1024)] {
        let dir = tempfile::tempdir_in(".").expect("a folder");
        let raw = raw_append(dir.path(), EVENT_BYTES * batch, events as usize / batch);
        let (took, disk) = store(&dir, events, streams, batch);
        let rate = |took: Duration| events as f64 / took.as_secs_f64();
        row(&[
            &streams.to_string(),
            &batch.to_string(),
            &format!("{:.0}", rate(raw)),
            &format!("{:.0}", rate(took)),
            &format!("{:.2}", rate(took) / rate(raw)),
            &format!("{:.0}", disk as f64 / 1048576.0),
        ]);
    }
}

/// Applies in one thread, flushes in a second and indexes in a third, as ingest does, at a fixed batch size.
fn store(dir: &tempfile::TempDir, events: u64, streams: u64, batch: usize) -> (Duration, u64) {
    let store = Store::open(&settings(dir)).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let batches: Vec<Submission> = (0..events)
        .collect::<Vec<_>>()
        .chunks(batch)
        .map(|chunk| Submission::events(chunk.iter().map(|n| draft(*n, streams, true)).collect()))
        .collect();
    let begin = Instant::now();
    let (hand, handed) = sync_channel(4);
    let flushing = std::thread::spawn(move || {
        while let Ok(first) = handed.recv() {
            let end = handed.try_iter().last().unwrap_or(first);
            flusher.flush(end).expect("a flush");
        }
    });
    let maintainer = store.maintainer();
    let noindex = std::env::var("NOINDEX").is_ok();
    let indexing = std::thread::spawn(move || {
        while !noindex && maintainer.indexed() < events {
            let last = maintainer.indexed() + 2048 > events;
            if maintainer.pass(last).expect("a pass") == Pass::Idle {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    });
    for submission in batches {
        for outcome in writer.apply(&[submission]).expect("room") {
            outcome.expect("taken");
        }
        hand.send(writer.next_offset()).expect("the flusher");
    }
    drop(hand);
    flushing.join().expect("flushed");
    indexing.join().expect("indexed");
    (begin.elapsed(), store.stats().expect("stats").disk_bytes)
}

/// From `submit` to a follower's having read the event.
fn latency(rate: u64) {
    let dir = tempfile::tempdir_in(".").expect("a folder");
    let store = Store::open(&settings(&dir)).expect("a store");
    let (ingest, ingestor) = Ingest::start(&store).expect("ingest");
    let seconds = number("SECONDS", 10);
    let mut latencies = runtime().block_on(async {
        let times = Arc::new(Times::new(rate * seconds));
        let follower = tokio::spawn(follow(store.clone(), times.clone()));
        // Who sends does not wait for the answer here: the follower's reading is what counts.
        times
            .pace(rate, |n| drop(ingest.try_submit(Submission::events(vec![draft(n, 64, false)])).expect("room")))
            .await;
        follower.await.expect("followed")
    });
    latencies.sort();
    let raw = raw_latencies(dir.path(), EVENT_BYTES);
    println!("\nfrom emit to visible by a follower, {rate} events/s for {seconds} s\n");
    head(&["", "p50", "p99", "ratio"]);
    latency_row("raw append + fdatasync", &raw, None);
    latency_row("emit to visible", &latencies, Some(&raw));
    ingestor.drain().expect("a quiet end");
}

async fn follow(store: Store, times: Arc<Times>) -> Vec<Duration> {
    let mut durable = store.durable();
    let (mut next, mut latencies) = (0, Vec::new());
    while next < times.events() {
        durable.wait_for(|end| *end > next).await.expect("the store");
        for logged in store.log(next, Limit::events(1024)).expect("a page") {
            let pid = logged.event.data.read::<Pid>().expect("a state").state.pid;
            latencies.push(times.seen(pid));
            next = logged.offset + 1;
        }
    }
    latencies
}

#[derive(serde::Deserialize)]
struct Pid {
    state: State,
}

#[derive(serde::Deserialize)]
struct State {
    pid: u64,
}
