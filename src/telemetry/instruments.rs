//! The instruments, made from the table of names.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use super::names::{self, ERROR, LETTER, Metric, OUTCOME, SINK};
use crate::dead_letter::{self, Kind};
use crate::deliver::{Circuit, Handle, Status};
use crate::ingest::Ingest;
use crate::sink::otlp::metrics::Counts;
use crate::store::{Health, Room, Store};

/// What is measured at each collection.
pub(super) struct Observed {
    store: Store,
    ingest: Ingest,
    sinks: Vec<Handle>,
    exports: Option<Arc<Counts>>,
    letters: Mutex<Option<Letters>>,
}

/// The last count of the dead letters, which walks them all.
struct Letters {
    counts: [u64; Kind::ALL.len()],
    at: Instant,
    took: Duration,
}

impl Letters {
    /// Whether it may be used again: a walk a second, and at most a hundredth of the time spent on them.
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < (self.took * 100).max(Duration::from_secs(1))
    }
}

type Told<'a> = &'a dyn AsyncInstrument<u64>;

impl Observed {
    pub(super) fn new(store: Store, ingest: Ingest, sinks: Vec<Handle>, exports: Option<Arc<Counts>>) -> Self {
        Self { store, ingest, sinks, exports, letters: Mutex::default() }
    }

    fn letters(&self) -> Option<[u64; Kind::ALL.len()]> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        if !letters.as_ref().is_some_and(Letters::is_fresh) {
            let at = Instant::now();
            let found = dead_letter::stats(&self.store).ok()?;
            let of = |kind| found.iter().filter(|count| count.kind == kind).map(|count| count.letters).sum();
            *letters = Some(Letters { counts: Kind::ALL.map(of), at, took: at.elapsed() });
        }
        letters.as_ref().map(|letters| letters.counts)
    }

    /// What each sink tells of itself, its lag aside.
    fn each_sink(&self, to: Told<'_>, read: impl Fn(&Status) -> u64) {
        for sink in &self.sinks {
            let watch = sink.watch();
            let status = watch.borrow();
            to.observe(read(&status), &[of_sink(&status)]);
        }
    }

    /// The lag of each sink. One that cannot be told now is left out.
    fn lags(&self) -> impl Iterator<Item = Status> {
        self.sinks.iter().filter_map(|sink| sink.status().ok())
    }

    fn room(&self, to: Told<'_>, read: impl Fn(Room) -> Option<u64>) {
        // A store that is being opened again says so by its health.
        if let Some(bytes) = self.store.room().ok().and_then(read) {
            to.observe(bytes, &[]);
        }
    }
}

fn of_sink(status: &Status) -> KeyValue {
    KeyValue::new(SINK, status.sink.clone())
}

/// Makes the instruments that read these.
pub(super) fn observe(meter: &Meter, observed: &Arc<Observed>) {
    let duration = histogram(meter, &names::COMMIT_DURATION);
    let events = histogram(meter, &names::COMMIT_EVENTS);
    observed.ingest.watch_commits(move |commit| {
        duration.record(commit.duration.as_secs_f64(), &[]);
        events.record(commit.events as f64, &[]);
    });
    let instruments = Instruments { meter, observed: Arc::downgrade(observed) };
    instruments.ingest();
    instruments.sinks();
    instruments.store();
}

struct Instruments<'a> {
    meter: &'a Meter,
    observed: Weak<Observed>,
}

