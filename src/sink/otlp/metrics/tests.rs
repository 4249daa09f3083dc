//! The sink and the exporter, with a receiver in memory; tokio's clock is paused.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use prost::Message;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::{Timestamp, testing};
use crate::sink::otlp::{Answer, Fail};

const INTERVAL: Duration = Duration::from_secs(10);

/// Keeps what it gets, and answers as it is told to.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    answers: VecDeque<Result<Answer, Fail>>,
    /// When, since the start, and what.
    requests: Vec<(Duration, ExportMetricsServiceRequest, usize)>,
    begun: Option<Instant>,
}

impl Outlet for Receiver {
    async fn export(&self, request: Bytes) -> Result<Answer, Fail> {
        let mut received = self.0.lock().expect("no test panicked with it");
        let at = received.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let size = request.len();
        received.requests.push((at, ExportMetricsServiceRequest::decode(request).expect("a request"), size));
        received.answers.pop_front().unwrap_or_else(|| Ok(Answer::default()))
    }
}

impl Receiver {
    fn answers(&self, answers: impl IntoIterator<Item = Result<Answer, Fail>>) {
        self.0.lock().expect("no panic").answers.extend(answers);
    }

    /// The seconds at which requests came.
    fn times(&self) -> Vec<u64> {
        self.0.lock().expect("no panic").requests.iter().map(|(at, ..)| at.as_secs()).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.lock().expect("no panic").requests.iter().map(|(.., size)| *size).collect()
    }

    /// How many events the latest request counts.
    fn events(&self) -> i64 {
        let received = self.0.lock().expect("no panic");
        let (_, request, _) = received.requests.last().expect("a request");
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let events = scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name == "watchpost.events");
        let points = events.flat_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.clone(),
            _ => panic!("{metric:?}"),
        });
        let value = |value| if let Some(Value::AsInt(value)) = value { value } else { 0 };
        points.map(|point| value(point.value)).sum()
    }
}

struct World {
    receiver: Receiver,
    fold: Fold,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    counts: Arc<Counts>,
}

impl World {
    /// Runs, where the log ended at that offset.
    fn run(log_end: Offset) -> Self {
        let receiver = Receiver::default();
        receiver.0.lock().expect("no panic").begun = Some(Instant::now());
        let (fold, exporter) = pair(100_000, INTERVAL, log_end, receiver.clone());
        let (stop, counts) = (CancellationToken::new(), exporter.counts());
        let task = tokio::spawn(exporter.run(stop.clone()));
        Self { receiver, fold, stop, task, counts }
    }

    async fn begin(&mut self, offset: Offset) {
        let cursor = Cursor { offset, ..Cursor::default() };
        assert_eq!(self.fold.resume(&cursor).await, Ok(cursor));
    }

    async fn send(&mut self, offsets: std::ops::Range<Offset>) {
        let batch: Vec<Logged> = offsets.map(logged).collect();
        let sent = self.fold.send(&batch).await;
        assert_eq!(sent, Sent { settled: batch.len(), ..Sent::default() });
    }

    async fn stop(self) -> Receiver {
        self.stop.cancel();
        self.task.await.expect("it ends");
        self.receiver
    }
}

