//! Documents straight into a real Elasticsearch, against what the server takes at the most: the same bodies, made
//! before, sent raw with the same window. Each run has a server of its own.
//!
//! `EVENTS=200000 cargo bench --bench elasticsearch`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use servers::elasticsearch::Server;
use support::{draft, head, number, print_machine, resident_mib, row};
use watchpost::config;
use watchpost::elasticsearch::{Connection, setup};
use watchpost::event::Logged;
use watchpost::otel::document::{data_stream, document};
use watchpost::otel::{Tracker, logs};
use watchpost::sink::elasticsearch::Elasticsearch;
use watchpost::sink::{Cursor, Sink};
use watchpost::store::{Limit, Store, Submission};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const STREAMS: u64 = 64;
/// As the delivery loop hands them over.
const PAGE: usize = 4096;

#[tokio::main]
async fn main() {
    let (events, rounds) = (number("EVENTS", 100_000), number("ROUNDS", 3));
    print_machine();
    let pages = pages(events);
    let settings = config::Elasticsearch::default();
    println!("\n{events} events, {} documents a request, window {}\n", settings.batch_documents, settings.window);
    head(&["round", "raw documents/s", "sink documents/s", "ratio", "resident"]);
    for round in 1..=rounds {
        let (sink, raw) = (by_sink(&pages).await, by_hand(&pages).await);
        let rate = |took: Duration| events as f64 / took.as_secs_f64();
        row(&[
            &round.to_string(),
            &format!("{:.0}", rate(raw)),
            &format!("{:.0}", rate(sink)),
            &format!("{:.2}", rate(sink) / rate(raw)),
            &format!("{:.0} MiB", resident_mib()),
        ]);
    }
}

/// The log, as the delivery loop reads it.
fn pages(events: u64) -> Vec<Vec<Logged>> {
    let store = Store::memory();
    let (mut writer, flusher) = store.writer().expect("the writer");
    for from in (0..events).step_by(1000) {
        let drafts = (from..events.min(from + 1000)).map(|n| draft(n, STREAMS, false)).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room");
        flusher.flush(writer.next_offset()).expect("durable");
    }
    let (mut pages, mut from) = (Vec::new(), 0);
    loop {
        let page = store.log(from, Limit::events(PAGE)).expect("a log");
        let Some(last) = page.last() else { return pages };
        from = last.offset + 1;
        pages.push(page);
    }
}

/// A server that has the template; it is started where nothing else waits for it.
async fn server() -> Server {
    let server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
    let connection = Connection::new(&server.settings()).expect("settings");
    setup(&connection, server.settings().retention).await.expect("set up");
    server
}

async fn by_sink(pages: &[Vec<Logged>]) -> Duration {
    let server = server().await;
    let mut sink = Elasticsearch::new(server.settings()).expect("a sink");
    sink.resume(&Cursor::default()).await.expect("it answers");
    let begin = Instant::now();
    for page in pages {
        let mut done = 0;
        while done < page.len() {
            let sent = sink.send(&page[done..]).await;
            assert!(sent.error.is_none() && sent.refused.is_empty(), "{sent:?}");
            done += sent.settled;
        }
    }
    begin.elapsed()
}

async fn by_hand(pages: &[Vec<Logged>]) -> Duration {
    let server = server().await;
    let settings = server.settings();
    let connection = Connection::new(&settings).expect("settings");
    let bodies: Vec<Bytes> =
        pages.iter().flat_map(|page| page.chunks(settings.batch_documents)).map(body).collect();
    let begin = Instant::now();
    let answers = stream::iter(bodies).map(|body| connection.bulk(body, settings.timeout));
    let taken = answers.buffer_unordered(settings.window).all(async |answer| answer.is_ok()).await;
    assert!(taken, "a request failed");
    begin.elapsed()
}

fn body(events: &[Logged]) -> Bytes {
    let (mut tracker, mut body) = (Tracker::default(), Vec::new());
    for logged in events {
        let told = tracker.apply(&logged.event);
        let action = format!(
            "{{\"create\":{{\"_index\":\"{}\",\"_id\":\"{}\"}}}}\n",
            data_stream(&logged.event),
            logged.event.id
        );
        body.extend_from_slice(action.as_bytes());
        body.extend_from_slice(&document(&logs::record(logged, &told.context)));
        body.push(b'\n');
    }
    body.into()
}
