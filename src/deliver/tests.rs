//! Every branch of the loop, against a sink that does as it is told, with the clock paused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::event::{Data, Draft, Event, Kind, Severity, StreamId, Subject};
use crate::store::{Disk, Flusher, Submission, Tree, Writer};

mod letters;
mod remember;
mod waits;

/// What the sink does at one call.
enum Do {
    /// Settles so many, then fails.
    Fail(usize, sink::Error),
    /// Settles all, refusing these.
    Refuse(&'static [usize]),
    /// Never answers.
    Hang,
    /// Settles so many and tells no error.
    Stop(usize),
}

#[derive(Default)]
struct Script {
    /// For the next calls of `send`; all is settled when nothing is left.
    sends: VecDeque<Do>,
    /// For the next calls of `resume`.
    resumes: VecDeque<Result<Offset, sink::Error>>,
    /// What was sent: when, and the offsets.
    sent: Vec<(Instant, Vec<Offset>)>,
    /// When it was resumed, and where.
    resumed: Vec<(Instant, Cursor)>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().expect("no test panicked with it")
    }

    fn sent(&self) -> Vec<Vec<Offset>> {
        self.script().sent.iter().map(|(_, offsets)| offsets.clone()).collect()
    }
}

impl Sink for Scripted {
    fn wants(&self, event: &Event) -> bool {
        event.kind.as_str() != "unwanted"
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, sink::Error> {
        let mut script = self.script();
        script.resumed.push((Instant::now(), at.clone()));
        let offset = script.resumes.pop_front().transpose()?.unwrap_or(at.offset);
        let mark = if at.mark.is_null() { json!("new") } else { at.mark.clone() };
        Ok(Cursor { offset, mark })
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        let what = {
            let mut script = self.script();
            let offsets = batch.iter().map(|logged| logged.offset).collect();
            script.sent.push((Instant::now(), offsets));
            script.sends.pop_front()
        };
        let sent = |settled: usize| Sent {
            settled,
            mark: json!({"last": settled.checked_sub(1).map(|last| batch[last].offset)}),
            ..Sent::default()
        };
        match what {
            None => sent(batch.len()),
            Some(Do::Stop(settled)) => sent(settled),
            Some(Do::Fail(settled, error)) => Sent { error: Some(error), ..sent(settled) },
            Some(Do::Hang) => std::future::pending().await,
            Some(Do::Refuse(places)) => {
                let refuse = |index: &usize| Refused { index: *index, reason: format!("no {index}"), sent: None };
                Sent { refused: places.iter().map(refuse).collect(), ..sent(batch.len()) }
            }
        }
    }
}

/// A store with its writer, and a delivery to the scripted sink.
struct Bench {
    disk: Disk,
    store: Store,
    writer: Writer,
    flusher: Flusher,
    sink: Scripted,
}

struct Running {
    handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    fn new() -> Self {
        let disk = Disk::default();
        let store = Store::on(&disk).expect("an empty disk");
        let (writer, flusher) = store.writer().expect("an empty store");
        Self { disk, store, writer, flusher, sink: Scripted::default() }
    }

    fn append(&mut self, kinds: &[&str]) {
        let drafts = kinds.iter().map(|kind| draft(kind)).collect();
        self.writer.apply(&[Submission::events(drafts)]).expect("room");
        self.flusher.flush(self.writer.next_offset()).expect("durable");
    }

    fn append_wanted(&mut self, count: usize) {
        self.append(&vec!["started"; count]);
    }

    fn run(&self) -> Running {
        self.run_with(Settings::default())
    }

    fn run_with(&self, settings: Settings) -> Running {
        let (delivery, handle) = Delivery::new("test", self.sink.clone(), self.store.clone(), settings);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(delivery.run(shutdown.clone()));
        Running { handle, shutdown, task }
    }

    fn cursor(&self) -> Option<serde_json::Value> {
        let bytes = self.store.get(Tree::Cursors, "test").expect("readable")?;
        Some(serde_json::from_slice(&bytes).expect("JSON"))
    }

    fn letters(&self) -> Vec<DeadLetter> {
        dead_letter::list(&self.store, &dead_letter::Filter::default(), None, 100).expect("readable").letters
    }
}

impl Running {
    async fn until(&self, what: &str, done: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.handle.watch();
        let wait = status.wait_for(done);
        let found = timeout(Duration::from_secs(3600), wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
        found.expect("it runs").clone()
    }

    async fn drained(&self) -> Status {
        let end = self.handle.store.range().end;
        self.until("all delivered", |status| status.state == State::Idle && status.offset == end).await
    }
}

fn draft(kind: &str) -> Draft {
    let kind = Kind::new(kind).expect("a type");
    let subject = Subject::process("core.process", "default", "web", &kind).expect("a subject");
    let stream = StreamId::new("proc-main-1").expect("an id");
    Draft::new(stream, kind, subject, Severity::Info, Data::parse("{}".into()).expect("an object"))
}

fn retryable() -> sink::Error {
    sink::Error::Retryable("down".into())
}

#[tokio::test(start_paused = true)]
async fn events_go_in_order_and_the_cursor_follows_over_those_not_wanted() {
    let mut bench = Bench::new();
    bench.append(&["started", "unwanted", "stopped", "unwanted"]);
    let running = bench.run();
    let status = running.drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 2]]);
    assert_eq!(bench.cursor(), Some(json!({"offset": 4, "mark": {"last": 2}, "required": true})));
    assert_eq!((status.delivered, status.dead_lettered, status.last_error), (2, 0, None));
    bench.append(&["unwanted"]);
    running.drained().await;
    assert_eq!(bench.sink.sent().len(), 1);
    assert_eq!(bench.cursor(), Some(json!({"offset": 5, "mark": {"last": 2}, "required": true})));
    bench.append(&["started"]);
    running.drained().await;
    assert_eq!(bench.sink.sent()[1], [5]);
}

