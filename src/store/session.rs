//! A stand-in until the store's own part is there.

use serde::Serialize;

use super::{Error, Limit, Status, Store};
use crate::event::{Data, StreamId, Timestamp, Trace};

/// A session as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: StreamId,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Its status.
    pub status: Status,
    /// Its last seq.
    pub events: u64,
    /// Its trace.
    pub trace: Option<Trace>,
    /// The data of its `session_started`.
    pub metadata: Data,
}

impl SessionInfo {
    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.end.is_some()
    }
}

/// Chooses sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// With one of these statuses.
    pub statuses: Vec<Status>,
    /// That began then or later.
    pub since: Option<Timestamp>,
    /// That began before.
    pub until: Option<Timestamp>,
    /// With that in their command.
    pub command: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// So many a page.
    pub limit: usize,
}

/// Some sessions, newest first.
#[derive(Debug, Clone, Default)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl Store {
    /// What is known of a session.
    pub fn session(&self, id: &StreamId) -> Result<Option<SessionInfo>, Error> {
        let Some(first) = self.stream(id, 1, Limit::events(1))?.into_iter().next() else { return Ok(None) };
        let last = self.stream_back(id, u64::MAX, Limit::events(1))?.into_iter().next();
        let event = first.event;
        Ok(Some(SessionInfo {
            id: id.clone(),
            start: event.ts,
            end: None,
            status: Status::Active,
            events: last.map_or(1, |last| last.event.seq),
            trace: event.trace,
            metadata: event.data,
        }))
    }

    /// Sessions, newest first.
    pub fn sessions(&self, _query: &SessionQuery) -> Result<SessionPage, Error> {
        Ok(SessionPage::default())
    }
}
