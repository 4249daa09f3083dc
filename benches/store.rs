//! A large store: how long it takes to open, what a query costs, and what stays in memory.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::time::{Duration, Instant};

use support::{draft, head, ms, number, percentile, print_machine, resident_mib, row};
use watchpost::config;
use watchpost::event::{Kind, Pattern, Timestamp};
use watchpost::store::{Pass, Query, Store, Submission};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    print_machine();
    let dir = tempfile::tempdir_in(".").expect("a folder");
    let settings = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
    let steps = [number("EVENTS", 1_000_000), number("MANY", 10_000_000)];
    println!("\nresident memory with nothing in the store: {:.1} MiB\n", {
        let store = Store::open(&settings).expect("a store");
        let mib = resident_mib();
        drop(store);
        mib
    });
    head(&[
        "events",
        "write and index",
        "open",
        "resident after open",
        "by subject and time p50",
        "p99",
        "by type p50",
        "newest p50",
    ]);
    let mut written = 0;
    for events in steps {
        let begin = Instant::now();
        fill(&settings, written, events);
        let wrote = begin.elapsed();
        written = events;
        let begin = Instant::now();
        let store = Store::open(&settings).expect("the same store");
        let opened = begin.elapsed();
        let resident = resident_mib();
        let subject = times(&store, |n| Query {
            subjects: vec![
                Pattern::parse(format!("core.process.default.worker-{}.started", n % 64)).expect("a pattern"),
            ],
            since: Some(Timestamp::from_millis((n * 7919 % events) as i64)),
            limit: 100,
            ..Query::default()
        });
        let kind = times(&store, |n| Query {
            kinds: vec![Kind::new("started").expect("a type")],
            after: Some(n * 7919 % events),
            newest_first: true,
            limit: 100,
            ..Query::default()
        });
        let newest = times(&store, |_| Query { newest_first: true, limit: 100, ..Query::default() });
        row(&[
            &events.to_string(),
            &format!("{:.1} s", wrote.as_secs_f64()),
            &format!("{:.2} s", opened.as_secs_f64()),
            &format!("{resident:.1} MiB"),
            &ms(percentile(&subject, 50.0)),
            &ms(percentile(&subject, 99.0)),
            &ms(percentile(&kind, 50.0)),
            &ms(percentile(&newest, 50.0)),
        ]);
    }
}

/// Writes events up to a number, 1,024 a commit over 64 streams, each a millisecond after the one before.
fn fill(settings: &config::Store, from: u64, to: u64) {
    let store = Store::open(settings).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let maintainer = store.maintainer();
    for first in (from..to).step_by(1024) {
        let drafts = (first..to.min(first + 1024)).map(|n| {
            let mut draft = draft(n, 64, false);
            draft.ts = Some(Timestamp::from_millis(n as i64));
            draft
        });
        writer.apply(&[Submission::events(drafts.collect())]).expect("room").remove(0).expect("taken");
        flusher.flush(writer.next_offset()).expect("durable");
        while maintainer.pass(false).expect("a pass") == Pass::Indexed {}
    }
    while maintainer.pass(true).expect("a pass") == Pass::Indexed {}
}

/// How long two hundred queries took, sorted.
fn times(store: &Store, query: impl Fn(u64) -> Query) -> Vec<Duration> {
    let one = |n: u64| {
        let query = query(n);
        let begin = Instant::now();
        let page = store.query(&query).expect("a page");
        assert!(!page.events.is_empty() || page.next.is_none(), "{query:?}");
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..200).map(one).collect();
    times.sort();
    times
}
