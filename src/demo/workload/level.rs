//! One level while it is generated: up to eight nodes at once, four of their requests with the provider.

use serde_json::{Value, json};

use crate::event::session::kind;

use super::Workload;
use super::node::{Fate, Node};
use super::out::Out;

/// Nodes that are started at the same time.
const WIDTH: usize = 8;
/// Requests that the queue gives to the provider at the same time.
const SLOTS: usize = 4;
/// The queue tells of itself after so many events.
const STATS_EVERY: u64 = 64;
/// How often a provider is asked before a node is given up.
const ATTEMPTS: u32 = 3;

/// A level. Which node goes on next is told by a time of its own, `clock`, that only orders.
#[derive(Debug)]
pub(super) struct Level {
    plan_id: String,
    workload: Workload,
    index: u32,
    /// The next node to look at, and the total of those that are not skipped.
    next: u32,
    total: u64,
    only: Option<Node>,
    started: bool,
    tasks: Vec<Task>,
    clock: u64,
    pub(super) generated: u64,
    pub(super) failed: u64,
    pub(super) queue: Queue,
}

/// The queue's counts over the whole session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queue {
    requests: u64,
    completed: u64,
    failed: u64,
    told: u64,
}

/// A node on its way.
#[derive(Debug)]
struct Task {
    node: Node,
    stage: Stage,
    ready: u64,
    request: String,
    attempt: u32,
    started: u64,
    enqueued: u64,
    sent: u64,
}

