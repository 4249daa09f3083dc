//! Reads events where they are: from the daemon, or from the store itself where no daemon holds it.

use reqwest::Method;
use uuid::Uuid;

use super::{Client, Error};
use crate::api;
use crate::api::dead_letters::{self, Done, Letter, to_query};
use crate::api::events::{self, Page, Row};
use crate::api::filter::Filter;
use crate::api::sinks;
use crate::dead_letter::{self, Count};
use crate::deliver::{self, Reset, Status};
use crate::event::StreamId;
use crate::store::{self, Store, StreamInfo};

/// Either way to the same events.
pub enum Reader {
    /// Through the daemon's API.
    Daemon(Client),
    /// From the store, which no other process can open meanwhile.
    Store {
        /// The store.
        store: Store,
        /// What the subjects of processes begin with.
        prefixes: Vec<String>,
    },
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The daemon did not give it.
    #[error(transparent)]
    Daemon(#[from] Error),
    /// The store did not give it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What was asked of the store is not there.
    #[error(transparent)]
    Refused(#[from] api::Error),
}

impl Reader {
    /// A page of events.
    pub async fn events(&self, filter: &Filter) -> Result<Page, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.events(filter).await?),
            Self::Store { store, prefixes } => Ok(events::page(store, filter, prefixes).await?),
        }
    }

    /// How the sinks fare.
    pub async fn sinks(&self) -> Result<Vec<Status>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.sinks().await?),
            Self::Store { store, .. } => Ok(deliver::at_rest(store)?),
        }
    }

    /// Has everything from there on sent again by the sinks that `name` means; answers which those are.
    pub async fn reset(&self, name: &str, from: deliver::From, word: &str) -> Result<Vec<Reset>, Failed> {
        match self {
            Self::Daemon(client) => {
                let query: String =
                    form_urlencoded::Serializer::new(String::new()).append_pair("from", word).finish();
                Ok(client.send(Method::POST, &format!("/api/sinks/{name}/reset?{query}")).await?)
            }
            Self::Store { store, .. } => Ok(sinks::reset_at_rest(store, name, from)?),
        }
    }

    /// A page of dead letters, the oldest first, and where the next one begins.
    pub async fn dead_letters(
        &self,
        filter: &dead_letter::Filter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Letter>, Option<Uuid>), Failed> {
        match self {
            Self::Daemon(client) => {
                let letters: Vec<Letter> =
                    client.get(&format!("/api/dead-letters?{}", to_query(filter, after, Some(limit)))).await?;
                let next = letters.last().filter(|_| letters.len() == limit).map(|letter| letter.id);
                Ok((letters, next))
            }
            Self::Store { store, .. } => Ok(dead_letters::page(store, filter, after, limit)?),
        }
    }

    /// One dead letter.
    pub async fn dead_letter(&self, id: Uuid) -> Result<Letter, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.get(&format!("/api/dead-letters/{id}")).await?),
            Self::Store { store, .. } => Ok(dead_letters::one(store, id)?),
        }
    }

    /// How many dead letters there are.
    pub async fn dead_letter_stats(&self) -> Result<Vec<Count>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.get("/api/dead-letters/stats").await?),
            Self::Store { store, .. } => Ok(dead_letter::stats(store).map_err(api::Error::from)?),
        }
    }

    /// Asks for a retry of one.
    pub async fn retry(&self, id: Uuid) -> Result<u64, Failed> {
        match self {
            Self::Daemon(client) => done(client, Method::POST, &format!("/api/dead-letters/{id}/retry")).await,
            Self::Store { store, .. } => Ok(dead_letter::retry(store, id).map(|()| 1).map_err(api::Error::from)?),
        }
    }

    /// Asks for a retry of all that the filter takes; answers how many.
    pub async fn retry_all(&self, filter: &dead_letter::Filter) -> Result<u64, Failed> {
        match self {
            Self::Daemon(client) => {
                let query = to_query(filter, None, None);
                done(client, Method::POST, &format!("/api/dead-letters/retry?{query}")).await
            }
            Self::Store { store, .. } => Ok(dead_letter::retry_all(store, filter).map_err(api::Error::from)?),
        }
    }

    /// Throws one away.
    pub async fn discard(&self, id: Uuid) -> Result<u64, Failed> {
        match self {
            Self::Daemon(client) => done(client, Method::DELETE, &format!("/api/dead-letters/{id}")).await,
            Self::Store { store, .. } => {
                Ok(dead_letter::discard(store, id).map(|()| 1).map_err(api::Error::from)?)
            }
        }
    }

    /// The event with that id.
    pub async fn event(&self, id: Uuid) -> Result<Option<Row>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.event(id).await?),
            Self::Store { store, .. } => Ok(store.event(id)?.map(Row::new)),
        }
    }

    /// A stream as a whole; nothing where there is no such stream, or where it was a session that is pruned.
    pub async fn stream(&self, id: &StreamId) -> Result<Option<StreamInfo>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.stream(id).await?),
            Self::Store { store, .. } => Ok(store.head(id)?),
        }
    }
}

async fn done(client: &Client, method: Method, path: &str) -> Result<u64, Failed> {
    let done: Done = client.send(method, path).await?;
    Ok(done.letters)
}
