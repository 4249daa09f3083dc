//! The twin in memory: the same contract, and a disk that can be made to fail.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::{Engine, Fault, Op, Pairs, Range, Tree};

type Trees = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

/// A disk in memory. Cloned handles are the same disk: a store opened on it again finds what was flushed.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Image>>);

#[derive(Default)]
struct Image {
    durable: Trees,
    unflushed: Vec<Vec<Op>>,
    failing: Option<Failing>,
    forgetful: bool,
    free: Option<u64>,
}

/// Which call fails next; it fails until the disk is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// The next batch is refused.
    Apply,
    /// The next flush fails; what it should have made durable is lost or not, as `crash` says.
    Flush,
}

impl Disk {
    fn image(&self) -> MutexGuard<'_, Image> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call fail.
    pub fn fail(&self, failing: Failing) {
        self.image().failing = Some(failing);
    }

    /// Whether what was not flushed is lost whenever the disk is opened again after a failure.
    pub fn set_forgetful(&self, forgetful: bool) {
        self.image().forgetful = forgetful;
    }

    /// Says how many bytes are free; `None` means plenty.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.image().free = bytes;
    }

    /// A crash: of the batches that were not flushed the first `kept` survive, the rest is lost.
    pub fn crash(&self, kept: usize) {
        let image = &mut *self.image();
        for batch in image.unflushed.drain(..).take(kept) {
            write(&mut image.durable, &batch);
        }
        image.unflushed.clear();
    }

    /// How many batches have been applied and not flushed.
    pub fn unflushed(&self) -> usize {
        self.image().unflushed.len()
    }

    pub(super) fn free(&self) -> Option<u64> {
        self.image().free
    }

    pub(super) fn open(&self) -> Memory {
        let mut image = self.image();
        if image.failing.take().is_some() && image.forgetful {
            image.unflushed.clear();
        }
        let mut live = image.durable.clone();
        image.unflushed.iter().for_each(|batch| write(&mut live, batch));
        drop(image);
        Memory { live: Mutex::new(live), disk: self.clone() }
    }
}

fn write(trees: &mut Trees, batch: &[Op]) {
    for op in batch {
        match &op.value {
            Some(value) => trees.insert((op.tree, op.key.clone()), value.clone()),
            None => trees.remove(&(op.tree, op.key.clone())),
        };
    }
}

pub(super) struct Memory {
    live: Mutex<Trees>,
    disk: Disk,
}

impl Memory {
    fn live(&self) -> MutexGuard<'_, Trees> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, tree: Tree, range: &Range, backward: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let (from, to) = range;
        if matches!((from, to), (Bound::Excluded(a) | Bound::Included(a), Bound::Excluded(b)) if a >= b)
            || matches!((from, to), (Bound::Excluded(a), Bound::Included(b)) if a >= b)
            || matches!((from, to), (Bound::Included(a), Bound::Included(b)) if a > b)
        {
            return None;
        }
        let in_tree = |key: &Vec<u8>| (tree, key.clone());
        let from = match from {
            Bound::Included(key) => Bound::Included(in_tree(key)),
            Bound::Excluded(key) => Bound::Excluded(in_tree(key)),
            Bound::Unbounded => Bound::Included((tree, Vec::new())),
        };
        let beyond = Tree::ALL.iter().find(|other| **other > tree).map(|other| (*other, Vec::new()));
        let to = match to {
            Bound::Included(key) => Bound::Included(in_tree(key)),
            Bound::Excluded(key) => Bound::Excluded(in_tree(key)),
            Bound::Unbounded => beyond.map_or(Bound::Unbounded, Bound::Excluded),
        };
        let live = self.live();
        let mut found = live.range((from, to));
        let found = if backward { found.next_back() } else { found.next() };
        found.map(|((_, key), value)| (key.clone(), value.clone()))
    }
}

impl Engine for Memory {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.live().get(&(tree, key.to_vec())).cloned())
    }

    fn range(&self, tree: Tree, mut range: Range, backward: bool) -> Pairs<'_> {
        Box::new(std::iter::from_fn(move || {
            let (key, value) = self.next(tree, &range, backward)?;
            let beyond = Bound::Excluded(key.clone());
            if backward {
                range.1 = beyond;
            } else {
                range.0 = beyond;
            }
            Some(Ok((key, value)))
        }))
    }

    fn apply(&self, ops: &[Op]) -> Result<(), Fault> {
        if ops.is_empty() {
            return Ok(());
        }
        let mut image = self.disk.image();
        if image.failing == Some(Failing::Apply) {
            return Err(Fault("the disk in memory was told to refuse a batch".into()));
        }
        image.unflushed.push(ops.to_vec());
        write(&mut self.live(), ops);
        Ok(())
    }

    fn flush(&self) -> Result<(), Fault> {
        let image = &mut *self.disk.image();
        if image.failing.is_some() {
            return Err(Fault("the disk in memory was told to fail a flush".into()));
        }
        for batch in image.unflushed.drain(..) {
            write(&mut image.durable, &batch);
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.live().iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum()
    }
}
