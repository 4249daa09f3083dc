//! The end of the log, looked at once for all who follow sessions of a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::follow::Follow;
use crate::event::{Offset, StreamId};
use crate::store::{Error, Store};

/// What lies further behind than this is not looked at: everybody reads then.
const FAR: u64 = 16_384;

/// Tells followers whether the log has anything for them.
///
/// A log that moves 600 times a second would otherwise have each of a hundred followers look into the store as
/// often, mostly in vain. It keeps one number for each session that is followed.
#[derive(Clone)]
pub struct Tail {
    pub(super) store: Store,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// How far the log was looked at.
    end: Offset,
    sessions: HashMap<StreamId, Followed>,
}

/// A session that is followed.
struct Followed {
    followers: usize,
    /// The offset behind the last of its events that was seen since it is followed.
    end: Offset,
}

impl Tail {
    /// Of that store.
    pub fn new(store: Store) -> Self {
        Self { store, seen: Arc::default() }
    }

    /// Follows a session from that seq on; one that does not exist yet is waited for.
    pub fn follow(&self, id: StreamId, from_seq: u64) -> Follow {
        let mut seen = self.seen();
        if seen.sessions.is_empty() {
            seen.end = self.store.range().end;
        }
        seen.sessions.entry(id.clone()).or_insert(Followed { followers: 0, end: 0 }).followers += 1;
        drop(seen);
        Follow::on(self.clone(), id, from_seq)
    }

    /// Whether a session has events at that offset or behind it, and before `end`, up to which all is durable.
    pub(super) fn has_moved(&self, id: &StreamId, from: Offset, end: Offset) -> Result<bool, Error> {
        let mut seen = self.seen();
        seen.look(&self.store, end)?;
        Ok(seen.sessions.get(id).is_none_or(|session| session.end > from))
    }

    /// One follower of a session has gone.
    pub(super) fn leave(&self, id: &StreamId) {
        let mut seen = self.seen();
        let left = seen.sessions.get_mut(id).map(|session| {
            session.followers -= 1;
            session.followers
        });
        if left == Some(0) {
            seen.sessions.remove(id);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn look(&mut self, store: &Store, end: Offset) -> Result<(), Error> {
        if end <= self.end {
            return Ok(());
        }
        if end - self.end > FAR {
            self.sessions.values_mut().for_each(|session| session.end = end);
        } else {
            store.visit_spans(self.end, |id, behind| {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.end = behind;
                }
                behind < end
            })?;
        }
        self.end = end;
        Ok(())
    }
}
