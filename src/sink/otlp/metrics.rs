//! Metrics over OTLP: a sink that folds the log into their state, and a task that exports that state.
//!
//! ```text
//! deliver ─► Fold ─► state of every series ─► Exporter ─► receiver      each interval, and once at the end
//! ```
//!
//! An event is settled when it is folded; nothing hangs on an export, since each has the whole state. The state is
//! exported only once the fold has reached where the log ended at the start: after a crash it may stand behind
//! what was exported before, and no series may fall back.

mod exporter;
mod progress;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use self::progress::Progress;
use super::Channel;
use crate::event::{Event, Logged, Offset};
use crate::otel::Tracker;
use crate::otel::metrics::Metrics;
use crate::sink::{Cursor, Error, Memory, Sent, Sink};

pub use exporter::{Counts, Exporter, Outlet};

/// The keys of the tracker's records.
const TRACKER: &str = "tracker/";

/// The keys of the records of metrics.
const METRICS: &str = "metrics/";

/// A sink and the exporter of what it folds. Each metric has at most `max_series` series, and the state is
/// exported each `interval`, but not before the fold has reached `log_end`.
pub fn new(max_series: usize, interval: Duration, log_end: Offset, channel: Channel) -> (Fold, Exporter<Channel>) {
    pair(max_series, interval, log_end, channel)
}

fn pair<O: Outlet>(max_series: usize, interval: Duration, log_end: Offset, outlet: O) -> (Fold, Exporter<O>) {
    let shared = Arc::new(Shared {
        metrics: Mutex::new(Metrics::new(max_series)),
        progress: watch::Sender::new(Progress::new(log_end)),
    });
    let fold = Fold { tracker: Tracker::default(), next: 0, shared: Arc::clone(&shared) };
    (fold, Exporter::new(shared, interval, outlet))
}

/// What the sink and the exporter share.
#[derive(Debug)]
struct Shared {
    metrics: Mutex<Metrics>,
    progress: watch::Sender<Progress>,
}

impl Shared {
    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folds every event of the log. A call never fails, and waits for nothing but an export that is being put
/// together.
#[derive(Debug)]
pub struct Fold {
    tracker: Tracker,
    /// The first event that was not folded yet.
    next: Offset,
    shared: Arc<Shared>,
}

impl Fold {
    fn fold<'a>(&mut self, events: impl Iterator<Item = &'a Logged>) {
        let mut metrics = self.shared.metrics();
        for Logged { offset, event } in events {
            if *offset >= self.next {
                let told = self.tracker.apply(event);
                metrics.apply(event, &told);
                self.next = offset + 1;
            }
        }
    }
}

impl Sink for Fold {
    fn wants(&self, _event: &Event) -> bool {
        true
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        self.next = self.next.max(at.offset);
        self.shared.progress.send_modify(|progress| progress.reach(at.offset));
        Ok(at.clone())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        self.fold(batch.iter());
        self.shared.progress.send_modify(|progress| progress.reach(self.next));
        Sent { settled: batch.len(), ..Sent::default() }
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }
}

impl Memory for Fold {
    fn clear(&mut self) {
        self.shared.progress.send_modify(Progress::fall_back);
        self.tracker.clear();
        self.shared.metrics().clear();
        self.next = 0;
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        match (key.strip_prefix(TRACKER), key.strip_prefix(METRICS)) {
            (Some(key), _) => self.tracker.restore(key, value),
            (_, Some(key)) => self.shared.metrics().restore(key, value),
            _ => Err(format!("{key}: no such record")),
        }
    }

    fn replay(&mut self, logged: &Logged) {
        self.fold(std::iter::once(logged));
    }

    fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let tracker = self.tracker.changes().into_iter().map(|(key, value)| (TRACKER.to_owned() + &key, value));
        let metrics = self.shared.metrics().changes();
        tracker.chain(metrics.into_iter().map(|(key, value)| (METRICS.to_owned() + &key, value))).collect()
    }
}
