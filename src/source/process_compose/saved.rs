//! The last snapshot in the store: one key a process, changed together with the events that it gave rise to.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dependencies::Set;
use super::outage::Down;
use super::record::{Record, Snapshot};
use crate::event::{Timestamp, subject};
use crate::store::{self, Store, Tree, Write};

/// The keys of one source.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

/// What is there when the source starts.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) snapshot: Snapshot,
    pub(super) down: Option<Down>,
    pub(super) listed: Option<Set>,
}

#[derive(Serialize, Deserialize)]
struct Life {
    life: Timestamp,
}

impl Keys {
    pub(super) fn new(source: &str) -> Self {
        Self { prefix: format!("process-compose/{source}/") }
    }

    /// A record of a process, or its removal.
    pub(super) fn record(&self, name: &str, record: Option<&Record>) -> Write {
        let key = format!("{}process/{}", self.prefix, short(name));
        match record.and_then(json) {
            Some(value) => Write::put(Tree::Snapshots, key, value),
            None => Write::remove(Tree::Snapshots, key),
        }
    }

    /// The life of the supervisor whose processes are all recorded.
    pub(super) fn life(&self, life: Timestamp) -> Write {
        let value = json(&Life { life }).unwrap_or_default();
        Write::put(Tree::Snapshots, format!("{}life", self.prefix), value)
    }

    /// That the supervisor is down, or no longer.
    pub(super) fn down(&self, down: Option<&Down>) -> Write {
        let key = format!("{}down", self.prefix);
        match down.and_then(json) {
            Some(value) => Write::put(Tree::Snapshots, key, value),
            None => Write::remove(Tree::Snapshots, key),
        }
    }

    /// The set of processes whose dependencies are told of.
    pub(super) fn listed(&self, set: &Set) -> Write {
        Write::put(Tree::Snapshots, format!("{}listed", self.prefix), json(set).unwrap_or_default())
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The store cannot be read, or holds what nobody can read.
    pub(super) fn load(&self, store: &Store) -> Result<Saved, store::Error> {
        let one = |key: &str| store.get(Tree::Snapshots, &format!("{}{key}", self.prefix));
        let life: Option<Life> = one("life")?.map(|value| read(&value)).transpose()?;
        let down = one("down")?.map(|value| read(&value)).transpose()?;
        let listed: Option<Set> = one("listed")?.map(|value| read(&value)).transpose()?;
        let mut snapshot = Snapshot { life: life.map(|life| life.life), ..Snapshot::default() };
        let prefix = format!("{}process/", self.prefix);
        for page in store.pages(Tree::Snapshots, &prefix) {
            for (_, value) in page? {
                let record: Record = read(&value)?;
                snapshot.records.insert(record.process.name.clone(), record);
            }
        }
        Ok(Saved { snapshot, down, listed })
    }
}

fn json(value: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(value).ok()
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, store::Error> {
    serde_json::from_slice(value).map_err(|e| store::Error::Corrupt(format!("a snapshot of a source: {e}")))
}

/// A name as it can stand in a key, however long it is.
fn short(name: &str) -> String {
    let token = subject::token(name);
    if token.len() <= 300 { token } else { Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string() }
}