impl Instruments<'_> {
    fn ingest(&self) {
        self.counter(&names::EVENTS, |observed, to| to.observe(observed.ingest.committed(), &[]));
        self.counter(&names::REFUSED, |observed, to| {
            for (reason, count) in observed.ingest.refusals() {
                to.observe(count, &[KeyValue::new(ERROR, reason.name())]);
            }
        });
        self.gauge(&names::BUS, |observed, to| to.observe(observed.ingest.waiting() as u64, &[]));
    }

    fn sinks(&self) {
        self.gauge(&names::LAG_EVENTS, |observed, to| {
            observed.lags().for_each(|status| to.observe(status.lag_events, &[of_sink(&status)]));
        });
        self.seconds(&names::LAG_TIME, |observed, to| {
            observed.lags().for_each(|status| to.observe(status.lag_seconds, &[of_sink(&status)]));
        });
        self.counter(&names::DELIVERED, |observed, to| observed.each_sink(to, |status| status.delivered));
        self.counter(&names::DEAD_LETTERED, |observed, to| observed.each_sink(to, |status| status.dead_lettered));
        self.counter(&names::FAILURES, |observed, to| observed.each_sink(to, |status| status.failed));
        self.counter(&names::EXPORTS, |observed, to| {
            let Some(Counts { taken, failed, refused }) = observed.exports.as_deref() else { return };
            for (outcome, count) in [("completed", taken), ("failed", failed), ("refused", refused)] {
                to.observe(count.load(Ordering::Relaxed), &[KeyValue::new(OUTCOME, outcome)]);
            }
        });
        self.gauge(&names::CIRCUIT, |observed, to| {
            observed.each_sink(to, |status| match status.breaker {
                Circuit::Closed => 0,
                Circuit::HalfOpen => 1,
                Circuit::Open => 2,
            });
        });
    }

    fn store(&self) {
        self.gauge(&names::DEAD_LETTERS, |observed, to| {
            for (kind, letters) in
                observed.letters().into_iter().flat_map(|counts| Kind::ALL.into_iter().zip(counts))
            {
                to.observe(letters, &[KeyValue::new(LETTER, kind.name())]);
            }
        });
        self.gauge(&names::DISK, |observed, to| observed.room(to, |room| Some(room.disk_bytes)));
        self.gauge(&names::LIVE, |observed, to| observed.room(to, |room| Some(room.live_bytes)));
        self.gauge(&names::FREE, |observed, to| observed.room(to, |room| room.free_bytes));
        self.gauge(&names::HEALTHY, |observed, to| {
            to.observe(u64::from(observed.store.health() == Health::Ok), &[]);
        });
    }

    fn counter(&self, metric: &Metric, read: impl Fn(&Observed, Told<'_>) + Send + Sync + 'static) {
        let counter = self.meter.u64_observable_counter(metric.name);
        let counter = counter.with_unit(metric.unit).with_description(metric.about);
        counter.with_callback(reading(&self.observed, read)).build();
    }

    fn gauge(&self, metric: &Metric, read: impl Fn(&Observed, Told<'_>) + Send + Sync + 'static) {
        let gauge = self.meter.u64_observable_gauge(metric.name);
        let gauge = gauge.with_unit(metric.unit).with_description(metric.about);
        gauge.with_callback(reading(&self.observed, read)).build();
    }

    fn seconds(
        &self,
        metric: &Metric,
        read: impl Fn(&Observed, &dyn AsyncInstrument<f64>) + Send + Sync + 'static,
    ) {
        let gauge = self.meter.f64_observable_gauge(metric.name);
        let gauge = gauge.with_unit(metric.unit).with_description(metric.about);
        gauge.with_callback(reading(&self.observed, read)).build();
    }
}

/// A callback that reads what is still observed.
fn reading<T>(
    observed: &Weak<Observed>,
    read: impl Fn(&Observed, &dyn AsyncInstrument<T>) + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
    let observed = observed.clone();
    move |to| {
        if let Some(observed) = observed.upgrade() {
            read(&observed, to);
        }
    }
}

/// The histogram of requests.
pub(super) fn requests(meter: &Meter) -> Histogram<f64> {
    histogram(meter, &names::REQUESTS)
}

fn histogram(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    let histogram = meter.f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.about);
    histogram.with_boundaries(metric.bounds.to_vec()).build()
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Answered<'a> {
    /// Its method; one that no route knows is `_OTHER`.
    pub method: &'static str,
    /// The route that it met.
    pub route: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
}

impl Answered<'_> {
    /// As the semantic conventions have it.
    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("http.response.status_code", i64::from(self.status)),
        ];
        attributes.extend(self.route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let failed = (self.status >= 500).then(|| KeyValue::new(ERROR, Cow::Owned(self.status.to_string())));
        attributes.extend(failed);
        attributes
    }
}
