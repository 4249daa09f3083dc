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
        Ok(Cursor { offset, mark: at.mark.clone() })
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
                let refuse = |index: &usize| Refused { index: *index, reason: format!("no {index}") };
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
async fn waits_grow_and_only_what_is_left_is_sent_again() {
    let mut bench = Bench::new();
    bench.append_wanted(5);
    bench.sink.script().sends = [Do::Fail(2, retryable()), Do::Fail(0, retryable()), Do::Stop(2)].into();
    let status = bench.run().drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2, 3, 4], vec![2, 3, 4], vec![2, 3, 4], vec![4]]);
    let script = bench.sink.script();
    // Before the first call and after each error.
    let resumed: Vec<Offset> = script.resumed.iter().map(|(_, at)| at.offset).collect();
    assert_eq!(resumed, [0, 2, 2]);
    let wait = script.sent[2].0 - script.sent[0].0;
    assert!(wait <= Duration::from_millis(350), "{wait:?}");
    assert_eq!((status.delivered, status.failures), (5, 0));
    assert_eq!(status.last_error.map(|error| error.message), Some("down".into()));
}

#[tokio::test(start_paused = true)]
async fn what_settles_nothing_and_tells_no_error_is_an_error() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Stop(0)].into();
    let status = bench.run().drained().await;
    assert_eq!((bench.sink.sent().len(), bench.sink.script().resumed.len()), (2, 2));
    assert!(status.last_error.is_some_and(|error| error.message.contains("nothing was settled")));
}

