//! What has become of a session: a pure fold of its events.
//!
//! [`Session`] takes the events of one stream in the order of seq. Whatever they say, it takes them: a type that
//! it does not know is counted, a field of the wrong type is left out and marked. It is bounded, whatever the
//! session's length: beyond the limits below things are only counted, and [`LeftOut`] tells how many.
//!
//! The same events give the same bytes, [`Session::snapshot`], whether they were folded live, in a replay, or from
//! a snapshot on; [`Session::hash`] is over these bytes. What is shown of it is [`View`]. What depends on the
//! present is beside it: [`rates()`]. What differs between two sessions is [`diff()`].
//!
//! A node's status follows the events of its generation and those of its requests: `request_enqueued` leaves it
//! waiting, `provider_request_sent` lets it wait for the provider, and `provider_response_received` completes it,
//! until an event of its generation says otherwise.

mod apply;
mod bounded;
mod diff;
mod durations;
mod generation;
mod nodes;
mod parts;
mod plans;
mod rates;
mod requests;
mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use bounded::Ends;
use nodes::Nodes;
use parts::{Provider, Queue, Recent, Request};
use plans::Plans;

use crate::event::{Class, Event, Timestamp};

pub use bounded::{MAX_NAME, MAX_NAMES, MAX_TEXT, Tally, cut};
pub use diff::{Change, Diff, MAX_CHANGES, Totals, diff};
pub use durations::Summary;
pub use nodes::{MAX_NODES, NodeStatus};
pub use parts::{Checks, Command, End, Failure, LeftOut, RequestStatus, Scan, Segment, Stats, Status, Watch};
pub use plans::{Counts, Level, MAX_LEVELS, MAX_PLANS, Plan, PlanStatus, Told};
pub use rates::{Rates, rates};
pub use view::{Calls, InFlight, LevelView, NodeView, QueueView, View};

/// The most requests in flight that are followed.
pub const MAX_REQUESTS: usize = 4096;
/// The most failures that are kept: the first half, and the last.
pub const MAX_FAILURES: usize = 1000;
/// The most segments that are kept: the first half, and the last.
pub const MAX_SEGMENTS: usize = 256;
/// The most models whose calls are counted apart; those of others are counted as `other`.
pub const MAX_PROVIDERS: usize = 64;

/// The layout of a snapshot and the meaning of what is in it. A fold that makes something else of the same events
/// must have another number, so that no older snapshot is taken for its own.
const FORMAT: u32 = 1;

/// What an event tells the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Its place in its stream.
    pub seq: u64,
    /// When it happened.
    pub ts: Timestamp,
    /// Its type.
    pub kind: &'a str,
    /// Its payload: a JSON object.
    pub data: &'a str,
}

/// The state of one session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session(Fold);

/// All that a snapshot has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Fold {
    seq: u64,
    status: Status,
    ingest_failed: bool,
    started: Option<Timestamp>,
    updated: Option<Timestamp>,
    ended: Option<Timestamp>,
    command: Command,
    end: Option<End>,
    segments: Ends<Segment>,
    plans: Plans,
    nodes: Nodes,
    counts: Counts,
    requests: BTreeMap<String, Request>,
    queue: Queue,
    providers: Vec<Provider>,
    checks: Checks,
    scan: Scan,
    watch: Watch,
    failures: Ends<Failure>,
    unknown: Tally,
    wrong: Tally,
    recent: Recent,
    left_out: LeftOut,
}

impl Session {
    /// Takes one event; one of another kind of stream, or that it has taken already, changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.session.class() == Class::Session {
            self.take(&Fact { seq: event.seq, ts: event.ts, kind: event.kind.as_str(), data: event.data.get() });
        }
    }

    /// The same, for who has an event of a session in parts.
    pub fn take(&mut self, fact: &Fact<'_>) {
        if fact.seq > self.0.seq {
            self.0.apply(fact);
        }
    }

    /// The seq of the last event that it took; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// How many nodes have each status, those included whose details were forgotten.
    pub fn counts(&self) -> Counts {
        self.0.counts
    }

    /// All that can be shown of it.
    pub fn view(&self) -> View {
        self.0.view()
    }

    /// The state as bytes; equal histories have equal ones. At most some 50 MiB, at the limits of everything.
    pub fn snapshot(&self) -> Vec<u8> {
        // There is nothing in it that could not be written: no map with keys of a kind, no length unknown.
        postcard::to_allocvec(&(FORMAT, &self.0)).unwrap_or_default()
    }

    /// Reads a snapshot; nothing where another version of the fold has made it, or it is damaged.
    pub fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = postcard::take_from_bytes::<u32>(bytes).ok()?;
        let fold = (format == FORMAT).then(|| postcard::from_bytes(rest).ok()).flatten()?;
        Some(Self(fold))
    }

    /// SHA-256 of the snapshot, in hex.
    pub fn hash(&self) -> String {
        Sha256::digest(self.snapshot()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Serialize for Session {
    /// As its [`View`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view().serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
