//! Emitting: what it costs the engine, and how soon a follower sees it, in process, over HTTP, and with many at once.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use support::{
    Times, head, latency_row, number, percentile, print_machine, raw_latencies, resident_mib, row, runtime,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watchpost::api::{self, Listener, Parts};
use watchpost::client::{Client, Followed};
use watchpost::config::{self, Listen};
use watchpost::event::StreamId;
use watchpost::ingest::{Ingest, Ingestor, MAX_BUS_EVENTS};
use watchpost::session::follow::Follow;
use watchpost::session::{Session, Sessions, Start};
use watchpost::store::Store;
use watchpost::telemetry::Telemetry;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The bytes of one event as canonical JSON.
const EVENT_BYTES: usize = 437;
/// The type of the events.
const KIND: &str = "node_generation_completed";

fn main() {
    print_machine();
    let only = std::env::var("ONLY").unwrap_or_default();
    let runs = |name: &str| only.is_empty() || only == name;
    if runs("cost") {
        cost();
    }
    for rate in [1000, 10_000] {
        if runs("latency") {
            latency(rate);
        }
    }
    if runs("many") {
        many();
    }
}

/// The payload of an event; about [`EVENT_BYTES`] with the rest.
#[derive(Serialize, Deserialize)]
struct Payload {
    n: u64,
    plan_id: String,
    level_index: u64,
    node_id: String,
    path: String,
}

fn payload(n: u64) -> Payload {
    let node_id = format!("node-{n:06}");
    Payload { n, plan_id: "plan-1".into(), level_index: 3, path: format!("src/module/{node_id}.rs"), node_id }
}

/// A store on disk, its ingest and its sessions.
struct Bench {
    store: Store,
    ingest: Ingest,
    ingestor: Ingestor,
    sessions: Sessions,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(".").expect("a folder");
        let settings = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
        let store = Store::open(&settings).expect("a store");
        let (ingest, ingestor) = Ingest::start(&store).expect("ingest");
        let settings = config::Session { max_rate: 1_000_000, ..config::Session::default() };
        let (sessions, _keeper) = Sessions::start(store.clone(), ingest.clone(), settings).expect("sessions");
        Self { store, ingest, ingestor, sessions, dir }
    }

    async fn session(&self) -> Session {
        let start = Start::new(&serde_json::json!({ "command": "bench" })).expect("an object");
        self.sessions.open(start).await.expect("begun")
    }

    fn follow(&self, id: &StreamId) -> Follow {
        Follow::new(self.store.clone(), id.clone(), 2)
    }

    fn end(self) {
        self.ingestor.drain().expect("a quiet end");
    }
}

/// What one `emit` takes of the engine's time.
fn cost() {
    let bench = Bench::new();
    let runtime = runtime();
    let session = runtime.block_on(bench.session());
    let settle = || runtime.block_on(session.flush()).expect("durable");
    let emit = |n: u64| {
        let payload = payload(n);
        let begin = Instant::now();
        let emitted = session.try_emit(KIND, &payload).is_ok();
        (begin.elapsed(), emitted)
    };
    println!("\nthe cost of one emit to the engine, with the payload's serialisation\n");
    head(&["", "p50", "p90", "p99"]);
    let us = |took: Duration| format!("{:.2} µs", took.as_secs_f64() * 1e6);
    let print = |name: &str, mut took: Vec<Duration>| {
        took.sort();
        let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|percent| us(percentile(&took, percent)));
        row(&[name, &p50, &p90, &p99]);
    };
    let mut burst = Vec::new();
    for _ in 0..number("BURSTS", 100) {
        burst.extend((0..500).map(|n| emit(n).0));
        settle();
    }
    print("in a burst of 500", burst);
    let mut waking = Vec::new();
    for n in 0..number("WAKES", 500) {
        waking.push(emit(n).0);
        settle();
        std::thread::sleep(Duration::from_millis(1));
    }
    print("that wakes the writer", waking);
    // Faster than the writer: the bus fills, and each stretch of it is a row.
    let mut stretches: Vec<Vec<Duration>> = Vec::new();
    for _ in 0..number("FILLS", 10) {
        let mut sent = 0;
        loop {
            let (took, emitted) = emit(sent);
            if !emitted || sent > 4 * MAX_BUS_EVENTS as u64 {
                break;
            }
            let stretch = (sent / 2048) as usize;
            stretches.resize_with(stretches.len().max(stretch + 1), Vec::new);
            stretches[stretch].push(took);
            sent += 1;
        }
        settle();
    }
    for (n, took) in stretches.into_iter().enumerate() {
        let name = format!("emits {} to {} without a pause", n * 2048, (n + 1) * 2048);
        print(&name, took);
    }
    drop(session);
    bench.end();
}

/// From emit to a follower's having the event, in process and over HTTP.
fn latency(rate: u64) {
    let seconds = number("SECONDS", 10);
    let bench = Bench::new();
    let runtime = runtime();
    let mut here = runtime.block_on(in_process(&bench, rate, rate * seconds));
    let mut there = runtime.block_on(over_http(&bench, rate, rate * seconds));
    here.sort();
    there.sort();
    let raw = raw_latencies(bench.dir.path(), EVENT_BYTES);
    println!("\nfrom emit to visible in a follower, {rate} events/s for {seconds} s\n");
    head(&["", "p50", "p99", "p50 against the row above"]);
    latency_row("raw append + fdatasync", &raw, None);
    latency_row("in process", &here, Some(&raw));
    latency_row("over HTTP on loopback", &there, Some(&here));
    bench.end();
}

