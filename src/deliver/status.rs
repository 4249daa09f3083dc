//! What a delivery tells of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::breaker::Circuit;
use super::cursor;
use super::reset::Resets;
use crate::event::{Offset, Timestamp};
use crate::store::{self, Limit, Store};

/// What a delivery is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not reached its destination yet.
    Starting,
    /// It sends.
    Delivering,
    /// Everything has been delivered.
    Idle,
    /// It waits before it tries again.
    Waiting,
    /// It has ended.
    Stopped,
}

/// An error and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub time: Timestamp,
    /// What the destination, or the store, said.
    pub message: String,
}

/// How a delivery fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The sink's name.
    pub sink: Arc<str>,
    /// Whether pruning waits for it.
    pub required: bool,
    /// What it is doing.
    pub state: State,
    /// What its breaker lets through.
    pub breaker: Circuit,
    /// The first offset that is not confirmed.
    pub offset: Offset,
    /// How many places in the log it is behind, among them events that do not go there.
    pub lag_events: u64,
    /// The age of the oldest event that is not confirmed, in seconds.
    pub lag_seconds: f64,
    /// Events confirmed since this process started.
    pub delivered: u64,
    /// Events refused for good since this process started.
    pub dead_lettered: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Failures since this process started; for its metrics.
    #[serde(skip)]
    pub failed: u64,
    /// When it tries again, while it waits.
    pub retry_at: Option<Timestamp>,
    /// The last error, also when all is well again.
    pub last_error: Option<Failure>,
}

impl Status {
    pub(super) fn new(sink: Arc<str>, required: bool) -> Self {
        Self {
            sink,
            required,
            state: State::Starting,
            breaker: Circuit::Closed,
            offset: 0,
            lag_events: 0,
            lag_seconds: 0.0,
            delivered: 0,
            dead_lettered: 0,
            failures: 0,
            failed: 0,
            retry_at: None,
            last_error: None,
        }
    }
}

/// How the deliveries of a store fare while none runs: what their cursors tell.
pub fn at_rest(store: &Store) -> Result<Vec<Status>, store::Error> {
    let cursors = cursor::all(store)?.into_iter();
    let status = |sink: cursor::Known| Status {
        state: State::Stopped,
        offset: sink.offset,
        ..Status::new(sink.name.into(), sink.required)
    };
    cursors.map(|cursor| with_lag(store, status(cursor))).collect()
}

fn with_lag(store: &Store, mut status: Status) -> Result<Status, store::Error> {
    status.lag_events = store.range().end.saturating_sub(status.offset);
    if status.lag_events > 0 {
        let oldest = store.log(status.offset, Limit::events(1))?;
        let age = oldest
            .first()
            .map_or(0, |logged| Timestamp::now().as_millis().saturating_sub(logged.event.observed.as_millis()));
        status.lag_seconds = age.max(0) as f64 / 1000.0;
    }
    Ok(status)
}

/// A handle to a running delivery; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) store: Store,
    pub(super) status: watch::Receiver<Status>,
    pub(super) nudge: Arc<Notify>,
    /// Where a reset is left; `None` for a sink that has none.
    pub(super) resets: Option<Resets>,
}

impl Handle {
    /// How it fares now, with its lag.
    pub fn status(&self) -> Result<Status, store::Error> {
        let status = self.status.borrow().clone();
        with_lag(&self.store, status)
    }

    /// Wakes at each change; the lag in there is not kept up, [`Handle::status`] works it out.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Tells the delivery that a retry was asked for, so that it looks at once.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
}
