//! Reads events where they are: from the daemon, or from the store itself where no daemon holds it.

use uuid::Uuid;

use super::{Client, Error};
use crate::api::events::{self, Page, Row};
use crate::api::filter::Filter;
use crate::store::{self, Store};

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
}

impl Reader {
    /// A page of events.
    pub async fn events(&self, filter: &Filter) -> Result<Page, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.events(filter).await?),
            Self::Store { store, prefixes } => Ok(events::page(store, filter, prefixes).await?),
        }
    }

    /// The event with that id.
    pub async fn event(&self, id: Uuid) -> Result<Option<Row>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.event(id).await?),
            Self::Store { store, .. } => Ok(store.event(id)?.map(Row::new)),
        }
    }
}
