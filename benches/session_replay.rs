//! Sessions read again: a long one folded as a whole and from its snapshot, and one among ten thousand.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::time::{Duration, Instant};

use support::{head, ms, number, percentile, print_machine, resident_mib, row, session_draft};
use watchpost::config;
use watchpost::demo::{Step, Workload};
use watchpost::event::{StreamId, Timestamp};
use watchpost::session::replay::replay;
use watchpost::state::session::{Fact, Session, Status};
use watchpost::store::{Flusher, Maintainer, Pass, SessionQuery, Store, Submission, Writer};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// When the first session begins.
const START: i64 = 1_760_608_411_000;

fn main() {
    print_machine();
    let dir = tempfile::tempdir_in(".").expect("a folder");
    one_long(&settings(&dir, "one"));
    many(&settings(&dir, "many"));
}

fn settings(dir: &tempfile::TempDir, name: &str) -> config::Store {
    config::Store { dir: dir.path().join(name), ..config::Store::default() }
}

/// A store while it is filled.
struct Filling {
    store: Store,
    writer: Writer,
    flusher: Flusher,
    maintainer: Maintainer,
    drafts: Vec<watchpost::event::Draft>,
}

impl Filling {
    fn new(settings: &config::Store) -> Self {
        let store = Store::open(settings).expect("a store");
        let (writer, flusher) = store.writer().expect("the writer");
        let maintainer = store.maintainer();
        Self { store, writer, flusher, maintainer, drafts: Vec::new() }
    }

