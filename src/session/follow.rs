//! Follows one session: what is stored of it, then what comes, by seq.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::event::session::kind::SESSION_ENDED;
use crate::event::{Logged, Offset, StreamId};
use crate::store::{Error, Limit, Status, Store};

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
        self.ended = logged.event.kind.as_str() == SESSION_ENDED;
        Ok(Some(logged))
    }

    /// Whether there will be no more events.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn read(&mut self) -> Result<(), Error> {
        let Some(head) = self.store.head(&self.id)? else {
            // Pruned, or not begun.
            self.ended = self.next > 1;
            return Ok(());
        };
        if head.next_seq <= self.next {
            self.ended = matches!(head.status, Status::Completed | Status::Failed);
            return Ok(());
        }
        let page = self.store.stream(&self.id, self.next, PAGE)?;
        // Pruning takes a session from its beginning on.
        let pruned = head.first_seq > self.next || page.first().is_some_and(|first| first.event.seq > self.next);
        match pruned {
            true => self.ended = true,
            false => self.page = page.into(),
        }
        Ok(())
    }
}
