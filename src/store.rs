//! The store: every event, durable and in order, in one embedded database.
//!
//! One writer ([`Writer`], held by ingest) appends; everybody else reads through cheap clones of [`Store`],
//! always by pages, and never beyond the durable end of the log. An event stands once, under its stream and
//! seq; the log says in which order the streams' events were committed.
//!
//! ```text
//! obs_log     offset → spans: (stream, first seq, count, least and greatest ts)   one record a commit
//! obs_events  stream:seq → a run of consecutive events of that stream             up to 2 KB a record
//! obs_index   subject or type → offsets, and zones of the log with their times    behind the log, caught up
//! ```
//!
//! The database is reached through the trait in `engine`, which `sled` and its twin in `memory` have in
//! common; after an I/O error its handle is dropped and another one is opened, in the same process.

mod check;
mod dir;
mod engine;
mod forget;
mod head;
mod history;
mod ids;
mod index;
mod key;
mod lifecycle;
mod maintain;
mod memory;
mod pack;
mod parts;
mod prune;
mod query;
mod read;
mod recent;
mod record;
mod runs;
mod shared;
mod side;
mod sled;
mod transfer;
mod trimmed;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::event::{Draft, Invalid, Offset, StreamId};

pub use check::Report;
pub use dir::{FORMAT, is_there};
pub use engine::Tree;
// For the fuzz target of the keys, which stands outside.
pub use forget::Pruned;
pub use history::{SessionInfo, SessionPage, SessionQuery};
#[doc(hidden)]
pub use key::{decode as decode_key, event as encode_key};
pub use maintain::{Maintainer, Pass};
pub use memory::{Disk, Failing};
pub use parts::MAX_VALUE;
pub use query::{MAX_PAGE, Page, Query};
pub use recent::LogReader;
pub use side::{Records, Write};
pub use transfer::{Compacted, compact};
pub use write::{Flusher, Outcome, Writer};

pub use crate::state::session::Status;

/// The most drafts in one submission, and the most events in one commit.
pub const MAX_BATCH_EVENTS: usize = 1024;

/// The most bytes in one commit, by [`Draft::size`] and the sizes of the writes beside.
pub const MAX_BATCH_BYTES: usize = 450 * 1000;

/// The store: a cheap handle, which any number of threads may hold.
#[derive(Clone)]
pub struct Store {
    shared: Arc<shared::Shared>,
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process holds the store; sled allows one.
    #[error(
        "{} is held by another process{}: read through its API, or stop it first",
        dir.display(),
        pid.map(|pid| format!(" (process id {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The store's folder.
        dir: PathBuf,
        /// Who holds it, where it said so.
        pid: Option<u32>,
    },
    /// A newer version wrote it.
    #[error("the store has format {found}, this build reads up to {known}: use a newer watchpost")]
    NewerFormat {
        /// What was found.
        found: u32,
        /// What this build knows.
        known: u32,
    },
    /// The file system has no synchronous flag, so a power cut could lose acknowledged events.
    #[error(
        "{}: this file system has no synchronous flag (ext4, xfs and btrfs have), so a power cut could lose \
         acknowledged events; choose another folder, or accept it with `store.unsafe_fs: true`",
        .0.display()
    )]
    UnsafeFs(PathBuf),
    /// The disk is full, or the store's budget is used up. Refused before anything was touched: try later.
    #[error("no room: {0}")]
    NoRoom(String),
    /// The handle was lost to an I/O error and is being opened again: try later.
    #[error("the store is recovering from an I/O error: {0}")]
    Recovering(String),
    /// The disk failed. What was being written may be there or not.
    #[error("I/O error: {0}")]
    Io(String),
    /// Something stored cannot be read.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// What was asked for makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl From<engine::Fault> for Error {
    fn from(fault: engine::Fault) -> Self {
        Self::Io(fault.0)
    }
}

/// How much one read may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// So many events at most.
    pub events: usize,
    /// So many bytes of payload at most; the first event comes whatever its size.
    pub bytes: usize,
}

