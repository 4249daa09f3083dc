//! Durable ingest against the raw disk: every tree, id and index written, every write synced.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use support::{draft, head, ms, number, percentile, print_machine, raw_append, row};
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
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let seconds = number("SECONDS", 10);
    let events = rate * seconds;
    let latencies = runtime.block_on(async {
        let began = Instant::now();
        let due = |n: u64| began + Duration::from_nanos(n * 1_000_000_000 / rate);
        let sent_at: Arc<Vec<AtomicU64>> = Arc::new((0..events).map(|_| AtomicU64::new(0)).collect());
        let follower = tokio::spawn(follow(store.clone(), began, sent_at.clone()));
        let mut every = tokio::time::interval(Duration::from_millis(1));
        let mut sent = 0;
        while sent < events {
            every.tick().await;
            while sent < events && due(sent) <= Instant::now() {
                sent_at[sent as usize].store(began.elapsed().as_nanos() as u64, Ordering::Release);
                // Who sends does not wait for the answer here: the follower's reading is what counts.
                drop(ingest.try_submit(Submission::events(vec![draft(sent, 64, false)])).expect("room"));
                sent += 1;
            }
        }
        follower.await.expect("followed")
    });
    let mut latencies = latencies;
    latencies.sort();
    let mut raw: Vec<Duration> = (0..2000).map(|_| raw_append(dir.path(), EVENT_BYTES, 1)).collect();
    raw.sort();
    println!("\nfrom emit to visible by a follower, {rate} events/s for {seconds} s\n");
    head(&["", "p50", "p99"]);
    row(&["raw append + fdatasync", &ms(percentile(&raw, 50.0)), &ms(percentile(&raw, 99.0))]);
    row(&["emit to visible", &ms(percentile(&latencies, 50.0)), &ms(percentile(&latencies, 99.0))]);
    let ratio = percentile(&latencies, 50.0).as_secs_f64() / percentile(&raw, 50.0).as_secs_f64();
    row(&["ratio", &format!("{ratio:.2}"), ""]);
    ingestor.drain().expect("a quiet end");
}

async fn follow(store: Store, began: Instant, sent_at: Arc<Vec<AtomicU64>>) -> Vec<Duration> {
    let mut durable = store.durable();
    let (mut next, mut latencies) = (0, Vec::new());
    while next < sent_at.len() as u64 {
        durable.wait_for(|end| *end > next).await.expect("the store");
        for logged in store.log(next, Limit::events(1024)).expect("a page") {
            let pid = logged.event.data.read::<Pid>().expect("a state").state.pid;
            let sent = Duration::from_nanos(sent_at[pid as usize].load(Ordering::Acquire));
            latencies.push(began.elapsed().saturating_sub(sent));
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
