//! Follows the log from some place on: what is there, then what comes.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::event::{Logged, Offset};
use crate::store::{Error, Query, Store};

/// How many events one read brings.
const PAGE: usize = 256;

/// A follower of the log. It reads the store by itself, so that a slow one holds up nobody, and it has one
/// page in memory at most.
pub struct Follower {
    store: Store,
    query: Query,
    durable: watch::Receiver<Offset>,
    page: VecDeque<Logged>,
}

impl Follower {
    /// Follows what the query chooses, oldest first, from behind its `after`.
    pub fn new(store: Store, query: Query) -> Self {
        let durable = store.durable();
        let query = Query { newest_first: false, limit: PAGE, ..query };
        Self { store, query, durable, page: VecDeque::new() }
    }

    /// The next event, once it is durable. `None`: the store is closed. After an error it may be called again
    /// and goes on where it was. Safe to drop at any await.
    pub async fn next(&mut self) -> Result<Option<Logged>, Error> {
        loop {
            if let Some(logged) = self.page.pop_front() {
                return Ok(Some(logged));
            }
            if !self.read()? && self.durable.changed().await.is_err() {
                return Ok(None);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads a page; says whether there may be more to read at once.
    fn read(&mut self) -> Result<bool, Error> {
        let end = *self.durable.borrow_and_update();
        let page = self.store.query(&self.query)?;
        let last = page.events.last().map(|logged| logged.offset);
        let more = page.next.is_some() || last.is_some();
        // Without a next page, all that was durable before the query has been looked at.
        let reached = page.next.or(last.max(end.checked_sub(1)));
        self.query.after = self.query.after.max(reached);
        self.page = page.events.into();
        Ok(more)
    }
}