impl Limit {
    /// So many events, and at most 8 MiB.
    pub fn events(events: usize) -> Self {
        Self { events, bytes: 8 << 20 }
    }
}

/// One atomic commit: all its events and writes, or nothing of them.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The events, at most [`MAX_BATCH_EVENTS`].
    pub drafts: Vec<Draft>,
    /// Records beside the log that change with them.
    pub writes: Vec<Write>,
    /// Refused unless this is the last seq of that stream, 0 where it has none.
    pub expected_last_seq: Option<(StreamId, u64)>,
}

impl Submission {
    /// A submission of events alone.
    pub fn events(drafts: Vec<Draft>) -> Self {
        Self { drafts, ..Self::default() }
    }

    /// About how many bytes it brings.
    pub fn size(&self) -> usize {
        let drafts: usize = self.drafts.iter().map(Draft::size).sum();
        drafts + self.writes.iter().map(Write::size).sum::<usize>()
    }
}

/// Where an event came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Its id.
    pub id: Uuid,
    /// Its place in the log.
    pub offset: Offset,
    /// Its place in its stream.
    pub seq: u64,
    /// Whether it was there already: this is the answer that the first one got.
    pub duplicate: bool,
}

/// Why a submission was refused; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A draft is not as it has to be.
    #[error("event {index}: {error}")]
    Invalid {
        /// Its place in the submission.
        index: usize,
        /// What is wrong with it.
        error: Invalid,
    },
    /// The same id was sent before with other content.
    #[error("event {index}: {field}: differs from what was sent before under the id {id}")]
    Conflict {
        /// Its place in the submission.
        index: usize,
        /// The first field that differs.
        field: &'static str,
        /// The event's id.
        id: Uuid,
    },
    /// A session begins with `session_started`, and this one has not begun, or is not there any more.
    #[error("event {index}: session: there is no session {session}: it begins with session_started")]
    NotStarted {
        /// Its place in the submission.
        index: usize,
        /// The session.
        session: StreamId,
    },
    /// Nothing follows `session_ended`.
    #[error("event {index}: session: {session} has ended")]
    Ended {
        /// Its place in the submission.
        index: usize,
        /// The session.
        session: StreamId,
    },
    /// The stream is not where it was expected to be.
    #[error("session: the last event of {session} is {last_seq}, another one was expected")]
    Moved {
        /// The stream.
        session: StreamId,
        /// Its last seq.
        last_seq: u64,
    },
}

/// A stream as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Its id.
    pub id: StreamId,
    /// The first seq that is still there.
    pub first_seq: u64,
    /// The seq that its next event gets.
    pub next_seq: u64,
    /// Its status.
    pub status: Status,
}

/// How the store fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "lowercase")]
pub enum Health {
    /// It takes events.
    Ok,
    /// It refuses events until there is room.
    Full(String),
    /// Its handle is being opened again after an I/O error.
    Recovering(String),
}

/// The room that the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of events and log that are alive.
    pub live_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes that the file system has left, where it says so.
    pub free_bytes: Option<u64>,
}

/// What is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The first offset that is still there.
    pub first_offset: Offset,
    /// The durable end of the log.
    pub next_offset: Offset,
    /// How many streams.
    pub streams: u64,
    /// Bytes of events and log that are alive.
    pub live_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes that the file system has left, where it says so.
    pub free_bytes: Option<u64>,
    /// The offset up to which the index has come.
    pub indexed: Offset,
    /// Sender's ids that are remembered.
    pub ids: u64,
}

impl Store {
    /// The durable end of the log, which wakes its followers after durability.
    pub fn durable(&self) -> watch::Receiver<Offset> {
        self.shared.durable.subscribe()
    }

    /// The first offset that is still there, and the durable end.
    pub fn range(&self) -> std::ops::Range<Offset> {
        self.shared.first()..self.shared.end()
    }

    /// How often its handle was lost to an I/O error. With each time, what was put and not flushed may be gone.
    pub fn reopened(&self) -> u64 {
        self.shared.reopened.load(std::sync::atomic::Ordering::Acquire)
    }

    /// How it fares.
    pub fn health(&self) -> Health {
        self.shared.health()
    }
}
