//! Follows one session: what is stored of it, then what comes, by seq.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::event::session::kind::SESSION_ENDED;
use crate::event::{Logged, Offset, StreamId};
use crate::store::{Error, Limit, Status, Store, StreamInfo};

/// How much one read brings.
const PAGE: Limit = Limit { events: 256, bytes: 1 << 20 };

/// A follower of one session, from some seq on, without a gap or a double.
///
/// It reads the store by itself, at its own pace, so that a slow one holds up neither the writer nor the others,
/// and it has one page in memory at most. When the log moves it looks at the session's head first, which is one
/// step in the store, and reads only where that has moved: hundreds may follow sessions at rest beside busy ones.
pub struct Follow {
    store: Store,
    id: StreamId,
    next: u64,
    durable: watch::Receiver<Offset>,
    page: VecDeque<Logged>,
    ended: bool,
}

impl Follow {
    /// Follows from that seq on; one that does not exist yet is waited for.
    pub fn new(store: Store, id: StreamId, from_seq: u64) -> Self {
        let durable = store.durable();
        Self { store, id, next: from_seq.max(1), durable, page: VecDeque::new(), ended: false }
    }

    /// The next event, once it is durable. `None`: there will be no more, as the session has ended before that seq
    /// or was pruned meanwhile.
    ///
    /// Safe to drop at any await. After an error it may be called again and goes on where it was.
    pub async fn next(&mut self) -> Result<Option<Logged>, Error> {
        loop {
            // Before the look: what becomes durable behind it wakes this one again.
            self.durable.borrow_and_update();
            let found = self.try_next()?;
            if found.is_some() || self.ended || self.durable.changed().await.is_err() {
                return Ok(found);
            }
        }
    }

    /// The next event where it is durable now.
    pub fn try_next(&mut self) -> Result<Option<Logged>, Error> {
        if self.page.is_empty() && !self.ended {
            self.read()?;
        }
        let Some(logged) = self.page.pop_front() else { return Ok(None) };
        self.next = logged.event.seq + 1;
        self.ended = is_end(&logged);
        Ok(Some(logged))
    }

    /// Whether there will be no more events.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn read(&mut self) -> Result<(), Error> {
        match self.store.head(&self.id)? {
            Some(head) if head.next_seq > self.next => {
                self.page = self.store.stream(&self.id, self.next, PAGE)?.into();
            }
            Some(head) => self.ended = self.is_over(&head)?,
            None => self.ended = self.next > 1,
        }
        Ok(())
    }

    /// Whether a session of which there is nothing to read has ended.
    fn is_over(&self, head: &StreamInfo) -> Result<bool, Error> {
        if !matches!(head.status, Status::Completed | Status::Failed) {
            return Ok(false);
        }
        let last = self.store.stream_back(&self.id, head.next_seq, Limit::events(1))?;
        Ok(last.iter().any(is_end))
    }
}

fn is_end(logged: &Logged) -> bool {
    logged.event.kind.as_str() == SESSION_ENDED
}