#[tokio::test(start_paused = true)]
async fn a_long_log_goes_by_pages_each_event_once() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        bench.append_wanted(1000);
    }
    bench.run().drained().await;
    let sent = bench.sink.sent();
    assert!(sent.iter().all(|batch| batch.len() <= page::MAX_EVENTS) && sent.len() >= 3);
    assert_eq!(sent.concat(), (0..20_000).collect::<Vec<Offset>>());
}

#[tokio::test(start_paused = true)]
async fn another_start_goes_on_where_the_last_one_was() {
    let mut bench = Bench::new();
    bench.append_wanted(3);
    let running = bench.run();
    running.drained().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(running.handle.status().expect("readable").state, State::Stopped);
    bench.disk.crash(0);
    bench.store = Store::on(&bench.disk).expect("a good disk");
    (bench.writer, bench.flusher) = bench.store.writer().expect("a good store");
    bench.append_wanted(2);
    bench.run().drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(bench.sink.script().resumed[1].1.mark, json!({"last": 2}));
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_says_at_its_first_connection_survives_a_crash() {
    let mut bench = Bench::new();
    bench.run().drained().await;
    bench.disk.crash(0);
    bench.store = Store::on(&bench.disk).expect("a good disk");
    assert_eq!(bench.cursor(), Some(json!({"offset": 0, "mark": "new", "required": true})));
}

#[tokio::test(start_paused = true)]
async fn pruning_waits_for_a_required_sink_that_was_never_reached() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    bench.store.maintainer().pass(true).expect("a pass");
    bench.sink.script().resumes = std::iter::repeat_with(|| Err(retryable())).take(1000).collect();
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    let running = bench.run();
    running.until("it waits", |status| status.state == State::Waiting).await;
    release_others(&bench.store, &["test"]).expect("room");
    assert_eq!(bench.writer.trim(later), Ok(0));
    running.task.abort();
    let running = bench.run_with(Settings { required: false, ..Settings::default() });
    running.until("it waits", |status| status.state == State::Waiting).await;
    assert_eq!(bench.writer.trim(later), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn while_the_destination_is_away_the_cursor_passes_what_does_not_go_there() {
    let mut bench = Bench::new();
    bench.append(&["unwanted", "unwanted"]);
    bench.sink.script().resumes = std::iter::repeat_with(|| Err(retryable())).take(8).collect();
    let running = bench.run();
    running.until("it passes", |status| status.state == State::Waiting && status.offset == 2).await;
    bench.append(&["unwanted", "started", "unwanted"]);
    running.until("it waits for the one", |status| status.state == State::Waiting && status.offset == 3).await;
    assert_eq!(bench.sink.sent(), Vec::<Vec<Offset>>::new());
    running.drained().await;
    assert_eq!((bench.sink.sent(), bench.sink.script().resumed[8].1.offset), (vec![vec![3]], 3));
}

#[tokio::test(start_paused = true)]
async fn pruning_waits_for_no_sink_that_is_not_configured_any_more() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    bench.store.maintainer().pass(true).expect("a pass");
    let cursor = Cursor { offset: 1, mark: json!("old") };
    bench.store.put(&[cursor::write("test", &cursor, &Settings::default())]).expect("room");
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    assert_eq!(bench.writer.trim(later), Ok(0));
    release_others(&bench.store, &["another"]).expect("room");
    assert_eq!(bench.writer.trim(later), Ok(2));
    assert_eq!(bench.cursor(), Some(json!({"offset": 1, "mark": "old", "required": false})));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_lost_something_gets_it_again() {
    let mut bench = Bench::new();
    bench.append_wanted(4);
    let running = bench.run();
    running.drained().await;
    bench.sink.script().resumes = [Ok(1)].into();
    bench.sink.script().sends = [Do::Fail(0, retryable())].into();
    bench.append_wanted(1);
    running.drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2, 3], vec![4], vec![1, 2, 3, 4]]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_may_not_skip_events() {
    let mut bench = Bench::new();
    bench.append_wanted(4);
    bench.sink.script().resumes = [Ok(3)].into();
    let status = bench.run().drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2, 3]]);
    assert!(status.last_error.is_some_and(|error| error.message.contains("skip events 0 to 3")));
}

#[tokio::test(start_paused = true)]
async fn the_lag_is_told_in_events_and_seconds() {
    let mut bench = Bench::new();
    bench.append_wanted(7);
    bench.sink.script().sends = [Do::Fail(3, sink::Error::Misconfigured("no".into()))].into();
    let running = bench.run();
    running.until("it waits", |status| status.state == State::Waiting).await;
    let status = running.handle.status().expect("readable");
    assert_eq!((status.offset, status.lag_events), (3, 4));
    let observed = bench.store.log(3, store::Limit::events(1)).expect("readable")[0].event.observed;
    let age = (Timestamp::now().as_millis() - observed.as_millis()) as f64 / 1000.0;
    assert!(status.lag_seconds >= 0.0 && status.lag_seconds <= age, "{}", status.lag_seconds);
    running.drained().await;
    assert_eq!(running.handle.status().expect("readable").lag_events, 0);
}
