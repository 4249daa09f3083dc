//! From the log to a real JetStream: the whole way.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::config::JetStream as Settings;
use watchpost::dead_letter;
use watchpost::deliver::{self, Delivery, Handle, State};
use watchpost::event::{Data, Draft, Kind, Severity, StreamId, Subject};
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::sink::jetstream::JetStream;
use watchpost::store::{Limit, Store, Submission};

use super::support::nats::{Server, stored};
use super::support::wait;

struct Adapter {
    store: Store,
    ingest: Ingest,
    _ingestor: Ingestor,
    running: Option<Running>,
}

struct Running {
    handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Adapter {
    fn new() -> Self {
        let store = Store::memory();
        let (ingest, ingestor) = Ingest::start(&store).expect("an empty store");
        Self { store, ingest, _ingestor: ingestor, running: None }
    }

    fn deliver(&mut self, settings: Settings) {
        let quick = deliver::Settings {
            backoff_most: Duration::from_millis(200),
            breaker_first: Duration::from_millis(200),
            breaker_most: Duration::from_millis(200),
            ..deliver::Settings::default()
        };
        let sink = JetStream::new(settings).expect("good subjects");
        let (delivery, handle) = Delivery::new("jetstream", sink, self.store.clone(), quick);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(delivery.run(shutdown.clone()));
        self.running = Some(Running { handle, shutdown, task });
    }

    fn handle(&self) -> &Handle {
        &self.running.as_ref().expect("it runs").handle
    }

    /// Ends the delivery in the middle of whatever it does, as a crash would.
    async fn crash(&mut self) {
        let running = self.running.take().expect("it runs");
        running.task.abort();
        assert!(running.task.await.is_err_and(|error| error.is_cancelled()));
    }

    async fn emit(&self, count: usize, bytes: usize) {
        let mut left = count;
        while left > 0 {
            let now = left.min(100);
            let drafts = (0..now).map(|_| draft(bytes)).collect();
            self.ingest.submit(Submission::events(drafts)).await.expect("stored");
            left -= now;
        }
    }

    async fn drained(&self) {
        let end = self.store.range().end;
        wait::until("all to be delivered", async || (self.handle().watch().borrow().offset >= end).then_some(()))
            .await;
    }

    fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let page = self.store.log(ids.len() as u64, Limit::events(10_000)).expect("readable");
            if page.is_empty() {
                return ids;
            }
            ids.extend(page.iter().map(|logged| logged.event.id.to_string()));
        }
    }
}

fn draft(bytes: usize) -> Draft {
    let kind = Kind::new("started").expect("a type");
    let subject = Subject::process("core.process", "default", "web", &kind).expect("a subject");
    let stream = StreamId::new("proc-main-1").expect("an id");
    let data = format!(r#"{{"process":"web","namespace":"default","x":"{}"}}"#, "x".repeat(bytes));
    Draft::new(stream, kind, subject, Severity::Info, Data::parse(data).expect("an object"))
}

fn short(server: &Server) -> Settings {
    Settings { duplicate_window: Duration::from_millis(100), ..server.settings() }
}

async fn delivered(server: &Server) -> Vec<String> {
    let stored = stored(&server.jetstream().await, "PROCESS_EVENTS").await;
    stored.into_iter().filter_map(|message| message.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_each_event_is_there_once_and_in_order() {
    let mut server = Server::stopped("");
    let mut adapter = Adapter::new();
    adapter.deliver(short(&server));
    adapter.emit(500, 10).await;
    wait::until("it to notice that NATS is down", async || adapter.handle().watch().borrow().last_error.clone())
        .await;
    let kills = std::env::var("NATS_KILLS").map_or(25, |kills| kills.parse().expect("a number"));
    for round in 0..kills {
        server.restart();
        let at = adapter.handle().watch().borrow().offset + rand::random_range(0..1000);
        let emit = adapter.emit(1000, 100);
        let kill = async {
            wait::until("some to be delivered", async || {
                (adapter.handle().watch().borrow().offset > at).then_some(())
            })
            .await;
            server.kill();
        };
        tokio::join!(emit, kill);
        if round % 3 == 1 {
            adapter.crash().await;
            adapter.deliver(short(&server));
        }
    }
    server.restart();
    adapter.drained().await;
    assert_eq!(delivered(&server).await, adapter.ids());
    let status = adapter.handle().status().expect("readable");
    assert_eq!((status.lag_events, status.lag_seconds, status.dead_lettered), (0, 0.0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_crashes_again_and_again_leaves_no_gap_and_no_double() {
    let server = Server::start();
    let mut adapter = Adapter::new();
    adapter.emit(20_000, 50).await;
    for round in 1..=10 {
        adapter.deliver(short(&server));
        let context = server.jetstream().await;
        wait::until("some to arrive", async || {
            let stream = context.get_stream("PROCESS_EVENTS").await.ok()?;
            (stream.cached_info().state.messages >= round * 1500).then_some(())
        })
        .await;
        adapter.crash().await;
    }
    adapter.deliver(short(&server));
    adapter.drained().await;
    assert_eq!(delivered(&server).await, adapter.ids());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_waits_for_a_person_and_holds_nobody_up() {
    let server = Server::start();
    let context = server.jetstream().await;
    let subjects = vec!["core.process.>".into(), "core.source.>".into()];
    let config = Config { name: "PROCESS_EVENTS".into(), subjects, max_message_size: 4000, ..Config::default() };
    context.create_stream(&config).await.expect("made");
    let mut adapter = Adapter::new();
    for bytes in [10, 5000, 10, 6000, 10] {
        adapter.emit(1, bytes).await;
    }
    adapter.deliver(server.settings());
    adapter.drained().await;
    let ids = adapter.ids();
    assert_eq!(delivered(&server).await, [&ids[0], &ids[2], &ids[4]].map(String::clone));
    let letters = dead_letter::list(&adapter.store, &dead_letter::Filter::default(), None, 10).expect("readable");
    let reasons: Vec<_> =
        letters.letters.iter().map(|letter| (letter.offset, letter.reason.contains("10054"))).collect();
    assert_eq!(reasons, [(Some(1), true), (Some(3), true)]);
    context.update_stream(Config { max_message_size: -1, ..config }).await.expect("updated");
    for letter in &letters.letters {
        dead_letter::retry(&adapter.store, letter.id).expect("it is there");
    }
    adapter.handle().nudge();
    wait::until("the retries", async || (adapter.handle().watch().borrow().delivered == 5).then_some(())).await;
    adapter.emit(1, 10).await;
    adapter.drained().await;
    let ids = adapter.ids();
    assert_eq!(delivered(&server).await, [0, 2, 4, 1, 3, 5].map(|n| ids[n].clone()));
    assert_eq!(dead_letter::stats(&adapter.store).expect("readable"), []);
    let running = adapter.running.take().expect("it runs");
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(running.handle.status().expect("readable").state, State::Stopped);
}