#[tokio::test(start_paused = true)]
async fn a_destination_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    let after = Duration::from_millis(12_345);
    let busy = || sink::Error::Throttled { message: "busy".into(), after };
    bench.sink.script().sends = (0..9).map(|_| Do::Fail(0, busy())).collect();
    let running = bench.run();
    running.drained().await;
    let sent = &bench.sink.script().sent;
    assert_eq!((sent.len(), sent[9].0 - sent[0].0), (10, after * 9), "and it does not open the breaker");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_change_is_tried_slowly() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    let wrong = || Err(sink::Error::Misconfigured("wrong password".into()));
    bench.sink.script().resumes = [wrong(), wrong()].into();
    let running = bench.run();
    let status = running.until("it waits", |status| status.state == State::Waiting).await;
    assert!(status.retry_at.is_some() && status.last_error.is_some_and(|e| e.message == "wrong password"));
    running.drained().await;
    let resumed = &bench.sink.script().resumed;
    for pair in resumed.windows(2) {
        let wait = pair[1].0 - pair[0].0;
        assert!((15..=31).contains(&wait.as_secs()), "{wait:?}");
    }
    assert_eq!(resumed.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_opens_the_breaker_and_one_event_closes_it() {
    let mut bench = Bench::new();
    bench.append_wanted(10);
    bench.sink.script().resumes = (0..7).map(|_| Err(retryable())).collect();
    bench.sink.script().sends = [Do::Fail(0, retryable())].into();
    let running = bench.run();
    let status = running.until("open", |status| status.breaker == Circuit::Open).await;
    assert_eq!(status.failures, 5);
    let status = running.drained().await;
    assert_eq!(status.breaker, Circuit::Closed);
    let script = bench.sink.script();
    let waits: Vec<u64> = script.resumed.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect();
    assert_eq!(waits[4..], [5, 10, 20, 40], "open, each time for longer");
    assert!(waits[..4].iter().all(|wait| *wait <= 1));
    let sent: Vec<&Vec<Offset>> = script.sent.iter().map(|(_, offsets)| offsets).collect();
    assert_eq!(sent, [&vec![0], &vec![0], &(1..10).collect()], "one event decides");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_given_up() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Hang].into();
    let status = bench.run().drained().await;
    let script = bench.sink.script();
    let wait = script.sent[1].0 - script.sent[0].0;
    assert!((60_000..=60_100).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(script.resumed.len(), 2);
    assert!(status.last_error.is_some_and(|error| error.message.contains("60 s")));
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
async fn what_is_refused_is_kept_durably_and_holds_nobody_up() {
    let mut bench = Bench::new();
    bench.append_wanted(4);
    bench.sink.script().sends = [Do::Refuse(&[1, 3])].into();
    let running = bench.run();
    let status = running.drained().await;
    assert_eq!((status.delivered, status.dead_lettered, status.offset), (2, 2, 4));
    bench.disk.crash(0);
    bench.store = Store::on(&bench.disk).expect("a good disk");
    let letters = bench.letters();
    let told: Vec<_> = letters.iter().map(|l| (l.offset, l.reason.as_str(), l.attempts, l.retrying)).collect();
    assert_eq!(told, [(1, "no 1", 1, false), (3, "no 3", 1, false)]);
    assert_eq!(letters[0].event, bench.store.log(1, store::Limit::events(1)).expect("readable")[0].event);
    assert_eq!(bench.cursor().expect("saved")["offset"], 4, "saved with the last letter");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_sent_again_at_a_persons_wish() {
    let mut bench = Bench::new();
    bench.append_wanted(3);
    bench.sink.script().sends = [Do::Refuse(&[0, 1, 2]), Do::Refuse(&[0])].into();
    let running = bench.run();
    running.drained().await;
    let letters = bench.letters();
    dead_letter::retry(&bench.store, letters[0].id).expect("it is there");
    dead_letter::retry(&bench.store, letters[2].id).expect("it is there");
    assert!(bench.letters()[0].retrying);
    running.handle.nudge();
    running.until("the retry", |status| status.delivered == 1).await;
    let left = bench.letters();
    let told: Vec<_> = left.iter().map(|l| (l.offset, l.attempts, l.retrying)).collect();
    assert_eq!(told, [(0, 2, false), (1, 1, false)]);
    assert_eq!(bench.sink.sent()[1], [0, 2]);
    assert_eq!(bench.cursor().expect("saved")["offset"], 3);
    // Without a word it is seen all the same, and an error in between changes nothing.
    bench.sink.script().sends = [Do::Fail(0, retryable())].into();
    let filter = dead_letter::Filter { sink: Some("test".into()), ..Default::default() };
    assert_eq!(dead_letter::retry_all(&bench.store, &filter).expect("readable"), 2);
    running.until("the retries", |status| status.delivered == 3).await;
    assert!(bench.letters().is_empty());
    assert!(matches!(dead_letter::show(&bench.store, left[0].id), Err(dead_letter::Error::NotFound(_))));
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_listed_by_pages_counted_and_discarded() {
    let mut bench = Bench::new();
    bench.append_wanted(150);
    bench.sink.script().sends = [Do::Refuse(&ALL)].into();
    let running = bench.run();
    running.drained().await;
    let filter = dead_letter::Filter::default();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = dead_letter::list(&bench.store, &filter, after, 60).expect("readable");
        seen.extend(page.letters.iter().map(|letter| letter.offset));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..150).collect::<Vec<Offset>>());
    let other = dead_letter::Filter { sink: Some("other".into()), ..filter };
    assert_eq!(dead_letter::list(&bench.store, &other, None, 10).expect("readable"), dead_letter::Page::default());
    let first = bench.letters()[0].id;
    dead_letter::retry(&bench.store, first).expect("it is there");
    let stats = dead_letter::stats(&bench.store).expect("readable");
    assert_eq!((stats.len(), stats[0].letters, stats[0].retrying), (1, 150, 1));
    dead_letter::discard(&bench.store, first).expect("it is there");
    assert!(matches!(dead_letter::discard(&bench.store, first), Err(dead_letter::Error::NotFound(_))));
    assert_eq!(dead_letter::stats(&bench.store).expect("readable")[0].letters, 149);
    running.handle.nudge();
    running.drained().await;
    assert_eq!(bench.sink.sent().len(), 1, "what is discarded is not sent again");
}

const ALL: [usize; 150] = {
    let mut all = [0; 150];
    let mut index = 0;
    while index < all.len() {
        all[index] = index;
        index += 1;
    }
    all
};

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_cannot_be_kept_stops_the_cursor() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    bench.sink.script().sends = [Do::Refuse(&[1])].into();
    bench.disk.fail(crate::store::Failing::Apply);
    let running = bench.run();
    running.until("it waits", |status| status.state == State::Waiting).await;
    assert_eq!(running.handle.status().expect("readable").offset, 0);
    assert_eq!(bench.cursor(), None);
    bench.writer.recover("a test").expect("a good disk");
    let status = running.drained().await;
    assert_eq!((bench.letters().len(), bench.sink.sent().len(), status.dead_lettered), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_wait_and_finishes_a_call() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Fail(0, sink::Error::Misconfigured("no".into()))].into();
    let running = bench.run();
    running.until("it waits", |status| status.state == State::Waiting).await;
    let before = Instant::now();
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(before.elapsed(), Duration::ZERO);

    bench.sink.script().sends = [Do::Hang].into();
    let running = bench.run();
    running.until("it sends", |status| status.state == State::Delivering).await;
    tokio::task::yield_now().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(before.elapsed(), Duration::from_secs(60));
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

#[tokio::test(start_paused = true)]
async fn one_that_is_stuck_delays_only_itself() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    bench.sink.script().sends = [Do::Hang].into();
    let stuck = bench.run();
    stuck.until("it sends", |status| status.state == State::Delivering).await;
    let sink = Scripted::default();
    let (other, handle) = Delivery::new("other", sink.clone(), bench.store.clone(), Settings::default());
    let other = Running {
        handle,
        shutdown: CancellationToken::new(),
        task: tokio::spawn(other.run(CancellationToken::new())),
    };
    let before = Instant::now();
    other.drained().await;
    assert_eq!((sink.sent(), before.elapsed()), (vec![vec![0, 1]], Duration::ZERO));
    assert_eq!(stuck.handle.status().expect("readable").offset, 0);
}