async fn in_process(bench: &Bench, rate: u64, events: u64) -> Vec<Duration> {
    let session = bench.session().await;
    let times = Arc::new(Times::new(events));
    let follower = tokio::spawn(seen(bench.follow(session.id()), times.clone(), events));
    let emit = |n| {
        session.try_emit(KIND, &payload(n)).expect("room");
    };
    times.pace(rate, emit).await;
    follower.await.expect("followed")
}

/// Reads so many events, and says how long each took.
async fn seen(mut follow: Follow, times: Arc<Times>, events: u64) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while (latencies.len() as u64) < events {
        let logged = follow.next().await.expect("readable").expect("it goes on");
        latencies.push(times.seen(logged.event.data.read::<Payload>().expect("ours").n));
    }
    latencies
}

async fn over_http(bench: &Bench, rate: u64, events: u64) -> Vec<Duration> {
    let listen = config::Api { listen: Listen::Tcp(([127, 0, 0, 1], 0).into()), ..config::Api::default() };
    let listener = Listener::bind(&listen.listen).await.expect("it binds").expect("a listener");
    let (url, stop) = (listener.url(), CancellationToken::new());
    let parts = Parts {
        store: bench.store.clone(),
        ingest: bench.ingest.clone(),
        sessions: bench.sessions.clone(),
        settings: listen,
        prefixes: Vec::new(),
        sources: Vec::new(),
        sinks: Vec::new(),
        telemetry: Telemetry::local(),
    };
    let serving = tokio::spawn(api::serve(listener, parts, stop.clone()));
    let start = Start::new(&serde_json::json!({ "command": "bench" })).expect("an object");
    let id = bench.sessions.begin(start).await.expect("begun").id;
    let times = Arc::new(Times::new(events));
    let mut follow = Client::new(&url, None).expect("a client").follow_session(&id, 2);
    let follower = tokio::spawn({
        let times = times.clone();
        async move {
            let mut latencies = Vec::new();
            while (latencies.len() as u64) < events {
                let Followed::Event(row) = follow.next().await.expect("it is served") else { continue };
                latencies.push(times.seen(row.logged.event.data.read::<Payload>().expect("ours").n));
            }
            latencies
        }
    });
    let (send, sent) = mpsc::unbounded_channel::<String>();
    let lines = futures_util::stream::unfold(sent, async |mut sent| {
        let line = sent.recv().await?;
        Some((Ok::<_, std::io::Error>(line), sent))
    });
    let request = reqwest::Client::new().post(format!("{url}/api/sessions/{id}/events"));
    let request = request.header("content-type", "application/x-ndjson").body(reqwest::Body::wrap_stream(lines));
    let answered = tokio::spawn(async move { request.send().await?.text().await });
    times
        .pace(rate, |n| {
            let data = serde_json::to_string(&payload(n)).expect("JSON");
            send.send(format!("{{\"type\":\"{KIND}\",\"data\":{data}}}\n")).expect("it is sent");
        })
        .await;
    drop(send);
    let latencies = follower.await.expect("followed");
    let answers = answered.await.expect("sent").expect("answered");
    assert_eq!(answers.lines().filter(|line| line.contains("\"seq\"")).count() as u64, events);
    stop.cancel();
    serving.await.expect("no panic").expect("it ends well");
    latencies
}

/// Many sessions and followers at once.
fn many() {
    let (sessions, followers, rate) = (number("SESSIONS", 1000), number("FOLLOWERS", 100), number("RATE", 10_000));
    let seconds = number("SECONDS", 10);
    let bench = Bench::new();
    let (mut latencies, before, after) = runtime().block_on(async {
        let mut open = Vec::new();
        for _ in 0..sessions {
            open.push(bench.session().await);
        }
        let before = resident_mib();
        let events = rate * seconds / sessions * sessions;
        let times = Arc::new(Times::new(events));
        let followed = open.iter().step_by((sessions / followers).max(1) as usize).take(followers as usize);
        let each = events / sessions;
        let following: Vec<_> =
            followed.map(|session| tokio::spawn(seen(bench.follow(session.id()), times.clone(), each))).collect();
        let emit = |n| {
            open[(n % sessions) as usize].try_emit(KIND, &payload(n)).expect("room");
        };
        times.pace(rate, emit).await;
        let mut latencies = Vec::new();
        for follower in following {
            latencies.extend(follower.await.expect("followed"));
        }
        (latencies, before, resident_mib())
    });
    latencies.sort();
    println!("\n{sessions} sessions at once, {rate} events/s in all, {followers} followers, {seconds} s\n");
    head(&["", "p50", "p99", ""]);
    latency_row("emit to visible", &latencies, None);
    println!("\nresident: {before:.0} MiB before, {after:.0} MiB after");
    bench.end();
}
