//! Records beside the log: cursors, dead letters, snapshots, folds, jobs.

use std::ops::Bound;

use super::engine::{Engine, Fault, Op, Tree};
use super::parts::{self, MAX_WHOLE};
use super::{Error, Store};
use crate::event::Invalid;

/// So many records are read in one go.
const PAGE: usize = 256;

/// Records, each with its key.
pub type Records = Vec<(String, Vec<u8>)>;

/// A record beside the log that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where it stands: any tree but those of the log itself.
    pub tree: Tree,
    /// Its key: 1 to 512 bytes without a zero byte.
    pub key: String,
    /// Its value, at most 1 MiB; `None` removes it.
    pub value: Option<Vec<u8>>,
}

impl Write {
    /// Stores a value.
    pub fn put(tree: Tree, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { tree, key: key.into(), value: Some(value.into()) }
    }

    /// Removes a value.
    pub fn remove(tree: Tree, key: impl Into<String>) -> Self {
        Self { tree, key: key.into(), value: None }
    }

    /// The bytes that it brings.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }

    fn validate(&self) -> Result<(), Error> {
        let own = [Tree::Events, Tree::Log, Tree::Index, Tree::Ids, Tree::SessionMeta];
        if own.contains(&self.tree) {
            return Err(Invalid::new("tree", self.tree.name(), "a tree beside the log").into());
        }
        if self.key.is_empty() || self.key.len() > 512 || self.key.contains('\0') {
            return Err(Invalid::new("key", &self.key, "1 to 512 bytes without a zero byte").into());
        }
        if self.value.as_ref().is_some_and(|value| value.len() > MAX_WHOLE) {
            return Err(Invalid::new("value", &self.key, "at most 1 MiB").into());
        }
        Ok(())
    }
}

/// The batch that carries out the writes.
pub(super) fn ops(engine: &dyn Engine, writes: &[Write], ops: &mut Vec<Op>) -> Result<(), Error> {
    for write in writes {
        write.validate()?;
        let key = write.key.as_bytes();
        let old = engine.get(write.tree, key)?.unwrap_or_default();
        let kept = match &write.value {
            Some(value) => parts::put(write.tree, key, value, ops),
            None => {
                ops.push(Op::remove(write.tree, key));
                0
            }
        };
        parts::remove(write.tree, key, kept, &old, ops);
    }
    Ok(())
}

impl Store {
    /// A record beside the log.
    pub fn get(&self, tree: Tree, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let engine = self.shared.engine()?;
        let stored = engine.get(tree, key.as_bytes())?;
        Ok(stored.map(|stored| parts::join(&*engine, tree, key.as_bytes(), stored)).transpose()?)
    }

    /// Records whose keys begin with `prefix`, in order, behind the key `after`.
    pub fn scan(&self, tree: Tree, prefix: &str, after: Option<&str>, limit: usize) -> Result<Records, Error> {
        let engine = self.shared.engine()?;
        let from = match after {
            Some(after) => Bound::Excluded(after.as_bytes().to_vec()),
            None => Bound::Included(prefix.as_bytes().to_vec()),
        };
        let mut found = Vec::new();
        for pair in parts::whole(&*engine, tree, (from, Bound::Unbounded), false).take(limit) {
            let (key, value) = pair?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            found.push((String::from_utf8_lossy(&key).into_owned(), value));
        }
        Ok(found)
    }

    /// All records whose keys begin with `prefix`, in order, a page of at most 256 after the other. What is changed
    /// meanwhile behind the page that was read last is seen; nothing comes after an error.
    pub fn pages(&self, tree: Tree, prefix: &str) -> impl Iterator<Item = Result<Records, Error>> {
        let (store, prefix, mut after, mut failed) = (self.clone(), prefix.to_owned(), None, false);
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let page = store.scan(tree, &prefix, after.as_deref(), PAGE);
            match &page {
                Ok(records) => after = Some(records.last()?.0.clone()),
                Err(_) => failed = true,
            }
            Some(page)
        })
    }

    /// Changes records beside the log, all or none; durable with the next commit. For what may be lost and
    /// done again: a cursor that falls back delivers again what the destination has already.
    pub fn put(&self, writes: &[Write]) -> Result<(), Error> {
        self.change(writes, |_| Ok(()))
    }

    /// Changes records beside the log, all or none, durably.
    pub fn put_durable(&self, writes: &[Write]) -> Result<(), Error> {
        // By the handle that they were applied on: another one knows nothing of them.
        self.change(writes, |engine| engine.flush())
    }

    fn change(&self, writes: &[Write], then: impl FnOnce(&dyn Engine) -> Result<(), Fault>) -> Result<(), Error> {
        let engine = self.shared.engine()?;
        let mut batch = Vec::new();
        ops(&*engine, writes, &mut batch)?;
        self.shared.watch(engine.apply(&batch).and_then(|()| then(&*engine)))
    }
}