    fn write(&mut self, id: &StreamId, start: i64, step: &Step) {
        self.drafts.push(session_draft(id, start, step));
        if self.drafts.len() == 700 {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let submission = Submission::events(std::mem::take(&mut self.drafts));
        self.writer.apply(&[submission]).expect("room").remove(0).expect("taken");
        self.flusher.flush(self.writer.next_offset()).expect("durable");
        while self.maintainer.pass(false).expect("a pass") == Pass::Indexed {}
    }
}

fn one_long(settings: &config::Store) {
    let events = number("EVENTS", 1_000_000);
    let id = StreamId::new("long").expect("an id");
    let workload = Workload::of_events(1, events);
    let mut filling = Filling::new(settings);
    let begin = Instant::now();
    workload.steps().for_each(|step| filling.write(&id, START, &step));
    filling.commit();
    let wrote = begin.elapsed();
    drop(filling);
    let store = Store::open(settings).expect("the same store");
    println!("\none session of {} levels of {} nodes, written in {wrote:.1?}\n", workload.levels, workload.nodes);
    head(&["what", "events", "took", "reach"]);
    let told = |what: &str, events: u64, took: Duration, reach: &str| {
        row(&[what, &events.to_string(), &ms(took), reach]);
    };
    let steps: Vec<Step> = workload.steps().collect();
    let begin = Instant::now();
    let mut live = Session::default();
    for (seq, step) in (1..).zip(&steps) {
        let ts = Timestamp::from_millis(START + step.at_ms as i64);
        live.take(&Fact { seq, ts, kind: step.kind, data: &step.data });
    }
    told("fold of events in memory", live.seq(), begin.elapsed(), "");
    drop(steps);
    let begin = Instant::now();
    let mut read = 0;
    let reading = store.visit(&id, 1, |fact| {
        read += u64::from(!fact.data.is_empty());
        true
    });
    reading.expect("the session");
    told("read from the store", read, begin.elapsed(), "");
    let full = median(3, || {
        let mut session = Session::default();
        let folding = store.visit(&id, 1, |fact| {
            session.take(fact);
            true
        });
        folding.expect("the session");
        assert_eq!(session.seq(), live.seq());
    });
    told("replay and fold", live.seq(), full, "≤ 1500 ms");
    let begin = Instant::now();
    assert_eq!(replay(&store, &id, None).expect("a state"), live);
    told("the same, and its snapshot saved", live.seq(), begin.elapsed(), "");
    let opened = median(20, || assert_eq!(replay(&store, &id, None).expect("a state").seq(), live.seq()));
    told("from its snapshot", 0, opened, "≤ 20 ms");
    drop(store);
    let store = Store::open(settings).expect("the same store");
    let begin = Instant::now();
    assert_eq!(replay(&store, &id, None).expect("a state").seq(), live.seq());
    told("the same, in a store just opened", 0, begin.elapsed(), "");
    assert_eq!(replay(&store, &id, None).expect("a state").hash(), live.hash());
    let view = live.view();
    println!(
        "\nsnapshot {:.1} MiB; {} nodes in detail, {} only counted; resident {:.0} MiB",
        live.snapshot().len() as f64 / 1048576.0,
        view.nodes.len(),
        view.left_out.nodes,
        resident_mib(),
    );
}

fn median(times: usize, mut run: impl FnMut()) -> Duration {
    let one = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    let mut took: Vec<Duration> = (0..times).map(one).collect();
    took.sort();
    percentile(&took, 50.0)
}

fn session_id(n: u64) -> StreamId {
    StreamId::new(format!("0199{n:08x}-0000-7000-8000-{n:012x}")).expect("an id")
}

/// Session `n` of many: every hundredth stays open, every seventh has failed.
fn session(n: u64) -> (StreamId, i64, Vec<Step>) {
    let mut steps: Vec<Step> = Workload { seed: n, levels: 1, nodes: 3, rate: 100 }.steps().collect();
    if let Some(first) = steps.first_mut() {
        first.data = format!(r#"{{"command":"make","command_summary":"make part-{} of {n}"}}"#, n % 50);
    }
    match steps.last_mut() {
        _ if n.is_multiple_of(100) => drop(steps.pop()),
        Some(last) if n.is_multiple_of(7) => last.data = r#"{"status":"failed","error":"broken"}"#.into(),
        _ => {}
    }
    (session_id(n), START + n as i64 * 1000, steps)
}

fn many(settings: &config::Store) {
    let sessions = number("SESSIONS", 10_000);
    let mut filling = Filling::new(settings);
    let mut events = 0;
    for n in 0..sessions {
        let (id, start, steps) = session(n);
        events += steps.len();
        steps.iter().for_each(|step| filling.write(&id, start, step));
    }
    filling.commit();
    let store = filling.store.clone();
    println!("\n{sessions} sessions, {events} events in all\n");
    head(&["what", "sessions found", "p50", "p99", "reach"]);
    let query = |what: &str, query: SessionQuery| {
        let found = store.sessions(&query).expect("a page").sessions.len();
        told(what, found, &times(|_| drop(store.sessions(&query).expect("a page"))));
    };
    query("list, the newest 100", SessionQuery::default());
    query("list, the newest 1000", SessionQuery { limit: 1000, ..SessionQuery::default() });
    query("by status", SessionQuery { statuses: vec![Status::Active], ..SessionQuery::default() });
    let since = Timestamp::from_millis(START + sessions as i64 * 500);
    let until = Timestamp::from_millis(START + sessions as i64 * 510);
    query("by time", SessionQuery { since: Some(since), until: Some(until), ..SessionQuery::default() });
    query("by command", SessionQuery { command: Some("part-7 ".into()), ..SessionQuery::default() });
    query("by command, none has it", SessionQuery { command: Some("nowhere".into()), ..SessionQuery::default() });
    let id = |n: u64| session_id(n * 7919 % sessions);
    let found = times(|n| assert_eq!(store.find_sessions(&id(n).as_str()[..12]).expect("ids").len(), 1));
    told("by the beginning of its id", 1, &found);
    let opened = times(|n| {
        let session = store.session(&id(n)).expect("no error").expect("a session");
        assert_eq!(replay(&store, &session.id, None).expect("a state").seq(), session.events);
    });
    told("open: its record and its state", 1, &opened);
}

fn told(what: &str, found: usize, times: &[Duration]) {
    let (p50, p99) = (percentile(times, 50.0), percentile(times, 99.0));
    row(&[what, &found.to_string(), &ms(p50), &ms(p99), "≤ 20 ms"]);
}

/// How long two hundred took, sorted.
fn times(run: impl Fn(u64)) -> Vec<Duration> {
    let one = |n| {
        let begin = Instant::now();
        run(n);
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..200).map(one).collect();
    times.sort();
    times
}
