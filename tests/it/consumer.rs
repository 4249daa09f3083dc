//! The consumer library against a real server.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, StorageType};
use tokio::time::timeout;
use watchpost::consumer::{Consumer, Error, Filter, Received, Start, Subscription, Verdict};
use watchpost::event::{Logged, Offset, Timestamp};

use super::support::events;
use super::support::nats::Server;

const STREAM: &str = "PROCESS_EVENTS";

async fn make_stream(server: &Server) -> jetstream::Context {
    let context = server.jetstream().await;
    let config = Config {
        name: STREAM.into(),
        subjects: vec!["core.>".into()],
        storage: StorageType::File,
        ..Config::default()
    };
    context.create_stream(config).await.expect("made");
    context
}

async fn publish(context: &jetstream::Context, log: &[Logged]) {
    for logged in log {
        let subject = logged.event.subject.as_str().to_owned();
        let sent = context.publish(subject, logged.event.published().into()).await.expect("sent");
        sent.await.expect("stored");
    }
}

fn consumer(server: &Server) -> Consumer {
    Consumer::new(server.settings().nats, STREAM)
}

async fn next(subscription: &mut Subscription) -> Received {
    let received = timeout(Duration::from_secs(30), subscription.next()).await.expect("in time");
    received.expect("an event")
}

/// Receives and acknowledges so many, and answers with the offsets of the events.
async fn take(subscription: &mut Subscription, count: usize) -> Vec<Offset> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        let received = next(subscription).await;
        offsets.push(offset(&received));
        received.ack().await;
    }
    offsets
}

fn offset(received: &Received) -> Offset {
    received.event.seq - 1
}

#[tokio::test]
async fn chooses_by_process_type_namespace_and_subject() {
    let server = Server::start();
    let context = make_stream(&server).await;
    let kinds = [("web", "started"), ("web", "crashed"), ("db", "started"), ("db", "crashed"), ("a.b", "started")];
    let log: Vec<Logged> = kinds.iter().zip(0..).map(|((process, kind), n)| events::of(process, kind, n)).collect();
    publish(&context, &log).await;
    let check = async |filter: Filter, expected: &[Offset]| {
        let mut subscription = consumer(&server).subscribe(&filter, Start::All).await.expect("subscribed");
        assert_eq!(take(&mut subscription, expected.len()).await, expected, "{filter:?}");
    };
    check(Filter::all(), &[0, 1, 2, 3, 4]).await;
    check(Filter::all().process("web"), &[0, 1]).await;
    check(Filter::all().process("default/db"), &[2, 3]).await;
    check(Filter::all().process("a.b"), &[4]).await;
    check(Filter::all().kind("crashed"), &[1, 3]).await;
    check(Filter::all().process("web").kind("crashed"), &[1]).await;
    check(Filter::all().subject("core.process.*.*.started"), &[0, 2, 4]).await;
    check(Filter::all().namespace("default"), &[0, 1, 2, 3, 4]).await;
}

#[tokio::test]
async fn begins_with_the_current_state_and_goes_on_with_what_is_new() {
    let server = Server::start();
    let context = make_stream(&server).await;
    let of = |n: Offset| events::of(["web", "db"][n as usize % 2], ["started", "stopped"][n as usize / 2 % 2], n);
    let log: Vec<Logged> = (0..14).map(of).collect();
    publish(&context, &log[..10]).await;
    let mut subscription = consumer(&server).subscribe(&Filter::all(), Start::Current).await.expect("subscribed");
    publish(&context, &log[10..12]).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let received = next(&mut subscription).await;
        seen.push((offset(&received), received.current));
        received.ack().await;
    }
    assert_eq!(seen, [(6, true), (7, true), (8, true), (9, true), (10, false), (11, false)]);
    publish(&context, &log[12..]).await;
    assert_eq!(take(&mut subscription, 2).await, [12, 13]);
}