/// Each of a service of its own where that is wanted: many series.
fn logged(offset: Offset) -> Logged {
    let time = Timestamp::from_millis(1000 * offset as i64);
    let event = Event {
        id: uuid::Uuid::from_u128(offset.into()),
        ts: time,
        observed: time,
        data: testing::data(json!({ "service": format!("service-{offset}") }).to_string()),
        ..testing::event(&format!("session-{offset}"), "session_started")
    };
    Logged { offset, event: event.into() }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_exported_before_the_fold_has_reached_the_end_of_the_log_as_it_was_at_the_start() {
    let mut world = World::run(7);
    world.begin(3).await;
    world.send(3..6).await;
    sleep(INTERVAL * 3).await;
    assert_eq!(world.receiver.times(), [0; 0]);
    world.send(6..7).await;
    sleep(Duration::from_secs(25)).await;
    assert_eq!((world.receiver.times(), world.receiver.events()), (vec![30, 40, 50], 4));
}

#[tokio::test(start_paused = true)]
async fn a_fold_that_is_restored_at_the_end_of_the_log_is_exported_without_any_event() {
    let mut world = World::run(7);
    for offset in 0..7 {
        world.fold.replay(&logged(offset));
    }
    sleep(INTERVAL).await;
    assert_eq!(world.receiver.times(), [0; 0], "not before the loop says where it stands");
    world.begin(7).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((world.receiver.times(), world.receiver.events()), (vec![10], 7));
}

#[tokio::test(start_paused = true)]
async fn a_fold_that_begins_anew_is_exported_once_it_is_where_it_was() {
    let mut world = World::run(0);
    world.begin(0).await;
    world.send(0..5).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.receiver.events(), 5);
    world.fold.clear();
    for offset in 0..3 {
        world.fold.replay(&logged(offset));
    }
    world.begin(3).await;
    sleep(INTERVAL * 2).await;
    assert_eq!(world.receiver.times(), [0]);
    world.send(3..6).await;
    sleep(INTERVAL).await;
    assert_eq!(world.receiver.events(), 6);
}

#[tokio::test(start_paused = true)]
async fn it_is_exported_once_more_at_the_end_but_not_a_fold_that_is_behind() {
    let mut world = World::run(0);
    world.begin(0).await;
    world.send(0..2).await;
    sleep(Duration::from_secs(1)).await;
    world.send(2..3).await;
    let receiver = world.stop().await;
    assert_eq!((receiver.times(), receiver.events()), (vec![0, 1], 3));

    let mut world = World::run(9);
    world.begin(0).await;
    world.send(0..3).await;
    assert_eq!(world.stop().await.times(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_is_folded_once() {
    let mut world = World::run(0);
    world.begin(0).await;
    world.send(0..3).await;
    world.send(1..4).await;
    assert_eq!(world.stop().await.events(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_export_that_fails_is_made_good_by_the_next_one() {
    let mut world = World::run(0);
    let later = |after| Err(Fail::Later { message: "away".into(), after });
    world.receiver.answers([later(None), later(Some(Duration::from_secs(35)))]);
    world.begin(0).await;
    world.send(0..2).await;
    sleep(Duration::from_secs(60)).await;
    // When it said when to come back, it was left alone until then.
    assert_eq!((world.receiver.times(), world.receiver.events()), (vec![0, 10, 45, 55], 2));
    assert_eq!(world.counts.failed.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_stop_the_other_requests_and_a_receiver_that_takes_less_gets_smaller_ones() {
    let mut world = World::run(0);
    world.begin(0).await;
    // The largest batch: of so many services the series fill more than one request.
    world.send(0..4096).await;
    let too_large = || Err(Fail::TooLarge("at most 1 MiB".into()));
    let refused = || Err(Fail::Refused("out of order".into()));
    world.receiver.answers([too_large(), refused()]);
    sleep(Duration::from_secs(1)).await;
    let first = world.receiver.sizes();
    assert!(first.len() >= 2 && first.iter().all(|size| *size <= 3 << 20), "{first:?}");
    assert!(first.iter().any(|size| *size > 3 << 19), "{first:?}");
    sleep(INTERVAL).await;
    let second = world.receiver.sizes().split_off(first.len());
    assert!(second.len() > first.len() && second.iter().all(|size| *size <= 3 << 19), "{second:?}");
    let count = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed) as usize;
    let all = first.len() + second.len();
    let Counts { taken, failed, refused } = &*world.counts;
    assert_eq!((count(taken), count(failed), count(refused)), (all - 2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_sinks_memory_has_the_trackers_and_the_metrics_records() {
    let mut world = World::run(0);
    world.begin(0).await;
    world.send(0..3).await;
    let records: BTreeMap<_, _> = world.fold.changes().into_iter().collect();
    assert!(records.keys().any(|key| key.starts_with("metrics/series/watchpost.events/")), "{records:?}");
    let mut other = World::run(0);
    for (key, value) in &records {
        other.fold.restore(key, value.as_ref().expect("nothing is gone")).expect("its own record");
    }
    assert!(other.fold.restore("strange", &[]).is_err());
    other.begin(3).await;
    other.send(3..4).await;
    assert_eq!(other.stop().await.events(), 4);
}
