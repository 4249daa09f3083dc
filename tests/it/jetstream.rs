//! The JetStream sink against a real server: what is in the stream after whatever happened.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use serde_json::Value;
use watchpost::event::Logged;
use watchpost::sink::jetstream::JetStream;
use watchpost::sink::{Cursor, Error, Refused, Sent, Sink};

use super::support::nats::{Server, Stored, stored};
use super::support::{events, wait};

/// A sink and its cursor, driven as `deliver` drives it, step by step.
struct Driver {
    sink: JetStream,
    cursor: Cursor,
    refused: Vec<Refused>,
}

impl Driver {
    fn new(settings: watchpost::config::JetStream) -> Self {
        let sink = JetStream::new(settings).expect("good subjects");
        Self { sink, cursor: Cursor::default(), refused: Vec::new() }
    }

    async fn resume(&mut self) -> Result<(), Error> {
        self.cursor = self.sink.resume(&self.cursor).await?;
        Ok(())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        let sent = self.sink.send(batch).await;
        if sent.settled > 0 {
            let offset = batch[sent.settled - 1].offset + 1;
            self.cursor = Cursor { offset, mark: sent.mark.clone() };
        }
        self.refused.extend(sent.refused.clone());
        sent
    }

    /// Sends from the cursor to the end of the log, through errors.
    async fn drain(&mut self, log: &[Logged]) {
        let mut resumed = false;
        wait::until("the log to be drained", async || {
            if !resumed && self.resume().await.is_err() {
                return None;
            }
            let from = log.iter().position(|logged| logged.offset >= self.cursor.offset)?;
            let to = log.len().min(from + 1000);
            resumed = self.send(&log[from..to]).await.error.is_none();
            (self.cursor.offset > log.last()?.offset).then_some(())
        })
        .await;
    }
}

fn ids(stored: &[Stored]) -> Vec<String> {
    stored.iter().filter_map(|message| message.id.clone()).collect()
}

fn expected(log: &[Logged]) -> Vec<String> {
    log.iter().map(|logged| logged.event.id.to_string()).collect()
}

#[tokio::test]
async fn events_arrive_in_order_with_their_headers() {
    let server = Server::start();
    let log = events::run(0, 2500);
    let mut driver = Driver::new(server.settings());
    driver.drain(&log).await;
    let stored = stored(&server.jetstream().await, "PROCESS_EVENTS").await;
    assert_eq!(ids(&stored), expected(&log));
    let (first, event) = (&stored[0], &log[0].event);
    assert_eq!(first.payload, event.published());
    assert_eq!(first.subject, "core.process.default.web.status_changed");
    let header = |name: &str| first.headers.get(name).map(|value| value.as_str());
    assert_eq!(header("ce-id"), Some(event.id.to_string().as_str()));
    assert_eq!(header("ce-specversion"), Some("1.0"));
    assert_eq!(header("ce-type"), Some("process.status_changed"));
    assert_eq!(header("ce-source"), Some("urn:watchpost:stream:proc-main-1"));
    assert_eq!(header("ce-time"), Some(event.ts.to_string().as_str()));
    assert_eq!(header("ce-subject"), Some(first.subject.as_str()));
    assert_eq!(header("content-type"), Some("application/json"));
    let config = server.jetstream().await.get_stream("PROCESS_EVENTS").await.expect("the stream");
    let config = &config.cached_info().config;
    assert_eq!(config.subjects, ["core.process.>", "core.source.>"]);
    assert!(config.allow_direct && config.max_age == Duration::from_secs(24 * 3600));
}