#[tokio::test]
async fn an_empty_stream_has_no_current_state_and_new_means_from_now_on() {
    let server = Server::start();
    let context = make_stream(&server).await;
    let mut current = consumer(&server).subscribe(&Filter::all(), Start::Current).await.expect("subscribed");
    publish(&context, &events::run(0, 2)).await;
    let mut new = consumer(&server).subscribe(&Filter::all(), Start::New).await.expect("subscribed");
    let between = context.get_stream(STREAM).await.expect("there").cached_info().state.last_timestamp;
    let between = Timestamp::from_millis((between.unix_timestamp_nanos() / 1_000_000) as i64 + 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    publish(&context, &events::run(2, 2)).await;
    let mut since = consumer(&server).subscribe(&Filter::all(), Start::Since(between)).await.expect("subscribed");
    assert_eq!(take(&mut current, 4).await, [0, 1, 2, 3]);
    assert_eq!(take(&mut new, 2).await, [2, 3]);
    assert_eq!(take(&mut since, 2).await, [2, 3]);
}

#[tokio::test]
async fn goes_on_after_a_killed_server_without_gap_or_double() {
    let mut server = Server::start();
    publish(&make_stream(&server).await, &events::run(0, 700)).await;
    let filter = Filter::all();
    for durable in [false, true] {
        let consumer = consumer(&server);
        let opened = match durable {
            false => consumer.subscribe(&filter, Start::All).await,
            true => consumer.durable("worker", &filter, Start::All).await,
        };
        let mut subscription = opened.expect("subscribed");
        let mut seen = take(&mut subscription, 300).await;
        // One is in hand while the server goes down; its acknowledgement is lost.
        let held = next(&mut subscription).await;
        seen.push(offset(&held));
        server.kill();
        held.ack().await;
        server.restart();
        seen.extend(take(&mut subscription, 399).await);
        assert_eq!(seen, (0..700).collect::<Vec<Offset>>(), "durable: {durable}");
    }
}

#[tokio::test]
async fn the_current_state_is_complete_when_the_server_dies_in_the_middle_of_it() {
    let mut server = Server::start();
    let context = make_stream(&server).await;
    let process = |n: Offset| events::of(&format!("p{}", n % 50), "started", n);
    let log: Vec<Logged> = (0..130).chain(150..180).map(process).collect();
    publish(&context, &log[..100]).await;
    let mut subscription = consumer(&server).subscribe(&Filter::all(), Start::Current).await.expect("subscribed");
    let mut seen = take(&mut subscription, 20).await;
    server.kill();
    server.restart();
    publish(&server.jetstream().await, &log[100..]).await;
    // The state of p0 to p29 is newer now, twice; of those everything comes that is new.
    seen.extend(take(&mut subscription, 20 + 60).await);
    let expected: Vec<Offset> = (50..70).chain(80..130).chain(150..180).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_state_that_was_given_back_comes_again_without_its_history() {
    let mut server = Server::start();
    let log: Vec<Logged> = (0..12).map(|n| events::of(if n == 0 { "db" } else { "web" }, "started", n)).collect();
    publish(&make_stream(&server).await, &log[..10]).await;
    let mut subscription = consumer(&server).subscribe(&Filter::all(), Start::Current).await.expect("subscribed");
    let given_back = next(&mut subscription).await;
    assert_eq!(offset(&given_back), 0);
    given_back.nak(Duration::from_secs(600)).await;
    assert_eq!(take(&mut subscription, 1).await, [9]);
    server.kill();
    server.restart();
    publish(&server.jetstream().await, &log[10..]).await;
    assert_eq!(take(&mut subscription, 3).await, [0, 10, 11]);
}

#[tokio::test]
async fn what_is_given_back_comes_again_and_what_is_ended_does_not() {
    let server = Server::start();
    let context = make_stream(&server).await;
    publish(&context, &events::run(0, 3)).await;
    let mut subscription =
        consumer(&server).durable("worker", &Filter::all(), Start::All).await.expect("subscribed");
    next(&mut subscription).await.nak(Duration::ZERO).await;
    next(&mut subscription).await.term().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let received = next(&mut subscription).await;
        seen.push((offset(&received), received.delivered));
        received.ack().await;
    }
    seen.sort_unstable();
    assert_eq!(seen, [(0, 2), (2, 1)]);
    subscription.close().await;
    publish(&context, &events::run(3, 1)).await;
    let mut again = consumer(&server).durable("worker", &Filter::all(), Start::All).await.expect("subscribed");
    assert_eq!(take(&mut again, 1).await, [3], "the server knows what was acknowledged");
    let other = consumer(&server).durable("worker", &Filter::all().kind("crashed"), Start::All).await;
    assert!(matches!(other, Err(Error::OtherFilter { .. })));
}

#[tokio::test]
async fn a_handler_says_what_becomes_of_each_event_and_strangers_are_passed_over() {
    let server = Server::start();
    let context = make_stream(&server).await;
    publish(&context, &events::run(0, 2)).await;
    context.publish("core.other", "not an event".into()).await.expect("sent").await.expect("stored");
    publish(&context, &events::run(2, 1)).await;
    let mut subscription = consumer(&server).subscribe(&Filter::all(), Start::All).await.expect("subscribed");
    let mut seen = Vec::new();
    let handled = timeout(Duration::from_secs(30), async {
        let (done, mut told) = tokio::sync::mpsc::channel(1);
        tokio::select! {
            error = subscription.run(async |received: &Received| {
                seen.push((offset(received), received.delivered));
                match (offset(received), received.delivered) {
                    (1, 1) => return Verdict::Nak(Duration::from_millis(10)),
                    (1, 2) => done.send(()).await.expect("somebody waits"),
                    _ => {}
                }
                Verdict::Ack
            }) => panic!("{error}"),
            _ = told.recv() => {}
        }
    });
    handled.await.expect("in time");
    assert_eq!(seen, [(0, 1), (1, 1), (2, 1), (1, 2)]);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_read_from_its_start() {
    let server = Server::start();
    let context = make_stream(&server).await;
    publish(&context, &events::run(0, 5)).await;
    let mut subscription = consumer(&server).subscribe(&Filter::all(), Start::Current).await.expect("subscribed");
    assert_eq!(take(&mut subscription, 1).await, [4]);
    context.delete_stream(STREAM).await.expect("deleted");
    publish(&make_stream(&server).await, &events::run(10, 3)).await;
    assert_eq!(take(&mut subscription, 3).await, [10, 11, 12]);
}

#[tokio::test]
async fn what_is_not_there_is_said_at_once() {
    let server = Server::start();
    let missing = consumer(&server).subscribe(&Filter::all(), Start::New).await;
    assert!(matches!(missing, Err(Error::NoStream(name)) if name == STREAM));
    make_stream(&server).await;
    let filter = consumer(&server).subscribe(&Filter::all().subject("a..b"), Start::New).await;
    assert!(matches!(filter, Err(Error::Invalid(_))));
    let (url, stopped) = {
        let stopped = Server::stopped("");
        (stopped.url(), stopped)
    };
    let nats = watchpost::config::Nats { url, ..watchpost::config::Nats::default() };
    assert!(matches!(Consumer::new(nats, STREAM).subscribe(&Filter::all(), Start::New).await, Err(Error::Nats(_))));
    drop(stopped);
}
