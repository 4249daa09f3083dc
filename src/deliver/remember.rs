//! What a sink remembers, kept in step with its cursor.
//!
//! ```text
//! log  ─────┬───────────────┬──────────────►
//!           saved at        cursor
//!           └─ taken in again at a start ─┘
//! ```
//!
//! The records stand under `sink/{name}/` in the folds, with the offset that they stand at. They are saved while
//! everything is settled, each second or each 10,000 events, in one batch; what lies between that and the cursor
//! is read again at a start, and when the store was opened again after an I/O error.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Delivery, Stuck};
use crate::event::Offset;
use crate::sink::{Memory, Sink};
use crate::store::{self, Store, Tree, Write};

/// The time between two savings, at least.
const EVERY: Duration = Duration::from_secs(1);

/// After so many events it is saved at once.
const EVENTS: u64 = 10_000;

/// The offset that the saved records stand at.
#[derive(Debug, Serialize, Deserialize)]
struct At {
    offset: Offset,
}

/// How the sink's memory and its saved records stand.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Whether the memory was brought up to the cursor; from then on it goes along with what is sent.
    up: bool,
    /// The offset that the memory stands at; `None` while some of what it has taken in is not settled.
    at: Option<Offset>,
    /// That of the records in the store.
    stored: Offset,
    when: Option<Instant>,
    /// How often the store had been opened again; what it had not flushed before is lost with each time.
    reopened: u64,
    /// Changes that could not be written.
    unsaved: Vec<(String, Option<Vec<u8>>)>,
}

impl Saved {
    /// The memory is to be made anew from what is saved.
    pub(super) fn lost(&mut self) {
        *self = Self::default();
    }

    /// The sink is about to take in more than is settled.
    pub(super) fn ahead(&mut self) {
        self.at = None;
    }

    /// When it is to be saved, if there is anything.
    pub(super) fn due(&self) -> Option<Instant> {
        let at = self.at.filter(|at| *at != self.stored)?;
        let now = Instant::now();
        let full = at.saturating_sub(self.stored) >= EVENTS;
        Some(self.when.filter(|_| !full).map_or(now, |when| when + EVERY))
    }
}

impl<S: Sink> Delivery<S> {
    /// Brings the sink's memory up to the cursor: once, and again when the store may have lost what was saved. It is
    /// not there yet where a shutdown cuts it short.
    pub(super) async fn bring_up(&mut self) -> Result<(), Stuck> {
        let reopened = self.store.reopened();
        if self.remembered.up && (self.remembered.reopened == reopened || self.sink.memory().is_none()) {
            return Ok(());
        }
        self.ready &= !self.remembered.up;
        self.remembered = Saved { reopened, ..Saved::default() };
        let cursor = self.offset();
        if let Some(memory) = self.sink.memory() {
            let at = match restore(&self.store, &self.name, memory)? {
                Some(at) if at <= cursor => at,
                _ => {
                    memory.clear();
                    self.store.put(&forget(&self.store, &self.name)?)?;
                    self.store.range().start
                }
            };
            (self.remembered.at, self.remembered.stored) = (Some(at), at);
            self.take_in(at, cursor).await?;
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            self.remembered.at = Some(cursor);
        }
        self.remembered.up = true;
        Ok(())
    }

