//! What the fold keeps of a session beside its plans and nodes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bounded::Tally;
use super::durations::Durations;
use crate::event::Timestamp;

/// How a session stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Somebody may still write to it.
    #[default]
    Active,
    /// It has ended, well.
    Completed,
    /// It has ended in failure, or its events could not be taken for too long.
    Failed,
    /// Its writer is gone.
    Interrupted,
}

/// What was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program.
    pub command: Option<String>,
    /// The command in short.
    pub command_summary: Option<String>,
    /// Its arguments, the first 64.
    pub args: Vec<String>,
    /// The folder that it runs in.
    pub cwd: Option<String>,
    /// Who started it.
    pub user: Option<String>,
    /// Where.
    pub host: Option<String>,
    /// The revision of the folder.
    pub git_revision: Option<String>,
    /// The name that was given to the session.
    pub name: Option<String>,
    /// The service that it belongs to.
    pub service: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code.
    pub exit_code: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// What the program counted, the first 64 by name.
    pub counts: std::collections::BTreeMap<String, u64>,
    /// Whether a person closed it, as nobody would resume it.
    pub closed: bool,
    /// Why it ended.
    pub reason: Option<String>,
}

/// One stretch between start, or resume, and end, or interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// 1, 2, 3…
    pub number: u64,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; none while it goes on.
    pub end: Option<Timestamp>,
    /// Why the session was interrupted there, where it was.
    pub interrupted: Option<String>,
}

/// A failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The event that told of it.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The type of that event.
    #[serde(rename = "type")]
    pub kind: String,
    /// The node that failed.
    pub node_id: Option<String>,
    /// Its path.
    pub path: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// The class of the failure.
    #[serde(rename = "error.type")]
    pub error_type: Option<String>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// In the queue.
    #[default]
    Queued,
    /// A worker has it.
    Processing,
    /// The provider has it.
    Sent,
    /// It failed, and is sent again after a while.
    Retrying,
}

/// A request that is not answered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) node: Option<u32>,
    pub(super) status: RequestStatus,
    pub(super) since: Timestamp,
    pub(super) attempt: Option<u64>,
    /// Which of the providers.
    pub(super) provider: Option<u16>,
}

/// The calls of one model of one provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Provider {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) retried: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) durations: Durations,
    pub(super) errors: Tally,
    pub(super) last_error: Option<String>,
}

/// The queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) enqueued: u64,
    pub(super) deduplicated: u64,
    pub(super) processed: u64,
    pub(super) waits: Durations,
    pub(super) stats: Option<Stats>,
}

/// What the queue said of itself last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// When.
    pub at: Timestamp,
    /// Requests that wait.
    pub pending: Option<u64>,
    /// Requests that a worker has.
    pub processing: Option<u64>,
    /// Requests that were answered.
    pub completed: Option<u64>,
    /// Requests that failed.
    pub failed: Option<u64>,
}

/// The last scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// How many scans there have been.
    pub scans: u64,
    /// What is scanned.
    pub path: Option<String>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Nodes found so far.
    pub node_count: u64,
    /// Nodes expected.
    pub total_nodes: Option<u64>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// What was seen of files that change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What is watched.
    pub path: Option<String>,
    /// Since when.
    pub started: Option<Timestamp>,
    /// Changes by their kind.
    pub changes: Tally,
    /// The file that changed last.
    pub last_path: Option<String>,
    /// Batches that were processed.
    pub batches: u64,
    /// Changes in them.
    pub batched: u64,
    /// Nodes that they affected.
    pub affected_nodes: u64,
}

/// Checks of descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Begun.
    pub started: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
}

/// What there was no room for: it is counted and not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Nodes whose details were forgotten.
    pub nodes: u64,
    /// Plans that were forgotten.
    pub plans: u64,
    /// Events of levels that are not kept.
    pub levels: u64,
    /// Requests in flight that are not followed.
    pub requests: u64,
    /// Failures.
    pub failures: u64,
    /// Segments.
    pub segments: u64,
}

/// What happened lately, in buckets of five seconds by the events' own time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    buckets: VecDeque<Bucket>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    number: i64,
    sum: Sum,
}

/// Counts of what happened in a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) events: u64,
    pub(super) nodes: u64,
    pub(super) tokens: u64,
}

/// How long a bucket is, in milliseconds.
const BUCKET_MS: i64 = 5000;
/// How many are kept.
const BUCKETS: i64 = 12;
/// How far back they reach, in milliseconds.
pub(super) const RECENT_MS: i64 = BUCKET_MS * BUCKETS;

impl Recent {
    /// The bucket of a time; what is older than all that are kept is not counted.
    pub(super) fn at(&mut self, at: Timestamp) -> Option<&mut Sum> {
        let number = at.as_millis().div_euclid(BUCKET_MS);
        let newest = self.buckets.back().map_or(i64::MIN, |bucket| bucket.number);
        if number > newest {
            self.buckets.push_back(Bucket { number, ..Bucket::default() });
            self.buckets.retain(|bucket| bucket.number > number - BUCKETS);
        }
        self.buckets.iter_mut().rev().find(|bucket| bucket.number == number).map(|bucket| &mut bucket.sum)
    }

    /// What happened in the buckets that begin less than [`RECENT_MS`] before a time.
    pub(super) fn before(&self, now: Timestamp) -> Sum {
        let number = now.as_millis().div_euclid(BUCKET_MS);
        let within = |bucket: &&Bucket| bucket.number > number - BUCKETS && bucket.number <= number;
        self.buckets.iter().filter(within).fold(Sum::default(), |sum, bucket| Sum {
            events: sum.events + bucket.sum.events,
            nodes: sum.nodes + bucket.sum.nodes,
            tokens: sum.tokens.saturating_add(bucket.sum.tokens),
        })
    }
}
