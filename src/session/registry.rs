//! Who writes to which active session, and when a remote writer was last heard of.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::is_running;
use crate::event::StreamId;
use crate::store::{self, SessionQuery, Status, Store, Tree, Write};

/// So many records are read at a time.
const PAGE: usize = 1000;

/// Who writes to a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Held {
    /// A [`super::Session`] of this process.
    Local,
    /// Somebody elsewhere, last heard of then.
    Remote(Instant),
    /// A writer in a process, which is gone: the session is to be interrupted.
    Gone,
}

impl Held {
    /// By somebody elsewhere, heard of just now.
    pub(super) fn remote() -> Self {
        Self::Remote(Instant::now())
    }
}

/// The active sessions.
#[derive(Default)]
pub(super) struct Registry(Mutex<HashMap<StreamId, Held>>);

impl Registry {
    /// Those of a store that was just opened: no process writes to it, so all writers in one are gone.
    pub(super) fn load(store: &Store) -> Result<Self, store::Error> {
        let mut held = HashMap::new();
        let statuses = vec![Status::Active, Status::Failed];
        let mut query = SessionQuery { statuses, limit: PAGE, ..SessionQuery::default() };
        loop {
            let page = store.sessions(&query)?;
            let running = page.sessions.into_iter().filter(is_running);
            held.extend(running.map(|session| (session.id, Held::remote())));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        for page in store.pages(Tree::Writers, "") {
            let page = page?;
            let ids = page.iter().filter_map(|(key, _)| StreamId::new(key).ok());
            held.extend(ids.map(|id| (id, Held::Gone)));
        }
        Ok(Self(Mutex::new(held)))
    }

    fn map(&self) -> MutexGuard<'_, HashMap<StreamId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self, id: &StreamId) -> Option<Held> {
        self.map().get(id).copied()
    }

    pub(super) fn is_local(&self, id: &StreamId) -> bool {
        self.held(id) == Some(Held::Local)
    }

    /// Notes who writes to a session, where nobody is known to.
    pub(super) fn hold(&self, id: &StreamId, held: Held) {
        self.map().entry(id.clone()).or_insert(held);
    }

    /// A remote writer was heard of; whether its session is known to be active.
    pub(super) fn refresh(&self, id: &StreamId) -> bool {
        match self.map().get_mut(id) {
            Some(Held::Remote(last)) => {
                *last = Instant::now();
                true
            }
            held => held.is_some(),
        }
    }

    /// Somebody elsewhere writes to a session, where nobody else is known to; heard of just now.
    pub(super) fn touch(&self, id: &StreamId) {
        if !self.refresh(id) {
            self.hold(id, Held::remote());
        }
    }

    /// It is not active any more.
    pub(super) fn release(&self, id: &StreamId) {
        self.map().remove(id);
    }

    /// Takes a session for a writer in this process; `false` where it has one.
    pub(super) fn claim(&self, id: &StreamId) -> bool {
        self.map().insert(id.clone(), Held::Local) != Some(Held::Local)
    }

    /// The writer in this process is gone.
    pub(super) fn lose(&self, id: &StreamId) {
        if let Some(held) = self.map().get_mut(id).filter(|held| **held == Held::Local) {
            *held = Held::Gone;
        }
    }

    /// All of them.
    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.map().keys().cloned().collect()
    }

    /// The sessions whose writer in a process is gone.
    pub(super) fn gone(&self) -> Vec<StreamId> {
        let map = self.map();
        map.iter().filter(|(_, held)| **held == Held::Gone).map(|(id, _)| id.clone()).collect()
    }

    /// The sessions of which nothing was heard for so long, each with when it was heard of.
    pub(super) fn silent(&self, idle: Duration) -> Vec<(StreamId, Instant)> {
        let silent = |(id, held): (&StreamId, &Held)| match held {
            Held::Remote(last) if last.elapsed() >= idle => Some((id.clone(), *last)),
            _ => None,
        };
        self.map().iter().filter_map(silent).collect()
    }

    /// Lets go of a session that was interrupted, unless it was heard of since.
    pub(super) fn interrupted(&self, id: &StreamId, was: Held) {
        let mut map = self.map();
        if map.get(id) == Some(&was) {
            map.remove(id);
        }
    }
}

/// The write that says, or says no longer, that a process writes to a session.
pub(super) fn writer(id: &StreamId, record: Option<Vec<u8>>) -> Write {
    Write { tree: Tree::Writers, key: id.as_str().to_owned(), value: record }
}
