//! The task that exports the state.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::event::Timestamp;
use crate::otel::metrics::MAX_REQUEST;
use crate::sink::otlp::{Answer, Channel, Fail};

/// No request is made smaller than this for a receiver that takes less.
const LEAST_REQUEST: usize = 64 << 10;

/// So many different refusals are told; further ones are only counted.
const MAX_TOLD: usize = 100;

/// Where requests go.
pub trait Outlet: Send + Sync + 'static {
    /// Exports one encoded request; ends by itself within 30 s, and is safe to drop.
    fn export(&self, request: Bytes) -> impl Future<Output = Result<Answer, Fail>> + Send;
}

impl Outlet for Channel {
    async fn export(&self, request: Bytes) -> Result<Answer, Fail> {
        Self::export(self, request).await
    }
}

/// What has become of the exports so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that were taken.
    pub taken: AtomicU64,
    /// Requests that failed; the next export makes it good.
    pub failed: AtomicU64,
    /// Requests that were refused, wholly or in part.
    pub refused: AtomicU64,
}

/// Exports the state each interval.
///
/// A failure is counted and logged and otherwise passed over: the next export has the whole state. A refusal does
/// not keep the other requests from being sent.
#[derive(Debug)]
pub struct Exporter<O> {
    shared: Arc<Shared>,
    interval: Duration,
    outlet: O,
    counts: Arc<Counts>,
    /// The most bytes of a request: less than at first once the receiver has said that it takes no more.
    limit: usize,
    /// Whether the last export failed.
    failing: bool,
    told: BTreeSet<String>,
}

impl<O: Outlet> Exporter<O> {
    pub(super) fn new(shared: Arc<Shared>, interval: Duration, outlet: O) -> Self {
        Self {
            shared,
            interval,
            outlet,
            counts: Arc::default(),
            limit: MAX_REQUEST,
            failing: false,
            told: BTreeSet::new(),
        }
    }

    /// The counts, which go on counting.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Exports until `stop`, and then once more: whoever drains stops it after the fold, and puts a deadline on
    /// it. It may be dropped at any time.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut progress = self.shared.progress.subscribe();
        let ready = async {
            // The sender lives as long as what is shared.
            let _ = progress.wait_for(super::Progress::is_there).await;
            self.rounds().await
        };
        if stop.run_until_cancelled(ready).await.is_none() {
            self.export().await;
        }
    }

    async fn rounds(&mut self) {
        loop {
            let begun = Instant::now();
            let after = self.export().await;
            sleep_until((begun + self.interval).max(Instant::now() + after)).await;
        }
    }

    /// One export of everything; answers how long the receiver wants to be left alone.
    async fn export(&mut self) -> Duration {
        if !self.shared.progress.borrow().is_there() {
            return Duration::ZERO;
        }
        let requests = self.shared.metrics().export(Timestamp::now(), self.limit);
        for request in requests {
            match self.outlet.export(request.encode_to_vec().into()).await {
                Ok(answer) => self.taken(&answer),
                Err(Fail::Later { message, after }) => {
                    // The rest would fail alike, and comes again.
                    self.failed(&message);
                    return after.unwrap_or_default();
                }
                Err(Fail::TooLarge(message)) => {
                    self.limit = (self.limit / 2).max(LEAST_REQUEST);
                    self.failed(&message);
                }
                Err(Fail::Wrong(message) | Fail::Refused(message)) => self.refused(&message),
            }
        }
        Duration::ZERO
    }

    fn taken(&mut self, answer: &Answer) {
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut self.failing) {
            tracing::info!("metrics are exported again");
        }
        if answer.rejected > 0 {
            self.refused(&answer.message);
        } else if !answer.message.is_empty() && self.is_new(&answer.message) {
            tracing::warn!(answer.message, "the receiver of metrics warns");
        }
    }

    fn failed(&mut self, message: &str) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(message, "metrics are not exported; the next export has everything");
        }
    }

    fn refused(&mut self, message: &str) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        let message = said_once(message);
        if self.is_new(&message) {
            tracing::error!(message, "the receiver refuses metrics");
        }
    }

    /// Whether that was not told yet, as far as is remembered.
    fn is_new(&mut self, message: &str) -> bool {
        self.told.len() < MAX_TOLD && self.told.insert(message.to_owned())
    }
}

/// Prometheus says the same for each sample, line by line.
fn said_once(message: &str) -> String {
    let mut lines: Vec<&str> = message.lines().collect();
    lines.dedup();
    lines.join("; ")
}
