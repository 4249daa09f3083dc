//! Draining the log into a real NATS, against a bare async-nats publisher with the same window, payload and
//! headers: what ours wrote is read back and published once more to a fresh server.
//!
//! `EVENTS=1000000 cargo bench --bench jetstream_drain`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;
mod support;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config;
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use servers::nats::Server;
use support::{draft, head, number, print_machine, resident_mib, row};
use tokio_util::sync::CancellationToken;
use watchpost::config;
use watchpost::deliver::{Delivery, Settings};
use watchpost::sink::jetstream::JetStream;
use watchpost::store::{Store, Submission};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const STREAM: &str = "PROCESS_EVENTS";
const STREAMS: u64 = 64;
/// So many messages are read back before they are published; reading is not timed.
const CHUNK: usize = 10_000;

#[tokio::main]
async fn main() {
    let (events, rounds) = (number("EVENTS", 200_000), number("ROUNDS", 3));
    print_machine();
    let dir = tempfile::tempdir_in(".").expect("a folder");
    let store = fill(&dir, events);
    println!("\n{events} events of 64 streams out of the store, window {}\n", config::JetStream::default().window);
    head(&["round", "bare events/s", "drain events/s", "ratio", "resident"]);
    for round in 1..=rounds {
        let server = Server::start();
        let drained = drain(&store, &server, events).await;
        let bare = bare(&server, &Server::start(), events).await;
        let rate = |took: Duration| events as f64 / took.as_secs_f64();
        row(&[
            &round.to_string(),
            &format!("{:.0}", rate(bare)),
            &format!("{:.0}", rate(drained)),
            &format!("{:.2}", rate(drained) / rate(bare)),
            &format!("{:.0} MiB", resident_mib()),
        ]);
    }
}

fn fill(dir: &tempfile::TempDir, events: u64) -> Store {
    let settings = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
    let store = Store::open(&settings).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    for from in (0..events).step_by(1000) {
        let drafts = (from..events.min(from + 1000)).map(|n| draft(n, STREAMS, false)).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room");
        flusher.flush(writer.next_offset()).expect("durable");
    }
    store
}

/// From the start of a delivery with nothing but the log to the last confirmation.
async fn drain(store: &Store, server: &Server, events: u64) -> Duration {
    let sink = JetStream::new(server.settings()).expect("good subjects");
    // Each round has a cursor of its own.
    let name = server.url();
    let begin = Instant::now();
    let (delivery, handle) = Delivery::new(&name, sink, store.clone(), Settings::default());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(delivery.run(shutdown.clone()));
    let mut status = handle.watch();
    status.wait_for(|status| status.offset >= events).await.expect("it runs");
    let took = begin.elapsed();
    shutdown.cancel();
    task.await.expect("it ends");
    took
}

/// The same messages, published with a window of acknowledgements and nothing else.
async fn bare(from: &Server, to: &Server, events: u64) -> Duration {
    let source = from.jetstream().await.get_stream(STREAM).await.expect("the stream");
    let context = to.jetstream().await;
    let config = Config { num_replicas: 1, ..source.cached_info().config.clone() };
    context.create_stream(config).await.expect("made");
    let consumer = source.create_consumer(pull::OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("its messages");
    let (mut took, mut left) = (Duration::ZERO, events as usize);
    while left > 0 {
        let mut chunk = Vec::with_capacity(CHUNK);
        for _ in 0..left.min(CHUNK) {
            let message = messages.next().await.expect("one more").expect("a message").message;
            chunk.push((message.subject.to_string(), message.headers.unwrap_or_default(), message.payload));
        }
        left -= chunk.len();
        let begin = Instant::now();
        publish(&context, chunk).await;
        took += begin.elapsed();
    }
    took
}

async fn publish(context: &jetstream::Context, chunk: Vec<(String, HeaderMap, Bytes)>) {
    let window = config::JetStream::default().window;
    let mut acks = VecDeque::with_capacity(window);
    for (subject, headers, payload) in chunk {
        if acks.len() == window {
            wait(acks.pop_front()).await;
        }
        acks.push_back(context.publish_with_headers(subject, headers, payload).await.expect("sent"));
    }
    while !acks.is_empty() {
        wait(acks.pop_front()).await;
    }
}

async fn wait(ack: Option<jetstream::context::PublishAckFuture>) {
    ack.expect("one is in flight").await.expect("stored");
}