#[tokio::test]
async fn a_sink_that_comes_back_reads_what_it_had_not_confirmed() {
    let server = Server::start();
    let log = events::run(0, 300);
    let short = watchpost::config::JetStream { duplicate_window: Duration::from_millis(100), ..server.settings() };
    let mut driver = Driver::new(short.clone());
    driver.resume().await.expect("connected");
    assert_eq!(driver.send(&log[..100]).await.settled, 100);
    let before = driver.cursor.clone();
    assert_eq!(driver.send(&log[100..250]).await.settled, 150);
    // As after a crash: the last confirmations were never saved, and the dedup window is over.
    let context = server.jetstream().await;
    wait::until("the dedup window to be over", async || {
        let info = context.get_stream("PROCESS_EVENTS").await.ok()?;
        let age = std::time::SystemTime::now().duration_since(info.cached_info().state.last_timestamp.into());
        (age.ok()? > Duration::from_millis(500)).then_some(())
    })
    .await;
    let mut driver = Driver { cursor: before, ..Driver::new(short) };
    driver.drain(&log).await;
    assert_eq!(ids(&stored(&context, "PROCESS_EVENTS").await), expected(&log));
}

#[tokio::test]
async fn a_server_killed_in_mid_flight_has_each_event_once_and_in_order() {
    let mut server = Server::stopped("");
    let log = events::run(0, 20_000);
    let settings =
        watchpost::config::JetStream { duplicate_window: Duration::from_millis(100), ..server.settings() };
    let mut driver = Driver::new(settings);
    assert!(matches!(driver.resume().await, Err(Error::Retryable(_))), "nobody is there yet");
    server.restart();
    for round in 1..=3 {
        let half = (round * 5000) as usize;
        driver.drain(&log[..half]).await;
        let (sink, rest) = (&mut driver, &log[half..half + 5000]);
        let kill = async {
            let context = server.jetstream().await;
            wait::until("some to have arrived", async || {
                let stream = context.get_stream("PROCESS_EVENTS").await.ok()?;
                (stream.cached_info().state.messages > half as u64).then_some(())
            })
            .await;
            server.kill();
        };
        let (sent, ()) = tokio::join!(sink.send(rest), kill);
        let error = sent.error.is_some();
        server.restart();
        assert!(error || sent.settled == rest.len(), "{sent:?}");
    }
    driver.drain(&log).await;
    assert_eq!(ids(&stored(&server.jetstream().await, "PROCESS_EVENTS").await), expected(&log));
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_made_anew_and_filled() {
    let server = Server::start();
    let log = events::run(0, 500);
    let mut driver = Driver::new(server.settings());
    driver.drain(&log[..400]).await;
    let context = server.jetstream().await;
    context.delete_stream("PROCESS_EVENTS").await.expect("deleted");
    let sent = driver.send(&log[400..]).await;
    assert!(sent.settled == 0 && matches!(sent.error, Some(Error::Retryable(_))), "{sent:?}");
    driver.drain(&log).await;
    assert_eq!(ids(&stored(&context, "PROCESS_EVENTS").await), expected(&log));
}

#[tokio::test]
async fn what_would_have_expired_does_not_fill_a_hole() {
    let server = Server::start();
    let mut log = events::run(0, 20);
    for logged in &mut log[..5] {
        Arc::make_mut(&mut logged.event).observed = logged.event.observed.plus_millis(-25 * 3600 * 1000);
    }
    let mut driver = Driver::new(server.settings());
    driver.drain(&log).await;
    let context = server.jetstream().await;
    context.delete_stream("PROCESS_EVENTS").await.expect("deleted");
    driver.resume().await.expect("connected");
    assert_eq!(driver.cursor.offset, 0);
    assert_eq!(driver.send(&log).await.settled, 20);
    assert_eq!(ids(&stored(&context, "PROCESS_EVENTS").await), expected(&log[5..]));
    assert_eq!(driver.cursor.mark["heal"], Value::Null);
}

#[tokio::test]
async fn a_stream_restored_from_an_older_copy_is_noticed_and_filled() {
    let mut server = Server::start();
    let log = events::run(0, 900);
    let mut driver = Driver::new(server.settings());
    driver.drain(&log[..300]).await;
    server.kill();
    let backup = server.backup();
    server.restart();
    driver.drain(&log[..800]).await;
    server.kill();
    server.restore(&backup);
    server.restart();
    driver.resume().await.expect("connected");
    assert_eq!(driver.cursor.offset, 300);
    driver.drain(&log).await;
    assert_eq!(ids(&stored(&server.jetstream().await, "PROCESS_EVENTS").await), expected(&log));
}

#[tokio::test]
async fn a_restored_stream_that_others_went_on_with_is_noticed_too() {
    let mut server = Server::start();
    let log = events::run(0, 60);
    let mut driver = Driver::new(server.settings());
    driver.drain(&log[..10]).await;
    server.kill();
    let backup = server.backup();
    server.restart();
    driver.drain(&log[..40]).await;
    server.kill();
    server.restore(&backup);
    server.restart();
    let context = server.jetstream().await;
    for n in 0..50 {
        let subject = "core.process.other.one.started";
        context.publish(subject, format!("{n}").into()).await.expect("sent").await.expect("stored");
    }
    driver.drain(&log).await;
    let stored = stored(&context, "PROCESS_EVENTS").await;
    assert_eq!(stored.len(), 60 + 50);
    assert_eq!(ids(&stored), expected(&log));
}

#[tokio::test]
async fn others_may_publish_to_the_same_stream() {
    let mut server = Server::start();
    let log = events::run(0, 400);
    let mut driver = Driver::new(server.settings());
    driver.drain(&log[..100]).await;
    let context = server.jetstream().await;
    let foreign = async |id: &str| {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let subject = "core.process.other.one.started";
        context.publish_with_headers(subject, headers, "{}".into()).await.expect("sent").await.expect("stored");
    };
    foreign("theirs-1").await;
    let sent = driver.send(&log[100..200]).await;
    assert!(sent.settled == 0 && sent.error.is_some(), "the chain must have noticed: {sent:?}");
    driver.drain(&log[..200]).await;
    foreign("theirs-2").await;
    assert_eq!(driver.send(&log[200..300]).await.settled, 100);
    server.kill();
    assert!(driver.send(&log[300..]).await.error.is_some());
    server.restart();
    driver.drain(&log).await;
    let all = ids(&stored(&server.jetstream().await, "PROCESS_EVENTS").await);
    let ours: Vec<String> = all.iter().filter(|id| !id.starts_with("theirs")).cloned().collect();
    assert_eq!((ours, all.len()), (expected(&log), 402));
}

#[tokio::test]
async fn a_stream_with_other_settings_is_used_as_it_is() {
    let server = Server::start();
    let context = server.jetstream().await;
    let config = Config {
        name: "PROCESS_EVENTS".into(),
        subjects: vec!["core.process.>".into()],
        max_messages: 1000,
        ..Config::default()
    };
    context.create_stream(config).await.expect("made");
    let mut driver = Driver::new(server.settings());
    let mut log = events::run(0, 10);
    Arc::make_mut(&mut log[4].event).subject =
        "core.source.main.source_up".to_owned().try_into().expect("a subject");
    driver.drain(&log).await;
    let config = context.get_stream("PROCESS_EVENTS").await.expect("there").cached_info().config.clone();
    assert_eq!(config.max_messages, 1000);
    assert_eq!(driver.refused.len(), 1);
    assert!(driver.refused[0].reason.contains("core.source.main.source_up"), "{:?}", driver.refused);
    log.remove(4);
    assert_eq!(ids(&stored(&context, "PROCESS_EVENTS").await), expected(&log));
}

#[tokio::test]
async fn what_the_stream_refuses_holds_nobody_up() {
    let server = Server::start();
    let context = server.jetstream().await;
    let config = Config {
        name: "PROCESS_EVENTS".into(),
        subjects: vec!["core.>".into()],
        max_message_size: 4096,
        ..Config::default()
    };
    context.create_stream(config).await.expect("made");
    let mut log = events::run(0, 100);
    let large = format!(r#"{{"process":"web","namespace":"default","x":"{}"}}"#, "x".repeat(5000));
    let large = watchpost::event::Data::parse(large).expect("an object");
    for index in [0, 10, 11, 99] {
        Arc::make_mut(&mut log[index].event).data = large.clone();
    }
    let mut driver = Driver::new(server.settings());
    driver.resume().await.expect("connected");
    let sent = driver.send(&log).await;
    assert_eq!((sent.settled, sent.error), (100, None));
    let refused: Vec<usize> = sent.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [0, 10, 11, 99]);
    assert!(sent.refused[0].reason.contains("maximum"), "{:?}", sent.refused[0]);
    log.retain(|logged| ![0, 10, 11, 99].contains(&logged.offset));
    assert_eq!(ids(&stored(&context, "PROCESS_EVENTS").await), expected(&log));
}

/// A stream that takes one message a subject, so that one event can wait while others could go.
async fn one_a_subject(server: &Server) -> async_nats::jetstream::stream::Stream {
    let config = Config {
        name: "PROCESS_EVENTS".into(),
        subjects: vec!["core.>".into()],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..Config::default()
    };
    server.jetstream().await.create_stream(config).await.expect("made")
}

fn of(processes: &[&str]) -> Vec<Logged> {
    processes.iter().zip(0..).map(|(process, offset)| events::of(process, "started", offset)).collect()
}

#[tokio::test]
async fn nothing_passes_an_event_that_has_to_wait() {
    let server = Server::start();
    let stream = one_a_subject(&server).await;
    let log = of(&["a", "a", "b", "c"]);
    let mut driver = Driver::new(server.settings());
    driver.resume().await.expect("connected");
    let sent = driver.send(&log).await;
    assert!(sent.settled == 1 && matches!(sent.error, Some(Error::Retryable(_))), "{sent:?}");
    stream.purge().filter("core.process.default.a.started").await.expect("purged");
    driver.drain(&log).await;
    let stored = stored(&server.jetstream().await, "PROCESS_EVENTS").await;
    assert_eq!(ids(&stored), expected(&log[1..]));
}

#[tokio::test]
async fn where_others_publish_too_what_was_in_flight_at_an_error_goes_one_by_one() {
    let server = Server::start();
    let stream = one_a_subject(&server).await;
    let context = server.jetstream().await;
    let log = of(&["a", "a", "b", "c", "d"]);
    let mut driver = Driver::new(server.settings());
    driver.resume().await.expect("connected");
    assert_eq!(driver.send(&log[..1]).await.settled, 1);
    context.publish("core.other", "{}".into()).await.expect("sent").await.expect("stored");
    driver.resume().await.expect("connected");
    // The second "a" has to wait, "b" and "c" pass it: nothing can be named where others publish.
    assert_eq!(driver.send(&log[1..4]).await.settled, 0);
    driver.resume().await.expect("connected");
    assert_eq!(driver.send(&log[1..]).await.settled, 0);
    let there = ids(&stored(&context, "PROCESS_EVENTS").await);
    assert_eq!(there, expected(&[&log[..1], &log[2..4]].concat()), "\"d\" does not pass it any more");
    stream.purge().filter("core.process.default.a.started").await.expect("purged");
    driver.drain(&log).await;
    let there = ids(&stored(&context, "PROCESS_EVENTS").await);
    assert_eq!(there, expected(&[&log[2..4], &log[1..2], &log[4..]].concat()));
}

#[tokio::test]
async fn a_stream_of_other_subjects_is_not_written_to() {
    let server = Server::start();
    let config = Config { name: "PROCESS_EVENTS".into(), subjects: vec!["other.>".into()], ..Config::default() };
    server.jetstream().await.create_stream(config).await.expect("made");
    let mut driver = Driver::new(server.settings());
    let error = driver.resume().await.expect_err("it must not be used");
    assert!(matches!(&error, Error::Misconfigured(said) if said.contains("other.>")), "{error:?}");
}
