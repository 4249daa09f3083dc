//! A sink: one destination of events, speaking one protocol.
//!
//! A sink never sees the store. The one loop in `deliver` reads the log, calls the sink, keeps the cursor,
//! and does all waiting, retrying and giving up; a sink only says what happened.

pub mod elasticsearch;
pub mod jetstream;
pub mod otlp;

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use crate::event::{Event, Logged, Offset};

/// The most text, in bytes, that a dead letter keeps of what was sent: 256 KiB.
pub const MAX_SENT: usize = 256 * 1024;

/// How far a destination has confirmed, and what the sink itself needs to take up from there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cursor {
    /// The first event that is not confirmed yet.
    pub offset: Offset,
    /// The sink's own mark, saved with the cursor; at most 4 KiB as JSON. Null at first.
    pub mark: Value,
}

/// Why a destination did not take what it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// May go well later: the loop backs off and tries again.
    #[error("{0}")]
    Retryable(String),
    /// The destination said when to come back.
    #[error("{message} (again in {} ms)", after.as_millis())]
    Throttled {
        /// What it said.
        message: String,
        /// When to come back.
        after: Duration,
    },
    /// Will not go well until a person changes something (a wrong password, a missing permission). The loop
    /// goes on trying, slowly, and says so.
    #[error("{0}")]
    Misconfigured(String),
}

/// An event that the destination will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch.
    pub index: usize,
    /// What the destination said.
    pub reason: String,
    /// What was sent, where that cannot be made again from the event alone; at most [`MAX_SENT`], kept in the dead
    /// letter and given back by [`Sink::send_again`].
    pub sent: Option<String>,
}

/// A dead letter that a person wants to be sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The event.
    pub logged: Logged,
    /// What was sent, as in [`Refused::sent`].
    pub sent: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sent {
    /// So many events from the start of the batch have their fate: confirmed, or in `refused`.
    pub settled: usize,
    /// Those among the settled ones that were refused for good.
    pub refused: Vec<Refused>,
    /// The mark that stands for the last settled event.
    pub mark: Value,
    /// Why not all of the batch was settled. None with some settled means that the time was up: the loop goes
    /// on with the rest at once.
    pub error: Option<Error>,
}

/// One destination.
///
/// **Concurrency**: the loop owns the sink and makes one call at a time; a sink may have many requests in
/// flight inside a call, and settles them in order. **Time**: every call must end by itself within 30 s,
/// whatever the destination does; the loop drops it after 60 s, so a call must be safe to drop at any await.
/// **Idempotence**: a batch may come again after a crash or an error, so events carry the same id each time
/// and a sink makes the destination count them once as far as that can tell.
/// **Errors**: the sink classifies, the loop waits and retries; a sink never sleeps and retries itself.
pub trait Sink: Send + 'static {
    /// Whether the event goes there at all. Pure, and the same at every call.
    fn wants(&self, event: &Event) -> bool;

    /// Called before the first batch and after each error: connects, looks at what is there, and answers
    /// where to go on. That is `at`, or before it where the destination has lost what it had confirmed.
    fn resume(&mut self, at: &Cursor) -> impl Future<Output = Result<Cursor, Error>> + Send;

    /// Delivers events in order. `batch` has 1 to 4,096 events, at most 8 MiB, all of them wanted.
    fn send(&mut self, batch: &[Logged]) -> impl Future<Output = Sent> + Send;

    /// Sends dead letters again, 1 to 32 of them; their events may be older than the cursor.
    fn send_again(&mut self, letters: &[Again]) -> impl Future<Output = Sent> + Send {
        let batch: Vec<Logged> = letters.iter().map(|letter| letter.logged.clone()).collect();
        async move { self.send(&batch).await }
    }

    /// What the sink has to remember of the events before its cursor; nothing for most.
    fn memory(&mut self) -> Option<&mut dyn Memory> {
        None
    }
}

/// A fold over the events that a sink wants, which is saved with its cursor.
///
/// The loop restores it, lets it take in what lies between its place and the cursor, and saves what changed
/// while the sink has settled all that it was given. [`Sink::send`] folds each event once, in the order of the
/// log: what comes again after an error was folded already, and the sink keeps what it made of it until it is
/// settled.
pub trait Memory: Send {
    /// Back to the start of the log: everything is forgotten.
    fn clear(&mut self);

    /// Takes one saved record; an error where another version made it, on which the loop clears and takes
    /// everything in again.
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String>;

    /// Takes in an event that was delivered before.
    fn replay(&mut self, logged: &Logged);

    /// The records that have changed since the last call, `None` for one that is gone. Keys: 1 to 200 bytes
    /// without a zero byte; values: at most 1 MiB.
    fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)>;
}
