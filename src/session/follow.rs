//! Follows one session: what is stored of it, then what comes, by seq.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::tail::Tail;
use crate::event::session::kind::SESSION_ENDED;
use crate::event::{Logged, MAX_EVENT_BYTES, Offset, StreamId};
use crate::store::{Error, Limit, Status, Store};

/// How much one read brings.
const PAGE: Limit = Limit { events: 256, bytes: 1 << 20 };

/// A follower of one session, from some seq on, without a gap or a double.
///
/// It reads the store by itself, at its own pace, so that a slow one holds up neither the writer nor the others,
/// and it has one page in memory at most. When the log moves, [`Tail`] tells whether there is anything to read.
pub struct Follow {
    tail: Tail,
    id: StreamId,
    next: u64,
    durable: watch::Receiver<Offset>,
    page: VecDeque<Logged>,
    /// Everything before this offset was read; nothing where there may be more to read at once.
    read: Option<Offset>,
    /// Whether the session was there at some time.
    begun: bool,
    ended: bool,
}

impl Follow {
    /// Follows a session on its own; many followers of a store have a [`Tail`] in common.
    pub fn new(store: Store, id: StreamId, from_seq: u64) -> Self {
        Tail::new(store).follow(id, from_seq)
    }

    pub(super) fn on(tail: Tail, id: StreamId, from_seq: u64) -> Self {
        let durable = tail.store.durable();
        let (page, next) = (VecDeque::new(), from_seq.max(1));
        Self { tail, id, next, durable, page, read: None, begun: false, ended: false }
    }

    /// The next event, once it is durable. `None`: there will be no more, as the session has ended before that seq
    /// or was pruned meanwhile.
    ///
    /// Safe to drop at any await. After an error it may be called again and goes on where it was.
    pub async fn next(&mut self) -> Result<Option<Logged>, Error> {
        loop {
            let found = self.try_next()?;
            if found.is_some() || self.ended || self.durable.changed().await.is_err() {
                return Ok(found);
            }
        }
    }

    /// The next event where it is durable now.
    pub fn try_next(&mut self) -> Result<Option<Logged>, Error> {
        if self.page.is_empty() && !self.ended {
            self.look()?;
        }
        let Some(logged) = self.page.pop_front() else { return Ok(None) };
        self.next = logged.event.seq + 1;
        self.ended = logged.event.kind.as_str() == SESSION_ENDED;
        Ok(Some(logged))
    }

    /// Whether there will be no more events.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn look(&mut self) -> Result<(), Error> {
        // Before anything is read: what becomes durable behind it wakes this one again.
        let end = *self.durable.borrow_and_update();
        if let Some(read) = self.read
            && !self.tail.has_moved(&self.id, read, end)?
        {
            return Ok(());
        }
        let page = self.tail.store.stream(&self.id, self.next, PAGE)?;
        match page.first() {
            // Pruning takes a session from its beginning on.
            Some(first) => {
                self.begun = true;
                self.ended = first.event.seq > self.next;
            }
            None => self.ended = self.is_over()?,
        }
        let bytes: usize = page.iter().map(|logged| logged.event.data.get().len()).sum();
        let whole = page.len() < PAGE.events && bytes + MAX_EVENT_BYTES <= PAGE.bytes;
        self.read = whole.then_some(end);
        if !self.ended {
            self.page = page.into();
        }
        Ok(())
    }

    /// Whether a session of which there is nothing to read has ended or is not there any more.
    fn is_over(&mut self) -> Result<bool, Error> {
        let Some(head) = self.tail.store.head(&self.id)? else { return Ok(self.begun) };
        self.begun = true;
        let ended = matches!(head.status, Status::Completed | Status::Failed) && head.next_seq <= self.next;
        Ok(ended || head.first_seq > self.next)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.tail.leave(&self.id);
    }
}
