//! The bus: what has been sent and is not written yet, with a limit.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};

use super::pruning::Asked;
use super::{Error, Tally};
use crate::event::Invalid;
use crate::store::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Pruned, Receipt, Submission};

/// The most events that wait on the bus.
pub const MAX_BUS_EVENTS: usize = 8192;
/// The most bytes that wait on the bus.
pub const MAX_BUS_BYTES: usize = 32 << 20;
/// The most requests to prune that wait.
const MAX_ASKED: usize = 64;

pub(super) type Reply = Result<Vec<Receipt>, Error>;

/// A submission on its way, with who waits for its answer.
pub(super) struct Item {
    pub(super) submission: Submission,
    pub(super) answer: Answer,
    /// Its events; one without any counts as one, so that those have a limit too.
    events: usize,
    bytes: usize,
}

/// Who is told what became of a submission.
pub(super) enum Answer {
    /// Who waits for it.
    One(oneshot::Sender<Reply>),
    /// The same, where it must not overtake those of its order.
    InOrder(oneshot::Sender<Reply>, Order),
    /// An account, with the submission's index there.
    Tally(Arc<Tally>, u64),
}

/// Submissions of one sender that must not overtake each other: once one of them has to be sent again, those
/// behind it have to be too, and none of them is stored.
#[derive(Debug, Clone, Default)]
pub struct Order(Arc<OnceLock<Error>>);

impl Answer {
    pub(super) fn give(self, reply: Reply) {
        // Whoever does not wait any more need not be told.
        match self {
            Self::One(waiting) => drop(waiting.send(reply)),
            Self::InOrder(waiting, order) => {
                if let Some(error) = reply.as_ref().err().filter(|error| error.is_retryable()) {
                    order.0.get_or_init(|| error.clone());
                }
                drop(waiting.send(reply));
            }
            Self::Tally(tally, index) => tally.tell(index, reply),
        }
    }

    /// Why nothing of its order is taken any more.
    pub(super) fn behind(&self) -> Option<&Error> {
        match self {
            Self::InOrder(_, order) => order.0.get(),
            Self::One(_) | Self::Tally(..) => None,
        }
    }
}

struct Queue {
    items: VecDeque<Item>,
    events: usize,
    bytes: usize,
    closed: bool,
    /// Whether the writer waits to be woken: only then it is, as that costs a system call.
    parked: bool,
    /// Set to wake the writer for another reason than a submission.
    nudged: bool,
    /// Who asks for sessions to be pruned.
    asked: Vec<Asked>,
}

impl Default for Queue {
    fn default() -> Self {
        // All of its room at once, so that nobody who sends pays for its growth.
        let items = VecDeque::with_capacity(MAX_BUS_EVENTS);
        Self { items, events: 0, bytes: 0, closed: false, parked: false, nudged: false, asked: Vec::new() }
    }
}

#[derive(Default)]
pub(super) struct Bus {
    queue: Mutex<Queue>,
    work: Condvar,
    room: Arc<Notify>,
}

/// What the writer is woken with.
pub(super) enum Taken {
    /// Submissions for one commit.
    Batch(Vec<Item>),
    /// Nothing came in the time given, or there is something else to look at.
    Nothing,
    /// The bus is closed and empty.
    Closed,
}

impl Bus {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a submission on the bus, and leaves an empty one in its place; with no room it stays there.
    pub(super) fn push(&self, submission: &mut Submission) -> Result<oneshot::Receiver<Reply>, Error> {
        let (reply, answer) = oneshot::channel();
        self.put(submission, || (Answer::One(reply), answer))
    }

    /// The same, in an order.
    pub(super) fn push_in_order(
        &self,
        submission: &mut Submission,
        order: &Order,
    ) -> Result<oneshot::Receiver<Reply>, Error> {
        let (reply, answer) = oneshot::channel();
        self.put(submission, || (Answer::InOrder(reply, order.clone()), answer))
    }

    /// The same, with the answer into an account; answers its index there.
    pub(super) fn post(&self, submission: &mut Submission, tally: &Arc<Tally>) -> Result<u64, Error> {
        self.put(submission, || {
            let index = tally.next();
            (Answer::Tally(tally.clone(), index), index)
        })
    }