/// What happens to it next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Start,
    Enqueue,
    /// It gets the answer to that request.
    Joined(String),
    Process,
    Send,
    Answer,
    Retry(&'static str),
    Done(Result<(), Failure>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure {
    error: &'static str,
    kind: &'static str,
}

const TIMEOUT: Failure = Failure { error: "no answer within 30 s", kind: "timeout" };
const BUSY: Failure = Failure { error: "429: too many requests", kind: "rate_limited" };
const REFUSED: Failure = Failure { error: "400: the prompt is longer than the context", kind: "context_length" };

impl Level {
    pub(super) fn first(plan_id: String, seed: u64, levels: u32, nodes: u32) -> Self {
        Self::new(plan_id, Workload { seed, levels, nodes, rate: 1 }, 0, Queue::default())
    }

    /// The only level of a plan with one node.
    pub(super) fn single(plan_id: String, node: Node, workload: Workload, queue: Queue) -> Self {
        let workload = Workload { levels: 1, nodes: 0, ..workload };
        Self { only: Some(node), total: 1, ..Self::new(plan_id, workload, 0, queue) }
    }

    fn new(plan_id: String, workload: Workload, index: u32, queue: Queue) -> Self {
        let generated = |node: &u32| Fate::of(workload.seed, index, *node) != Fate::Skipped;
        let total = (0..workload.nodes).filter(generated).count() as u64;
        Self {
            plan_id,
            workload,
            index,
            next: 0,
            total,
            only: None,
            started: false,
            tasks: Vec::with_capacity(WIDTH),
            clock: 0,
            generated: 0,
            failed: 0,
            queue,
        }
    }

    /// The level above it.
    pub(super) fn next(self) -> Option<Self> {
        let index = self.index + 1;
        (index < self.workload.levels).then(|| Self::new(self.plan_id, self.workload, index, self.queue))
    }

    /// Emits the next event or two; `false` when the level is over.
    pub(super) fn step(&mut self, out: &mut Out) -> bool {
        if !self.started {
            self.started = true;
            let level = json!({
                "plan_id": self.plan_id, "level_index": self.index, "total_count": self.total,
            });
            out.emit(kind::LEVEL_STARTED, level);
        }
        self.fill();
        let Some(at) = self.choose() else {
            out.emit(
                kind::LEVEL_COMPLETED,
                json!({
                    "plan_id": self.plan_id, "level_index": self.index, "generated_count": self.generated,
                    "failed_count": self.failed, "total_count": self.total,
                }),
            );
            return false;
        };
        self.clock = self.clock.max(self.tasks[at].ready);
        self.act(at, out);
        if out.made() >= self.queue.told + STATS_EVERY {
            self.tell(out);
        }
        true
    }

    /// Starts nodes while there is room.
    fn fill(&mut self) {
        while self.tasks.len() < WIDTH {
            let Some(mut node) = self.only.take().or_else(|| self.next_node()) else { return };
            let ready = self.clock + node.between(0, 4);
            self.tasks.push(Task {
                node,
                stage: Stage::Start,
                ready,
                request: String::new(),
                attempt: 1,
                started: 0,
                enqueued: 0,
                sent: 0,
            });
        }
    }

    fn next_node(&mut self) -> Option<Node> {
        let Workload { seed, levels, nodes, .. } = self.workload;
        while self.next < nodes {
            let (index, fate) = (self.next, Fate::of(seed, self.index, self.next));
            self.next += 1;
            if fate != Fate::Skipped {
                return Some(Node::new(seed, levels, self.index, index, fate));
            }
        }
        None
    }

    fn in_slot(&self) -> usize {
        let with_provider = |task: &&Task| matches!(task.stage, Stage::Send | Stage::Answer | Stage::Retry(_));
        self.tasks.iter().filter(with_provider).count()
    }

    /// The task that is ready first, among those that wait for nobody.
    fn choose(&self) -> Option<usize> {
        let free = self.in_slot() < SLOTS;
        let may = |task: &Task| match task.stage {
            Stage::Joined(_) => false,
            Stage::Process => free,
            _ => true,
        };
        let ready = self.tasks.iter().enumerate().filter(|(_, task)| may(task));
        ready.min_by_key(|(at, task)| (task.ready, *at)).map(|(at, _)| at)
    }

    /// Takes one task one stage on.
    fn act(&mut self, at: usize, out: &mut Out) {
        match self.tasks[at].stage.clone() {
            Stage::Start => {
                self.tasks[at].started = out.now();
                out.emit(kind::NODE_GENERATION_STARTED, self.about(at));
                self.then(at, Stage::Enqueue, 1, 4);
            }
            Stage::Enqueue => self.enqueue(at, out),
            Stage::Joined(_) => {}
            Stage::Process => {
                let task = &self.tasks[at];
                let wait = out.now() - task.enqueued;
                out.emit(
                    kind::REQUEST_PROCESSING,
                    json!({
                        "request_id": task.request, "node_id": task.node.id, "wait_ms": wait,
                    }),
                );
                self.then(at, Stage::Send, 1, 4);
            }
            Stage::Send => {
                self.tasks[at].sent = out.now();
                out.emit(kind::PROVIDER_REQUEST_SENT, self.request(at));
                // Most answers come soon, some late.
                let slow = self.tasks[at].node.between(0, 32) == 0;
                self.then(at, Stage::Answer, if slow { 300 } else { 20 }, if slow { 600 } else { 120 });
            }
            Stage::Answer => self.answer(at, out),
            Stage::Retry(kind) => self.retry(at, kind, out),
            Stage::Done(result) => self.done(at, result, out),
        }
    }

    fn then(&mut self, at: usize, stage: Stage, least: u64, end: u64) {
        let task = &mut self.tasks[at];
        task.stage = stage;
        task.ready = self.clock + task.node.between(least, end);
    }

    fn about(&self, at: usize) -> Value {
        let Node { id, path, .. } = &self.tasks[at].node;
        json!({ "plan_id": self.plan_id, "level_index": self.index, "node_id": id, "path": path })
    }

    fn request(&self, at: usize) -> Value {
        let Task { node, request, attempt, .. } = &self.tasks[at];
        json!({
            "request_id": request, "node_id": node.id, "attempt": attempt, "provider": "openai",
            "model": if self.index == 0 { "gpt-4.1-mini" } else { "gpt-4.1" }, "operation": "chat",
        })
    }

    fn enqueue(&mut self, at: usize, out: &mut Out) {
        self.queue.requests += 1;
        let request = format!("{}-r{}", self.plan_id, self.queue.requests);
        let in_flight =
            |task: &&Task| matches!(task.stage, Stage::Process | Stage::Send | Stage::Answer | Stage::Retry(_));
        let original = self.tasks.iter().find(in_flight);
        let original = original.map(|task| task.request.clone());
        let task = &mut self.tasks[at];
        task.enqueued = out.now();
        task.request = request;
        out.emit(kind::REQUEST_ENQUEUED, json!({
            "request_id": task.request, "plan_id": self.plan_id, "node_id": task.node.id, "path": task.node.path,
        }));
        match original {
            Some(original) if task.node.fate == Fate::Shared => {
                out.emit(
                    kind::REQUEST_DEDUPLICATED,
                    json!({
                        "request_id": task.request, "node_id": task.node.id, "original_request_id": original,
                    }),
                );
                self.then(at, Stage::Joined(original), 1, 2);
            }
            _ => self.then(at, Stage::Process, 1, 4),
        }
    }

    fn answer(&mut self, at: usize, out: &mut Out) {
        let task = &mut self.tasks[at];
        let failure = match task.node.fate {
            Fate::Generated { failures } if task.attempt <= failures => Some(BUSY),
            Fate::TimedOut => Some(TIMEOUT),
            Fate::Refused => Some(REFUSED),
            _ => None,
        };
        let (input, output) = (task.node.between(400, 6000), task.node.between(80, 900));
        let duration = out.now() - task.sent;
        let last = task.attempt >= ATTEMPTS || failure == Some(REFUSED);
        let mut data = self.request(at);
        data["duration_ms"] = json!(duration);
        let Some(failure) = failure else {
            data["input_tokens"] = json!(input);
            data["output_tokens"] = json!(output);
            data["finish_reason"] = json!("stop");
            out.emit(kind::PROVIDER_RESPONSE_RECEIVED, data);
            return self.then(at, Stage::Done(Ok(())), 1, 6);
        };
        data["error"] = json!(failure.error);
        data["error.type"] = json!(failure.kind);
        out.emit(kind::PROVIDER_REQUEST_FAILED, data);
        if last {
            self.then(at, Stage::Done(Err(failure)), 1, 6);
        } else {
            self.then(at, Stage::Retry(failure.kind), 1, 3);
        }
    }

    fn retry(&mut self, at: usize, kind: &'static str, out: &mut Out) {
        self.tasks[at].attempt += 1;
        let mut data = self.request(at);
        data["retry_after"] = json!(f64::from(self.tasks[at].attempt - 1));
        data["error.type"] = json!(kind);
        out.emit(kind::PROVIDER_REQUEST_RETRYING, data);
        self.then(at, Stage::Send, 30, 60);
    }

    /// The node is over, and so will be those that wait for the same answer.
    fn done(&mut self, at: usize, result: Result<(), Failure>, out: &mut Out) {
        let mut data = self.about(at);
        match result {
            Ok(()) => {
                data["duration_ms"] = json!(out.now() - self.tasks[at].started);
                out.emit(kind::NODE_GENERATION_COMPLETED, data);
                self.generated += 1;
                self.queue.completed += 1;
            }
            Err(failure) => {
                data["error"] = json!(failure.error);
                data["error.type"] = json!(failure.kind);
                out.emit(kind::NODE_GENERATION_FAILED, data);
                self.failed += 1;
                self.queue.failed += 1;
            }
        }
        let over = self.tasks.remove(at);
        for task in &mut self.tasks {
            if matches!(&task.stage, Stage::Joined(original) if *original == over.request) {
                task.stage = Stage::Done(result);
                task.ready = self.clock + 1;
            }
        }
    }

    fn tell(&mut self, out: &mut Out) {
        self.queue.told = out.made();
        let processing = self.in_slot();
        let pending = self.tasks.iter().filter(|task| task.stage == Stage::Process).count();
        out.emit(
            kind::QUEUE_STATS,
            json!({
                "pending": pending, "processing": processing, "completed": self.queue.completed,
                "failed": self.queue.failed,
            }),
        );
    }
}
