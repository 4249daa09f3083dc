//! Reading sessions, from the daemon or from the store.

use reqwest::{Method, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::{Client, Error, Failed, Follow, Followed, Reader, linked};
use crate::api::events::Row;
use crate::api::sessions::{find, list, present};
use crate::event::{Logged, StreamId};
use crate::session::follow;
use crate::session::replay::replay;
use crate::state::session::{Rates, View, rates};
use crate::store::{Limit, SessionInfo, SessionPage, SessionQuery, Store};

/// A session with its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The session as a whole.
    pub session: SessionInfo,
    /// What its events add up to.
    pub state: View,
    /// How fast it goes.
    pub rates: Rates,
}

impl Client {
    /// A page of sessions, the newest first.
    pub async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, Error> {
        let response = self.ask(Method::GET, &format!("/api/sessions?{}", list::to_query(query))).await?;
        let link = response.headers().get(header::LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| linked(link, "after"));
        Ok(SessionPage { sessions: self.read(response).await?, next })
    }

    /// One session with its state, up to a seq where one is given. `wanted` is its id, the beginning of it where
    /// that is unique, or `latest`.
    pub async fn session(&self, wanted: &str, until_seq: Option<u64>) -> Result<Shown, Error> {
        let until = until_seq.map(|seq| format!("?until_seq={seq}")).unwrap_or_default();
        self.get(&format!("/api/sessions/{wanted}{until}")).await
    }

    /// The events of a session from a seq on, at most `limit`.
    pub async fn session_events(&self, id: &StreamId, from_seq: u64, limit: usize) -> Result<Vec<Row>, Error> {
        let path = format!("/api/sessions/{id}/events?from_seq={from_seq}&limit={limit}");
        let rows: Vec<Box<RawValue>> = self.get(&path).await?;
        rows.iter().map(|row| self.row(row.get())).collect()
    }

    /// Follows a session from a seq on; goes on by itself when the daemon was away.
    pub fn follow_session(&self, id: &StreamId, from_seq: u64) -> Follow {
        Follow::new(self.clone(), format!("/api/sessions/{id}/events?from_seq={from_seq}"))
    }
}

impl Reader {
    /// A page of sessions, the newest first.
    pub async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.sessions(query).await?),
            Self::Store { store, .. } => Ok(store.sessions(query)?),
        }
    }

    /// One session with its state, as [`Client::session`] has it.
    pub async fn session(&self, wanted: &str, until_seq: Option<u64>) -> Result<Shown, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.session(wanted, until_seq).await?),
            Self::Store { store, .. } => shown(store, wanted, until_seq),
        }
    }

    /// The events of a session from a seq on, at most `limit`.
    pub async fn session_events(&self, id: &StreamId, from_seq: u64, limit: usize) -> Result<Vec<Row>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.session_events(id, from_seq, limit).await?),
            Self::Store { store, .. } => {
                let page = store.stream(id, from_seq, Limit::events(limit))?;
                Ok(page.into_iter().map(Row::new).collect())
            }
        }
    }

    /// Follows a session from a seq on.
    pub fn follow_session(&self, id: &StreamId, from_seq: u64) -> Following {
        match self {
            Self::Daemon(client) => Following::Daemon(Box::new(client.follow_session(id, from_seq))),
            Self::Store { store, .. } => Following::Store(follow::Follow::new(store.clone(), id.clone(), from_seq)),
        }
    }
}

fn shown(store: &Store, wanted: &str, until_seq: Option<u64>) -> Result<Shown, Failed> {
    let session = find(store, wanted)?;
    let state = replay(store, &session.id, until_seq)?;
    let rates = rates(&state, present(&session, until_seq));
    Ok(Shown { session, state: state.view(), rates })
}

/// A follower of one session.
pub enum Following {
    /// At a daemon.
    Daemon(Box<Follow>),
    /// In a store, which nobody writes to while it is read here.
    Store(follow::Follow),
    /// In a store that this process writes to.
    Live(follow::Follow),
}

impl Following {
    /// Follows a session that this process writes to, from its beginning, which is waited for.
    pub fn live(store: Store, id: &StreamId) -> Self {
        Self::Live(follow::Follow::new(store, id.clone(), 1))
    }

    /// The next event; `None` where there will be none. Safe to drop at any await.
    pub async fn next(&mut self) -> Result<Option<Followed>, Failed> {
        match self {
            Self::Daemon(follow) => Ok(Some(follow.next().await?)),
            Self::Store(follow) => Ok(follow.try_next()?.map(followed)),
            Self::Live(follow) => Ok(follow.next().await?.map(followed)),
        }
    }
}

fn followed(logged: Logged) -> Followed {
    Followed::Event(Box::new(Row::new(logged)))
}