    fn put<T>(&self, submission: &mut Submission, answer: impl FnOnce() -> (Answer, T)) -> Result<T, Error> {
        let bytes = check_size(submission)?;
        let events = submission.drafts.len().max(1);
        let mut queue = self.queue();
        if queue.closed {
            return Err(Error::Closed);
        }
        if queue.events + events > MAX_BUS_EVENTS || queue.bytes + bytes > MAX_BUS_BYTES {
            return Err(Error::Full);
        }
        let (answer, told) = answer();
        queue.items.push_back(Item { submission: std::mem::take(submission), answer, events, bytes });
        queue.events += events;
        queue.bytes += bytes;
        let parked = std::mem::take(&mut queue.parked);
        drop(queue);
        if parked {
            self.work.notify_one();
        }
        Ok(told)
    }

    /// Resolves when room may have become; counts from the moment that it was made.
    pub(super) fn room(&self) -> OwnedNotified {
        self.room.clone().notified_owned()
    }

    /// Takes what fits into one commit, and waits for it at most so long.
    pub(super) fn take(&self, wait: Duration) -> Taken {
        let mut queue = self.queue();
        while queue.items.is_empty() {
            if queue.closed {
                return Taken::Closed;
            }
            if std::mem::take(&mut queue.nudged) {
                return Taken::Nothing;
            }
            queue.parked = true;
            let (woken, timeout) = self.work.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.parked = false;
            if timeout.timed_out() && queue.items.is_empty() && !queue.closed {
                return Taken::Nothing;
            }
        }
        let batch = queue.take_batch();
        drop(queue);
        self.room.notify_waiters();
        Taken::Batch(batch)
    }

    /// Asks the writer to prune; it answers when that is done.
    pub(super) fn ask_to_prune(&self) -> Result<oneshot::Receiver<Pruned>, Error> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(Error::Closed);
        }
        if queue.asked.len() >= MAX_ASKED {
            return Err(Error::Full);
        }
        let (asked, answer) = oneshot::channel();
        queue.asked.push(asked);
        queue.nudged = true;
        drop(queue);
        self.work.notify_one();
        Ok(answer)
    }

    /// Who asks for sessions to be pruned.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.queue().asked)
    }

    /// The events that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue().events
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().items.is_empty()
    }

    /// Wakes the writer.
    pub(super) fn nudge(&self) {
        self.queue().nudged = true;
        self.work.notify_one();
    }

    /// Takes no more; what is there is still written.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Takes no more and drops what is there, so that nobody waits for an answer for ever.
    pub(super) fn abandon(&self) {
        self.close();
        let mut queue = self.queue();
        queue.items.clear();
        queue.asked.clear();
    }
}

/// The bytes of a submission, where one commit can hold it.
fn check_size(submission: &Submission) -> Result<usize, Error> {
    let (events, bytes) = (submission.drafts.len(), submission.size());
    let too_large = |most: usize, unit: &str, these: usize| {
        let expected = format!("at most {most} {unit} in one commit, these are {these}");
        Err(Error::TooLarge(Invalid::new("events", "", expected)))
    };
    match () {
        () if events > MAX_BATCH_EVENTS => too_large(MAX_BATCH_EVENTS, "events", events),
        () if bytes > MAX_BATCH_BYTES => too_large(MAX_BATCH_BYTES, "bytes", bytes),
        () => Ok(bytes),
    }
}

impl Queue {
    fn take_batch(&mut self) -> Vec<Item> {
        let (mut batch, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = self.items.front() {
            let fits = events + next.events <= MAX_BATCH_EVENTS && bytes + next.bytes <= MAX_BATCH_BYTES;
            if !fits && !batch.is_empty() {
                break;
            }
            let Some(item) = self.items.pop_front() else { break };
            events += item.events;
            bytes += item.bytes;
            batch.push(item);
        }
        self.events -= events;
        self.bytes -= bytes;
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_without_events_have_a_limit_too() {
        let bus = Bus::default();
        let full = (0..=MAX_BUS_EVENTS).find(|_| bus.push(&mut Submission::default()).is_err());
        assert_eq!(full, Some(MAX_BUS_EVENTS));
    }
}
