//! What is shown of a session: the same state in plain parts, which is its JSON too.

use serde::{Deserialize, Serialize};

use super::nodes::Place;
use super::*;

/// A session, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// How it stands.
    pub status: Status,
    /// Whether its events could not be taken for too long.
    pub ingest_failed: bool,
    /// The last event.
    pub seq: u64,
    /// When the first event happened.
    pub started: Option<Timestamp>,
    /// When the last one did.
    pub updated: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What was started.
    pub command: Command,
    /// How it ended.
    pub end: Option<End>,
    /// Its segments, at most [`MAX_SEGMENTS`].
    pub segments: Vec<Segment>,
    /// Its plans in the order in which they were made, the last [`MAX_PLANS`].
    pub plans: Vec<Plan>,
    /// Their levels, plan by plan and then by index.
    pub levels: Vec<LevelView>,
    /// The nodes whose details are known, in the order in which they were first told of.
    pub nodes: Vec<NodeView>,
    /// How many nodes have each status, those included whose details are not known any more.
    pub counts: Counts,
    /// Requests that are not answered yet, by id.
    pub requests: Vec<InFlight>,
    /// The queue.
    pub queue: QueueView,
    /// Calls by provider and model, in the order in which they came.
    pub providers: Vec<Calls>,
    /// Checks of descendants.
    pub checks: Checks,
    /// The last scan.
    pub scan: Scan,
    /// Files that change.
    pub watch: Watch,
    /// What failed, in order, at most [`MAX_FAILURES`].
    pub failures: Vec<Failure>,
    /// Events of types that are not known.
    pub unknown: Tally,
    /// Fields of a wrong type, as `type.field`.
    pub wrong: Tally,
    /// What is counted and not shown.
    pub left_out: LeftOut,
}

/// A level, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LevelView {
    /// Its plan: a place in [`View::plans`].
    pub plan: Option<usize>,
    /// Its index; 0 goes first.
    pub index: u32,
    /// How it stands.
    #[serde(flatten)]
    pub level: Level,
}

impl LevelView {
    /// How many nodes are over, skipped ones not counted: what the program said at the end, else what was counted.
    pub fn done(&self) -> u64 {
        let told = self.level.told.and_then(|told| Some(told.generated?.saturating_add(told.failed?)));
        told.unwrap_or(self.level.counts.complete + self.level.counts.failed)
    }

    /// Of how many; without the program's word, the nodes that were told of.
    pub fn total(&self) -> u64 {
        let Counts { waiting, generating, provider_waiting, complete, failed, .. } = self.level.counts;
        let counted = waiting + generating + provider_waiting + complete + failed;
        self.level.total.unwrap_or(counted).max(self.done())
    }
}

/// A node, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeView {
    /// Its id.
    pub id: String,
    /// Its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its plan: a place in [`View::plans`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<usize>,
    /// The index of its level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// How far it has come.
    pub status: NodeStatus,
    /// When its generation began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When its request was put into the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<Timestamp>,
    /// When a worker took it from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing: Option<Timestamp>,
    /// When the provider was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long the provider had it, all attempts together.
    pub provider_ms: u64,
    /// How often the provider was asked.
    pub attempts: u32,
    /// Tokens that were sent.
    pub input_tokens: u64,
    /// Tokens that came back.
    pub output_tokens: u64,
    /// Why it failed, or why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The class of its failure.
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
}

impl NodeView {
    /// Its path, else its id.
    pub fn name(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.id)
    }
}

/// A request in flight, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InFlight {
    /// Its id.
    pub request_id: String,
    /// The node that it is for.
    pub node_id: Option<String>,
    /// That node's path.
    pub path: Option<String>,
    /// Where it stands.
    pub status: RequestStatus,
    /// Since when.
    pub since: Timestamp,
    /// The attempt, from 1.
    pub attempt: Option<u64>,
    /// The provider that has it.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
}

/// The queue, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueView {
    /// Requests that were put into it.
    pub enqueued: u64,
    /// Requests that were the same as one in flight.
    pub deduplicated: u64,
    /// Requests that a worker took.
    pub processed: u64,
    /// Requests that wait, as far as they are followed.
    pub pending: u64,
    /// How long they waited.
    pub waits: Summary,
    /// What it said of itself last.
    pub stats: Option<Stats>,
}

