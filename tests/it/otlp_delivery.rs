//! From the log to an OTLP receiver that does what it likes: the loop, the sink and the store together.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use watchpost::config::{Exporter, Otlp, Protocol};
use watchpost::dead_letter::{self, DeadLetter, Filter};
use watchpost::demo::Workload;
use watchpost::otel::Tracker;
use watchpost::sink::Sink;
use watchpost::sink::otlp::{Logs, Spans};
use watchpost::store::{Limit, Store, Submission};

use super::support::delivering::Delivering;
use super::support::history::{Log, draft};
use super::support::otlp::{Answer, Receiver, Reply, Request};
use super::support::session::Written;
use super::support::wait;

/// A log of so many process events.
async fn log_of(events: u64) -> Log {
    let log = Log::on(Store::memory());
    let drafts: Vec<_> = (0..events).map(|n| draft(n, "web", "started")).collect();
    for drafts in drafts.chunks(500) {
        log.ingest.submit(Submission::events(drafts.to_vec())).await.expect("room");
    }
    log
}

/// The ids of a log's events, in order.
fn ids(store: &Store) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = store.log(ids.len() as u64, Limit::events(1000)).expect("readable");
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(|logged| logged.event.id.to_string()));
    }
}

fn letters(store: &Store) -> Vec<DeadLetter> {
    dead_letter::list(store, &Filter::default(), None, 1000).expect("readable").letters
}

/// A receiver that does what it likes: it may be away, slow, or hang up, and never takes the poisoned records.
fn moody(seed: u64, poison: BTreeSet<String>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |request| {
        let bad: Vec<String> = request.ids.iter().filter(|id| poison.contains(*id)).cloned().collect();
        let grpc = request.path.contains("Service");
        let status = |code: i32, status: u16| if grpc { Answer::from(code) } else { Answer::from(status) };
        let reply = match rng.random_range(0..100) {
            0..8 => Reply::refuse(status(14, 503)),
            8..10 => Reply::refuse(Answer::Cut),
            10..12 if bad.is_empty() => Reply::take().say(Answer::Cut),
            12..14 if bad.is_empty() => Reply::take().say(Answer::Silence),
            14..15 => Reply::refuse(status(16, 401)),
            15..20 if request.ids.len() > 1 => Reply::refuse(status(3, 400)),
            20..22 if request.ids.len() > 1 && grpc => {
                Reply::refuse(Answer::Grpc(8, "received message larger than max".into(), None))
            }
            22..24 if grpc => Reply::refuse(Answer::Grpc(8, "wait".into(), Some(Duration::from_millis(3)))),
            24..50 if !bad.is_empty() => Reply::refuse(status(13, 500)),
            _ => Reply::reject(&bad, if bad.is_empty() { "" } else { "never" }),
        };
        reply.after(Duration::from_millis(rng.random_range(0..3)))
    }
}

/// Settings as chance has them.
fn any(rng: &mut ChaCha8Rng) -> Otlp {
    Otlp {
        batch_records: rng.random_range(1..60),
        batch_bytes: rng.random_range(500..20_000),
        window: rng.random_range(1..6),
        ..Otlp::default()
    }
}

fn exporter(receiver: &Receiver) -> Exporter {
    Exporter { timeout: Duration::from_millis(150), ..receiver.exporter() }
}

/// How many runs of chance there are.
fn seeds() -> u64 {
    std::env::var("OTLP_SEEDS").map_or(12, |seeds| seeds.parse().expect("a number"))
}

