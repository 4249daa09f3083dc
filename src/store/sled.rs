//! The engine on disk: sled 0.34. Nothing outside this file names it.
//!
//! sled's `flush` alone is no sync; the folder sets the file's synchronous flag (`dir`), so that each of its
//! writes is durable when it returns, and `flush` brings all that was applied to the file.

use std::path::Path;
use std::time::{Duration, Instant};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional, TransactionalTree};
use sled::{Db, IVec};

use super::engine::{Engine, Fault, Op, Pairs, Range, Tree};

/// How long a handle of this process that was dropped may keep sled's lock.
const STILL_HELD: Duration = Duration::from_secs(5);

pub(super) struct Sled {
    trees: Vec<sled::Tree>,
    db: Db,
}

impl Sled {
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, Fault> {
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
        let deadline = Instant::now() + STILL_HELD;
        let db = loop {
            match config.open() {
                Err(error) if is_held(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => break opened?,
            }
        };
        let trees = Tree::ALL.iter().map(|tree| db.open_tree(tree.name())).collect::<Result<_, _>>()?;
        Ok(Self { trees, db })
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.trees[tree as usize]
    }
}

/// Whether sled's own lock is held: as no other process has the folder, by a handle of this one, whose last
/// task in the background has not ended yet.
fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

fn pair(pair: sled::Result<(IVec, IVec)>) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let (key, value) = pair?;
    Ok((key.to_vec(), value.to_vec()))
}

fn write(tree: &TransactionalTree, op: &Op) -> Result<(), ConflictableTransactionError<()>> {
    match &op.value {
        Some(value) => tree.insert(op.key.as_slice(), value.as_slice())?,
        None => tree.remove(op.key.as_slice())?,
    };
    Ok(())
}

impl Engine for Sled {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    fn range(&self, tree: Tree, range: Range, backward: bool) -> Pairs<'_> {
        let pairs = self.tree(tree).range(range);
        if backward { Box::new(pairs.rev().map(pair)) } else { Box::new(pairs.map(pair)) }
    }

    fn apply(&self, ops: &[Op]) -> Result<(), Fault> {
        // sled panics over a transaction of no tree.
        if ops.is_empty() {
            return Ok(());
        }
        let mut used: Vec<Tree> = ops.iter().map(|op| op.tree).collect();
        used.sort_unstable();
        used.dedup();
        let place = |tree: Tree| used.binary_search(&tree).unwrap_or_default();
        let trees: Vec<&sled::Tree> = used.iter().map(|tree| self.tree(*tree)).collect();
        let done =
            trees.as_slice().transaction(|trees| ops.iter().try_for_each(|op| write(&trees[place(op.tree)], op)));
        done.map_err(|error| match error {
            TransactionError::Storage(error) => error.into(),
            TransactionError::Abort(()) => Fault("the transaction was aborted".into()),
        })
    }

    fn flush(&self) -> Result<(), Fault> {
        self.db.flush()?;
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }
}
