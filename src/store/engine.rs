//! What the store asks of an engine: ordered trees, an atomic batch over all of them, and a flush.

use std::ops::Bound;

/// A tree of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tree {
    /// Stream → what is known of it as a whole.
    Sessions,
    /// `session_id:seq` → one event, or a run of consecutive ones.
    Events,
    /// Stream → first and next seq, status.
    SessionMeta,
    /// Offset → which events stand there.
    Log,
    /// Subject or type → offsets; and the zones of the log.
    Index,
    /// Who has confirmed how much.
    Cursors,
    /// Saved folds, with the offset that they stand at.
    Folds,
    /// The ids that senders gave.
    Ids,
    /// What was given up on.
    DeadLetters,
    /// What observers have planned.
    Jobs,
    /// The last snapshot of each source, one key a process.
    Snapshots,
    /// Sessions that a process writes by itself, until they end.
    Writers,
    /// The keys by which a request is told from its repetition.
    Idempotency,
}

impl Tree {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Sessions,
        Self::Events,
        Self::SessionMeta,
        Self::Log,
        Self::Index,
        Self::Cursors,
        Self::Folds,
        Self::Ids,
        Self::DeadLetters,
        Self::Jobs,
        Self::Snapshots,
        Self::Writers,
        Self::Idempotency,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "obs_sessions",
            Self::Events => "obs_events",
            Self::SessionMeta => "obs_session_meta",
            Self::Log => "obs_log",
            Self::Index => "obs_index",
            Self::Cursors => "obs_cursors",
            Self::Folds => "obs_folds",
            Self::Ids => "obs_ids",
            Self::DeadLetters => "obs_dead_letters",
            Self::Jobs => "obs_jobs",
            Self::Snapshots => "obs_snapshots",
            Self::Writers => "obs_writers",
            Self::Idempotency => "obs_idempotency",
        }
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) tree: Tree,
    pub(crate) key: Vec<u8>,
    /// `None` removes the key.
    pub(crate) value: Option<Vec<u8>>,
}

impl Op {
    pub(crate) fn put(tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { tree, key: key.into(), value: Some(value.into()) }
    }

    pub(crate) fn remove(tree: Tree, key: impl Into<Vec<u8>>) -> Self {
        Self { tree, key: key.into(), value: None }
    }

    /// The bytes that it brings to the database.
    pub(crate) fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, |value| self.key.len() + value.len())
    }
}

/// What an engine says when its disk fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

pub(crate) type Pair = (Vec<u8>, Vec<u8>);
pub(crate) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, Fault>> + 'a>;
pub(crate) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Ordered trees of bytes.
///
/// **Atomicity**: after a crash either all of a batch is there or nothing of it, and no later batch without
/// an earlier one. **Durability**: after `flush` all that was applied before it. After any error the handle
/// must not be used again: the store drops it and opens another. **Concurrency**: any thread, any time.
pub(crate) trait Engine: Send + Sync {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
    /// The pairs of a range, in order or from its end.
    fn range(&self, tree: Tree, range: Range, backward: bool) -> Pairs<'_>;
    fn apply(&self, ops: &[Op]) -> Result<(), Fault>;
    fn flush(&self) -> Result<(), Fault>;
    /// What the database takes on disk.
    fn disk_bytes(&self) -> u64;
}
