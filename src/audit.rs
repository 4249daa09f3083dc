//! The audit: whether JetStream and Elasticsearch have what the log has, each event once and with the same content.
//!
//! The log is read in the order of commit, by windows of 20,000 events, and each backend beside it in the
//! same order; so memory is bounded whatever there is. What a backend need not have is not missed there: events
//! that its sink has not confirmed yet, that are dead letters, or that its retention has taken. What the log has
//! let go of, a pruned session or the trimmed head of a stream, is not extra elsewhere, but counted.

mod content;
mod documents;
mod log;
mod messages;
mod stray;

use std::collections::HashSet;

use serde::Serialize;
use uuid::Uuid;

use crate::client::{Failed, Reader};
use crate::dead_letter;
use crate::event::{Event, Offset};
use crate::{elasticsearch, nats};

pub use documents::elasticsearch;
pub use messages::jetstream;

/// The most dead letters of a sink that are known by name; of more, the rest counts as missing.
const MAX_LETTERS: usize = 100_000;

/// Around the end of its retention, a server decides at its own time. In milliseconds.
const MARGIN: i64 = 60_000;

/// What is wrong with an event in a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The log has it, the backend does not.
    Missing,
    /// The backend has it, the log does not; or the backend has it once more.
    Extra,
    /// Both have it, with other content.
    Different,
}

/// One event that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub backend: String,
    /// What is wrong.
    pub difference: Difference,
    /// The event's id.
    pub id: String,
    /// Its stream, where that is known.
    pub session: String,
    /// Its place in there.
    pub seq: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What one backend came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Where.
    pub backend: String,
    /// Events that are in both and alike.
    pub alike: u64,
    /// Events that it should have and has not.
    pub missing: u64,
    /// What it has beside the log.
    pub extra: u64,
    /// Events with other content.
    pub different: u64,
    /// Events that are not there, as they are dead letters.
    pub dead_letters: u64,
    /// Events that are not there yet.
    pub waiting: u64,
    /// What it has still and the log has let go of.
    pub let_go: u64,
}

/// Why an audit did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Failed),
    /// Elasticsearch could not be read.
    #[error(transparent)]
    Elasticsearch(#[from] elasticsearch::Error),
    /// NATS could not be reached.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// A stream could not be read.
    #[error("stream {stream}: {message}")]
    Stream {
        /// Its name.
        stream: String,
        /// What happened.
        message: String,
    },
}

impl Summary {
    fn of(backend: &str) -> Self {
        Self { backend: backend.into(), ..Self::default() }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.missing + self.extra + self.different == 0
    }

    /// Counts what is wrong with an event of the log, and makes it known.
    fn note(&mut self, difference: Difference, event: &Brief, tell: &mut dyn FnMut(Finding)) {
        match difference {
            Difference::Missing => self.missing += 1,
            Difference::Extra => self.extra += 1,
            Difference::Different => self.different += 1,
        }
        let Brief { id, session, seq, kind } = event.clone();
        tell(Finding { backend: self.backend.clone(), difference, id, session, seq, kind });
    }
}

/// As much of an event as a finding tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Brief {
    id: String,
    session: String,
    seq: u64,
    kind: String,
}

impl Brief {
    fn of(event: &Event) -> Self {
        let Event { id, session, seq, kind, .. } = event;
        Self { id: id.to_string(), session: session.to_string(), seq: *seq, kind: kind.to_string() }
    }
}

/// What a sink has done so far.
struct Progress {
    /// The first offset that it has not confirmed; where no sink is known, everything should be there.
    confirmed: Offset,
    /// The places of its dead letters.
    letters: HashSet<Offset>,
}

impl Progress {
    async fn read(reader: &Reader, sink: &str) -> Result<Self, Error> {
        let sinks = reader.sinks().await?;
        let status = sinks.iter().find(|status| *status.sink == *sink);
        let confirmed = status.map_or(Offset::MAX, |status| status.offset);
        let filter = dead_letter::Filter { sink: Some(sink.into()), ..dead_letter::Filter::default() };
        let (mut letters, mut after): (_, Option<Uuid>) = (HashSet::new(), None);
        while letters.len() < MAX_LETTERS {
            let (page, next) = reader.dead_letters(&filter, after, dead_letter::MAX_PAGE).await?;
            letters.extend(page.iter().filter_map(|letter| letter.offset));
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(Self { confirmed, letters })
    }
}
