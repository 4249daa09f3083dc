//! Ingest: the one way into the store.
//!
//! Senders put submissions on a bounded bus; one thread assigns each event its place and applies batches of
//! them, a second one makes what was applied durable, and only then is a sender answered. While the second
//! syncs one batch the first applies the next, so the busier it is the larger the batches.

mod bus;
mod ingestor;
mod late;
mod meter;
mod outage;
mod pruning;
mod tally;
mod writing;

use std::sync::Arc;

use crate::event::{Draft, Invalid};
use crate::store::{self, Pruned, Receipt, Refused, Submission};

pub use bus::{MAX_BUS_BYTES, MAX_BUS_EVENTS, Order};
pub use ingestor::Ingestor;
pub use meter::{Commit, Reason};
pub use tally::{Account, MAX_TOLD, Missed, Tally};

use bus::{Bus, Reply};
use late::Late;
use meter::Meter;

/// Why a submission was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bus is full: try later.
    #[error("ingest is busy: try later")]
    Full,
    /// The disk is full, or the store's budget is used up: try later.
    #[error("no room: {0}; try later")]
    NoRoom(String),
    /// The store is being opened again after an I/O error: try later.
    #[error("the store is recovering: {0}; try later")]
    Recovering(String),
    /// It may be stored or not: send it again with the same id.
    #[error("it is unknown whether it was stored: {0}; send it again with the same id")]
    Unknown(String),
    /// Something is wrong with it, and nothing of it is stored.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is larger than one commit may be.
    #[error(transparent)]
    TooLarge(Invalid),
    /// Ingest has stopped.
    #[error("ingest has stopped")]
    Closed,
}

impl Error {
    /// Whether the same submission may go well later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full | Self::NoRoom(_) | Self::Recovering(_) | Self::Unknown(_))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoRoom(reason) => Self::NoRoom(reason),
            store::Error::Recovering(reason) => Self::Recovering(reason),
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// A handle to ingest; cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    bus: Arc<Bus>,
    late: Late,
    meter: Arc<Meter>,
}

/// The answer that a submission will get once it is durable.
#[derive(Debug)]
pub struct Pending(tokio::sync::oneshot::Receiver<Reply>);

impl Pending {
    /// Waits for the answer.
    pub async fn wait(self) -> Reply {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

impl Ingest {
    /// Puts a submission on the bus, or says at once that it is full.
    pub fn try_submit(&self, mut submission: Submission) -> Result<Pending, Error> {
        self.counted(self.bus.push(&mut submission).map(Pending))
    }

    /// Waits for room on the bus, and no longer; the answer is still to come.
    pub async fn send(&self, submission: Submission) -> Result<Pending, Error> {
        self.when_room(submission, |submission| self.bus.push(submission).map(Pending)).await
    }

    /// The same, for submissions of which none may be stored once one before it has to be sent again.
    pub async fn send_in_order(&self, submission: Submission, order: &Order) -> Result<Pending, Error> {
        self.when_room(submission, |submission| self.bus.push_in_order(submission, order).map(Pending)).await
    }

    /// Waits for room on the bus, then for durability. The receipts are in the order of the drafts.
    ///
    /// Dropped while it waits for durability, the submission is stored all the same.
    pub async fn submit(&self, submission: Submission) -> Result<Vec<Receipt>, Error> {
        self.send(submission).await?.wait().await
    }

    /// Puts an event on the bus, and its answer into an account; or says at once that the bus is full. Answers
    /// which one it is by that account.
    pub fn try_post(&self, draft: Draft, tally: &Arc<Tally>) -> Result<u64, Error> {
        self.counted(self.bus.post(&mut Submission::events(vec![draft]), tally))
    }

    /// The same; waits for room on the bus.
    pub async fn post(&self, draft: Draft, tally: &Arc<Tally>) -> Result<u64, Error> {
        self.when_room(Submission::events(vec![draft]), |submission| self.bus.post(submission, tally)).await
    }

    /// How many events came after their session had ended, since it was started. Each is kept as a dead letter, the
    /// first 10,000 at least.
    pub fn late(&self) -> u64 {
        self.late.count()
    }

    async fn when_room<T>(
        &self,
        mut submission: Submission,
        put: impl Fn(&mut Submission) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let room = self.bus.room();
            match put(&mut submission) {
                Err(Error::Full) => room.await,
                done => return self.counted(done),
            }
        }
    }

    fn counted<T>(&self, put: Result<T, Error>) -> Result<T, Error> {
        put.inspect_err(|error| self.meter.refused(error))
    }

    /// How many events wait on the bus, at most [`MAX_BUS_EVENTS`].
    pub fn waiting(&self) -> usize {
        self.bus.waiting()
    }

    /// How many events became durable since ingest was started.
    pub fn committed(&self) -> u64 {
        self.meter.committed()
    }

    /// How many submissions were refused since ingest was started, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.meter.refusals()
    }

    /// Tells each commit to `watcher`, on a thread of ingest that waits for it: it has to be short. There is one
    /// watcher; where there is one already, it stays.
    pub fn watch_commits(&self, watcher: impl Fn(Commit) + Send + Sync + 'static) {
        self.meter.watch(Box::new(watcher));
    }

    /// Prunes the sessions that may go now (`Store::prunable`), and waits until they are gone.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn prune(&self) -> Result<Pruned, Error> {
        self.bus.ask_to_prune()?.await.map_err(|_| Error::Closed)
    }

    /// Waits until everything that was put on the bus before is durable.
    pub async fn flush(&self) -> Result<(), Error> {
        self.submit(Submission::default()).await.map(|_| ())
    }
}