/// Delivers the log, with crashes, until it is at its end; `settled` looks at every offset that it reaches.
async fn deliver<S: Sink>(store: &Store, rng: &mut ChaCha8Rng, mut sink: impl FnMut() -> S, settled: impl Fn(u64)) {
    let end = store.range().end;
    loop {
        let running = Delivering::start("otlp", sink(), store);
        let lives = Duration::from_millis(rng.random_range(20..600));
        let whole = tokio::time::timeout(lives, async {
            let mut watch = running.handle.watch();
            loop {
                let offset = watch.borrow_and_update().offset;
                settled(offset);
                if offset == end {
                    return;
                }
                watch.changed().await.expect("it runs");
            }
        });
        if whole.await.is_ok() {
            return running.stop().await;
        }
        if rng.random_bool(0.5) { running.crash().await } else { running.stop().await }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_receiver_does_each_log_record_arrives_or_becomes_a_letter() {
    let log = log_of(400).await;
    let all = ids(&log.store);
    for seed in 0..seeds() {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let store = copy(&log.store).await;
        let bad: BTreeSet<usize> = (0..rng.random_range(0..6)).map(|_| rng.random_range(0..all.len())).collect();
        let poison: BTreeSet<String> = bad.iter().map(|index| all[*index].clone()).collect();
        let protocol = if seed % 2 == 0 { Protocol::Grpc } else { Protocol::HttpProtobuf };
        let receiver = Receiver::scripted(protocol, moody(seed, poison.clone())).await;
        let settings = any(&mut rng);
        let settled = |offset: u64| {
            let taken = receiver.taken();
            let there = |id: &String| taken.contains_key(id) || poison.contains(id);
            assert!(all[..usize::try_from(offset).expect("small")].iter().all(there), "settled before it was");
        };
        deliver(&store, &mut rng, || Logs::new(&settings, exporter(&receiver)), settled).await;
        let given_up: BTreeSet<String> = letters(&store).iter().map(|letter| letter.event.id.to_string()).collect();
        assert_eq!(given_up, poison);
        let taken: BTreeSet<String> = receiver.taken().into_keys().collect();
        assert_eq!(taken, all.iter().filter(|id| !poison.contains(*id)).cloned().collect());
    }
    log.close();
}

/// A store with the same events.
async fn copy(from: &Store) -> Store {
    let log = log_of(from.range().end).await;
    let store = log.store.clone();
    log.close();
    assert_eq!(ids(&store), ids(from));
    store
}

/// A log of a session of the standard workload.
fn session() -> Store {
    let store = Store::memory();
    let mut written = Written::new(store.clone(), "chain-1", &Workload::default());
    while written.write(1000) > 0 {}
    written.close();
    store
}

/// The ids of the spans that the events of a log end, each with the event's offset.
fn spans(store: &Store) -> Vec<(u64, String)> {
    let (mut tracker, mut spans, mut from) = (Tracker::default(), Vec::new(), 0);
    loop {
        let page = store.log(from, Limit::events(1000)).expect("readable");
        let Some(last) = page.last() else { return spans };
        from = last.offset + 1;
        for logged in &page {
            let ended = tracker.apply(&logged.event).spans.into_iter();
            spans.extend(ended.map(|span| (logged.offset, span.span_id.to_string())));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_receiver_does_each_span_arrives_or_is_named_in_a_letter() {
    let all = spans(&session());
    assert!(all.len() > 50, "{}", all.len());
    for seed in 0..seeds() {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let store = session();
        let bad = (0..rng.random_range(0..6)).map(|_| all[rng.random_range(0..all.len())].1.clone());
        let poison: BTreeSet<String> = bad.collect();
        let receiver = Receiver::scripted(Protocol::Grpc, moody(seed, poison.clone())).await;
        let settings = any(&mut rng);
        let settled = |offset: u64| {
            let taken = receiver.taken();
            let there = |id: &String| taken.contains_key(id) || poison.contains(id);
            assert!(
                all.iter().take_while(|(at, _)| *at < offset).all(|(_, id)| there(id)),
                "settled before it was"
            );
        };
        deliver(&store, &mut rng, || Spans::new(&settings, exporter(&receiver)), settled).await;
        let letters = letters(&store);
        for id in &poison {
            let (offset, _) = all.iter().find(|(_, span)| span == id).expect("one of them");
            let letter = letters.iter().find(|letter| letter.offset == Some(*offset)).expect("a letter");
            assert!(letter.reason.contains(id.as_str()) && letter.sent.is_some(), "{letter:?}");
        }
        let named = letters.iter().map(|letter| letter.reason.matches("span ").count()).sum::<usize>();
        assert_eq!(named, poison.len());
        let taken: BTreeSet<String> = receiver.taken().into_keys().collect();
        assert_eq!(taken, all.iter().map(|(_, id)| id.clone()).filter(|id| !poison.contains(id)).collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_sent_again_arrives() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let log = log_of(50).await;
        let all = ids(&log.store);
        let poison = [all[7].clone(), all[30].clone()];
        let rejected = poison.clone();
        let script = move |request: &Request| {
            let bad: Vec<String> = request.ids.iter().filter(|id| rejected.contains(id)).cloned().collect();
            Reply::reject(&bad, if bad.is_empty() { "" } else { "a bad field" })
        };
        let receiver = Receiver::scripted(protocol, script).await;
        let delivering =
            Delivering::start("otlp-logs", Logs::new(&Otlp::default(), receiver.exporter()), &log.store);
        delivering.drained().await;
        let found = letters(&log.store);
        let told: Vec<_> = found.iter().map(|letter| (letter.offset, letter.reason.as_str())).collect();
        assert_eq!(told, [(Some(7), "a bad field"), (Some(30), "a bad field")]);
        // Refused again: the letter stays, with what was sent.
        dead_letter::retry(&log.store, found[0].id).expect("it is there");
        delivering.handle.nudge();
        let again =
            wait::until("the retry", async || letters(&log.store).into_iter().find(|letter| letter.attempts == 2));
        assert_eq!(again.await.sent, found[0].sent);
        receiver.answers(|_| Reply::take());
        dead_letter::retry_all(&log.store, &Filter::default()).expect("they are there");
        delivering.handle.nudge();
        wait::until("the letters to be gone", async || letters(&log.store).is_empty().then_some(())).await;
        assert!(poison.iter().all(|id| receiver.taken()[id] == 1));
        delivering.stop().await;
        log.close();
    }
}