/// The calls of one model, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Requests that were sent, each attempt for itself.
    pub sent: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that failed.
    pub failed: u64,
    /// Attempts that were made again.
    pub retried: u64,
    /// Requests that it has now, as far as they are followed.
    pub in_flight: u64,
    /// Tokens that were sent, of answered requests.
    pub input_tokens: u64,
    /// Tokens that came back.
    pub output_tokens: u64,
    /// How long the answers took.
    pub durations: Summary,
    /// Failures by class.
    pub errors: Tally,
    /// The last failure's message.
    pub last_error: Option<String>,
}

impl Fold {
    pub(super) fn view(&self) -> View {
        View {
            status: self.status,
            ingest_failed: self.ingest_failed,
            seq: self.seq,
            started: self.started,
            updated: self.updated,
            ended: self.ended,
            command: self.command.clone(),
            end: self.end.clone(),
            segments: self.segments.iter().cloned().collect(),
            plans: self.plans.iter().map(|(_, plan)| plan.clone()).collect(),
            levels: self.levels(),
            nodes: self.nodes.iter().map(|node| self.node_view(node)).collect(),
            counts: self.counts,
            requests: self.requests.iter().map(|(id, request)| self.in_flight(id, request)).collect(),
            queue: self.queue_view(),
            providers: (0..).zip(&self.providers).map(|(at, provider)| self.calls(at, provider)).collect(),
            checks: self.checks,
            scan: self.scan.clone(),
            watch: self.watch.clone(),
            failures: self.failures.iter().cloned().collect(),
            unknown: self.unknown.clone(),
            wrong: self.wrong.clone(),
            left_out: LeftOut {
                failures: self.failures.left_out,
                segments: self.segments.left_out,
                ..self.left_out
            },
        }
    }

    fn place_of(&self, plan: u32) -> Option<usize> {
        plan.checked_sub(self.plans.first).map(|place| place as usize)
    }

    fn levels(&self) -> Vec<LevelView> {
        let level = |(plan, index, level): (Option<u32>, u32, &Level)| LevelView {
            plan: plan.and_then(|plan| self.place_of(plan)),
            index,
            level: level.clone(),
        };
        self.plans.levels().map(level).collect()
    }

    fn text(&self, place: Place) -> Option<String> {
        (place != Place::default()).then(|| self.nodes.text(place).to_owned())
    }

    fn node_view(&self, node: &nodes::Node) -> NodeView {
        let base = self.started.unwrap_or_default();
        let time = |at: Option<i64>| at.map(|at| base.plus_millis(at));
        NodeView {
            id: self.nodes.text(node.id).to_owned(),
            path: self.text(node.path),
            plan: node.plan.and_then(|plan| self.place_of(plan)),
            level: node.level,
            status: node.status,
            started: time(node.started),
            queued: time(node.queued),
            processing: time(node.processing),
            sent: time(node.sent),
            ended: time(node.ended),
            duration_ms: node.duration_ms,
            provider_ms: node.provider_ms,
            attempts: node.attempts,
            input_tokens: node.input_tokens,
            output_tokens: node.output_tokens,
            detail: self.text(node.detail),
            error_type: self.text(node.error_type),
        }
    }

    fn in_flight(&self, id: &str, request: &Request) -> InFlight {
        let node = request.node.map(|at| self.nodes.get(at));
        let provider = request.provider.map(|at| &self.providers[usize::from(at)]);
        InFlight {
            request_id: id.to_owned(),
            node_id: node.map(|node| self.nodes.text(node.id).to_owned()),
            path: node.and_then(|node| self.text(node.path)),
            status: request.status,
            since: request.since,
            attempt: request.attempt,
            provider: provider.map(|provider| provider.provider.clone()),
            model: provider.map(|provider| provider.model.clone()),
        }
    }

    fn queue_view(&self) -> QueueView {
        let queued = |request: &&Request| request.status == RequestStatus::Queued;
        QueueView {
            enqueued: self.queue.enqueued,
            deduplicated: self.queue.deduplicated,
            processed: self.queue.processed,
            pending: self.requests.values().filter(queued).count() as u64,
            waits: self.queue.waits.summary(),
            stats: self.queue.stats,
        }
    }

    fn calls(&self, at: u16, calls: &Provider) -> Calls {
        let with_it = |request: &&Request| request.provider == Some(at) && request.status == RequestStatus::Sent;
        Calls {
            provider: calls.provider.clone(),
            model: calls.model.clone(),
            sent: calls.sent,
            answered: calls.answered,
            failed: calls.failed,
            retried: calls.retried,
            in_flight: self.requests.values().filter(with_it).count() as u64,
            input_tokens: calls.input_tokens,
            output_tokens: calls.output_tokens,
            durations: calls.durations.summary(),
            errors: calls.errors.clone(),
            last_error: calls.last_error.clone(),
        }
    }
}