    /// Takes in what was delivered before, from one offset to another, and saves it on the way: nothing grows with
    /// the log, and another start goes on from there.
    async fn take_in(&mut self, from: Offset, to: Offset) -> Result<(), Stuck> {
        let mut at = from;
        while at < to && !self.shutdown.is_cancelled() {
            let page = self.pages.read(at).await?;
            if page.end == at {
                break;
            }
            self.pages.read_ahead(page.end.min(to));
            for logged in page.events.iter().take_while(|logged| logged.offset < to) {
                if self.sink.wants(&logged.event)
                    && let Some(memory) = self.sink.memory()
                {
                    memory.replay(logged);
                }
            }
            at = page.end.min(to);
            self.remembered.at = Some(at);
            if at - self.remembered.stored >= EVENTS {
                self.save_memory()?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Everything up to the cursor is settled, so the memory stands there: saves it, if it is time to.
    pub(super) fn remember(&mut self) -> Result<(), store::Error> {
        if self.sink.memory().is_some() {
            self.remembered.at = Some(self.offset());
        }
        match self.remembered.due() {
            Some(due) if due <= Instant::now() => self.save_memory(),
            _ => Ok(()),
        }
    }

    /// Saves what changed.
    pub(super) fn save_memory(&mut self) -> Result<(), store::Error> {
        let (Some(at), Some(memory)) = (self.remembered.at, self.sink.memory()) else { return Ok(()) };
        if self.remembered.reopened != self.store.reopened() {
            // What changed since is not all that is missing there.
            return Ok(());
        }
        self.remembered.unsaved.extend(memory.changes());
        let mut writes = vec![put_at(&self.name, at)];
        writes.extend(self.remembered.unsaved.iter().map(|(key, value)| Write {
            tree: Tree::Folds,
            key: format!("{}{key}", prefix(&self.name)),
            value: value.clone(),
        }));
        self.store.put(&writes)?;
        self.remembered.stored = at;
        self.remembered.when = Some(Instant::now());
        self.remembered.unsaved.clear();
        Ok(())
    }
}

/// Gives the saved records to the memory; the offset that they stand at, where they can be read.
fn restore(store: &Store, sink: &str, memory: &mut dyn Memory) -> Result<Option<Offset>, store::Error> {
    memory.clear();
    let at = store.get(Tree::Folds, &at_key(sink))?;
    let Some(at) = at.and_then(|bytes| serde_json::from_slice::<At>(&bytes).ok()) else { return Ok(None) };
    let prefix = prefix(sink);
    for page in store.pages(Tree::Folds, &prefix) {
        for (key, value) in page? {
            if let Err(error) = memory.restore(&key[prefix.len()..], &value) {
                tracing::warn!(sink, key, error, "what the sink remembers cannot be read: it is made anew");
                return Ok(None);
            }
        }
    }
    Ok(Some(at.offset))
}

/// The writes that take away all that a sink remembers.
pub(super) fn forget(store: &Store, sink: &str) -> Result<Vec<Write>, store::Error> {
    let mut writes = vec![Write::remove(Tree::Folds, at_key(sink))];
    for page in store.pages(Tree::Folds, &prefix(sink)) {
        writes.extend(page?.into_iter().map(|(key, _)| Write::remove(Tree::Folds, key)));
    }
    Ok(writes)
}

fn put_at(sink: &str, offset: Offset) -> Write {
    // A number: there is nothing that could fail to be written.
    Write::put(Tree::Folds, at_key(sink), serde_json::to_vec(&At { offset }).unwrap_or_default())
}

fn at_key(sink: &str) -> String {
    format!("sink-at/{sink}")
}

fn prefix(sink: &str) -> String {
    format!("sink/{sink}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_page_of_records_is_given_back_and_forgotten() {
        /// Keeps the keys.
        #[derive(Default)]
        struct Keys(Vec<String>);

        impl Memory for Keys {
            fn clear(&mut self) {
                self.0.clear();
            }

            fn restore(&mut self, key: &str, _value: &[u8]) -> Result<(), String> {
                self.0.push(key.to_owned());
                Ok(())
            }

            fn replay(&mut self, _logged: &crate::event::Logged) {}

            fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
                Vec::new()
            }
        }

        let (store, mut memory) = (Store::memory(), Keys::default());
        let keys: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
        let put = |sink, key: &String| Write::put(Tree::Folds, format!("{}{key}", prefix(sink)), b"{}".to_vec());
        let mut writes: Vec<Write> = keys.iter().map(|key| put("a", key)).collect();
        writes.extend([put_at("a", 7), put_at("b", 9), put("b", &keys[0])]);
        store.put(&writes).expect("room");
        assert_eq!(restore(&store, "a", &mut memory).expect("it is read"), Some(7));
        assert_eq!(memory.0, keys);
        store.put(&forget(&store, "a").expect("it is read")).expect("room");
        assert_eq!(restore(&store, "a", &mut memory).expect("it is read"), None);
        let left = |sink| store.pages(Tree::Folds, &prefix(sink)).count();
        assert_eq!((left("a"), left("b")), (0, 1));
        assert_eq!(restore(&store, "b", &mut memory).expect("it is read"), Some(9));
    }
}
