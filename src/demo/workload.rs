//! The standard workload: a whole session of generation work, the same events for the same seed.
//!
//! A scan, a plan with its checks, levels of nodes whose requests wait in a queue and go to a provider, which
//! answers, fails, or has to be asked again, then a watch and a small second plan that fails. Nothing in here
//! looks at a clock: a step says how long after the session's start it happens, and every duration in a payload
//! is the time between two steps.

mod level;
mod node;
mod out;

use serde_json::json;

use crate::event::session::kind;
use level::{Level, Queue};
use node::{Fate, Node, node_id, path};
use out::Out;

/// What the session is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Chooses everything that is left to chance.
    pub seed: u64,
    /// Levels of the plan, 1 to 10,000; level 0, the leaves, goes first.
    pub levels: u32,
    /// Nodes a level, 1 to 100,000.
    pub nodes: u32,
    /// Events a second, 1 to 1,000,000, evenly.
    pub rate: u32,
}

impl Default for Workload {
    /// A small session of some 350 events in which every type occurs.
    fn default() -> Self {
        Self { seed: 1, levels: 4, nodes: 12, rate: 100 }
    }
}

/// One event of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the session's start.
    pub at_ms: u64,
    /// Its type.
    pub kind: &'static str,
    /// Its payload: a JSON object.
    pub data: String,
}

impl Workload {
    /// A session of about so many events, within five percent from 2,000 events on.
    pub fn of_events(seed: u64, events: u64) -> Self {
        // A node makes some six and a half, its part of the checks and of the queue's included.
        let nodes = events.saturating_sub(70) as f64 / 6.45;
        let levels = (nodes.sqrt() / 10.0).clamp(4.0, 40.0).round();
        Self { seed, levels: levels as u32, nodes: (nodes / levels).round().max(1.0) as u32, rate: 10_000 }
    }

    /// Its events, from `session_started` to `session_ended`, made one after the other.
    pub fn steps(&self) -> Steps {
        let levels = self.levels.clamp(1, 10_000);
        let nodes = self.nodes.clamp(1, 100_000);
        let workload = Self { levels, nodes, rate: self.rate.clamp(1, 1_000_000), ..*self };
        let out = Out::new(workload.rate);
        Steps { workload, out, phase: Phase::Start, plan: Plan::default(), queue: Queue::default() }
    }
}

/// The events of a [`Workload`].
#[derive(Debug)]
pub struct Steps {
    workload: Workload,
    out: Out,
    phase: Phase,
    plan: Plan,
    queue: Queue,
}

/// What comes next.
#[derive(Debug)]
enum Phase {
    Start,
    Scan(u32),
    Plan,
    Check { level: u32, index: u32 },
    Generate,
    Level(Box<Level>),
    Finish,
    Watch,
    SecondLevel(Box<Level>),
    End,
    Over,
}

/// What has come of the plan so far.
#[derive(Debug, Default)]
struct Plan {
    skipped: u64,
    generated: u64,
    failed: u64,
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.out.take() {
                return Some(step);
            }
            let phase = std::mem::replace(&mut self.phase, Phase::Over);
            if matches!(phase, Phase::Over) {
                return None;
            }
            self.phase = self.advance(phase);
        }
    }
}

impl Steps {
    /// Emits what belongs to a phase, or a part of it, and tells what follows.
    fn advance(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Start => self.start(),
            Phase::Scan(tenths) => self.scan(tenths),
            Phase::Plan => self.plan(),
            Phase::Check { level, index } => self.check(level, index),
            Phase::Generate => self.generate(),
            Phase::Level(mut level) => {
                if level.step(&mut self.out) {
                    return Phase::Level(level);
                }
                self.plan.generated += level.generated;
                self.plan.failed += level.failed;
                self.queue = level.queue;
                match level.next() {
                    Some(next) => Phase::Level(Box::new(next)),
                    None => Phase::Finish,
                }
            }
            Phase::Finish => self.finish(),
            Phase::Watch => self.watch(),
            Phase::SecondLevel(mut level) => {
                if level.step(&mut self.out) {
                    return Phase::SecondLevel(level);
                }
                self.fail_second()
            }
            Phase::End => self.end(),
            Phase::Over => Phase::Over,
        }
    }

    fn plan_id(&self, number: u32) -> String {
        format!("plan-{}-{number}", self.workload.seed)
    }

    fn total(&self) -> u64 {
        u64::from(self.workload.levels) * u64::from(self.workload.nodes)
    }

    fn start(&mut self) -> Phase {
        self.out.emit(
            kind::SESSION_STARTED,
            json!({
                "command": "context", "args": ["generate", "src", "--recursive"], "cwd": "/home/dev/project",
                "command_summary": "context generate src --recursive", "user": "dev", "host": "workstation",
                "git_revision": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "name": "standard workload",
                "service": "context",
            }),
        );
        self.out.emit(kind::SCAN_STARTED, json!({ "path": "src", "total_nodes": self.total() }));
        Phase::Scan(0)
    }

    /// Progress every tenth of the way.
    fn scan(&mut self, tenths: u32) -> Phase {
        let total = self.total();
        if tenths < 10 {
            let seen = total * u64::from(tenths + 1) / 10;
            self.out.emit(kind::SCAN_PROGRESS, json!({ "node_count": seen, "total_nodes": total }));
            return Phase::Scan(tenths + 1);
        }
        let duration = self.out.now() - self.out.at(1);
        self.out.emit(
            kind::SCAN_COMPLETED,
            json!({ "node_count": total, "total_nodes": total, "duration_ms": duration }),
        );
        Phase::Plan
    }

    fn plan(&mut self) -> Phase {
        self.out.emit(
            kind::PLAN_CONSTRUCTED,
            json!({
                "plan_id": self.plan_id(1), "node_id": node_id(self.workload.seed, self.workload.levels, 0),
                "path": "src", "agent_id": "writer", "provider_name": "openai", "frame_type": "context",
                "force": false, "recursive": true, "total_nodes": self.total(),
                "total_levels": self.workload.levels,
            }),
        );
        Phase::Check { level: 0, index: 0 }
    }

    /// A node that has descendants is checked; one that need not or cannot be generated is skipped.
    fn check(&mut self, level: u32, index: u32) -> Phase {
        let Workload { seed, levels, nodes, .. } = self.workload;
        let fate = Fate::of(seed, level, index);
        let (plan_id, id, path) = (self.plan_id(1), node_id(seed, level, index), path(levels, level, index));
        let node = json!({ "plan_id": plan_id, "node_id": id, "path": path });
        // Looking at every directory of a large tree would drown the rest: one in eight, and all that fail.
        if level > 0 && (fate == Fate::Skipped || index.is_multiple_of(8)) {
            self.out.emit(kind::DESCENDANT_CHECK_STARTED, node.clone());
            if fate == Fate::Skipped {
                let mut data = node.clone();
                let child_path = node::path(levels, level - 1, (index * 2).min(nodes - 1));
                data["missing"] = json!([child_path]);
                self.out.emit(kind::DESCENDANT_CHECK_FAILED, data);
            } else {
                self.out.emit(kind::DESCENDANT_CHECK_PASSED, node.clone());
            }
        }
        if fate == Fate::Skipped {
            let reason = if level > 0 { "descendants_missing" } else { "up_to_date" };
            let mut data = node;
            data["level_index"] = json!(level);
            data["reason"] = json!(reason);
            self.out.emit(kind::NODE_SKIPPED, data);
            self.plan.skipped += 1;
        }
        match (level + 1 < levels, index + 1 < nodes) {
            (_, true) => Phase::Check { level, index: index + 1 },
            (true, false) => Phase::Check { level: level + 1, index: 0 },
            (false, false) => Phase::Generate,
        }
    }

    fn generate(&mut self) -> Phase {
        let Workload { seed, levels, nodes, .. } = self.workload;
        let plan_id = self.plan_id(1);
        let left = self.total() - self.plan.skipped;
        self.out.emit(
            kind::GENERATION_STARTED,
            json!({ "plan_id": plan_id, "total_nodes": left, "total_levels": levels }),
        );
        Phase::Level(Box::new(Level::first(plan_id, seed, levels, nodes)))
    }

    fn finish(&mut self) -> Phase {
        let data = json!({
            "plan_id": self.plan_id(1), "generated_count": self.plan.generated,
            "failed_count": self.plan.failed, "total_count": self.plan.generated + self.plan.failed,
        });
        self.out.emit(kind::GENERATION_COMPLETED, data);
        Phase::Watch
    }

    /// A file is changed, and its node planned again.
    fn watch(&mut self) -> Phase {
        let Workload { seed, levels, .. } = self.workload;
        let (plan_id, path) = (self.plan_id(2), path(levels, 0, 0));
        self.out.emit(kind::WATCH_STARTED, json!({ "path": "src" }));
        for kind in ["modified", "modified", "created"] {
            self.out.emit(kind::FILE_CHANGED, json!({ "kind": kind, "path": path }));
        }
        self.out.emit(kind::BATCH_PROCESSED, json!({ "event_count": 3, "affected_nodes": 1 }));
        self.out.emit(
            kind::PLAN_CONSTRUCTED,
            json!({
                "plan_id": plan_id, "node_id": node_id(seed, 0, 0), "path": path, "agent_id": "writer",
                "provider_name": "openai", "frame_type": "context", "force": true, "recursive": false,
                "total_nodes": 1, "total_levels": 1,
            }),
        );
        let data = json!({ "plan_id": plan_id, "total_nodes": 1, "total_levels": 1 });
        self.out.emit(kind::GENERATION_STARTED, data);
        let node = Node::new(seed, levels, 0, 0, Fate::Refused);
        Phase::SecondLevel(Box::new(Level::single(plan_id, node, self.workload, self.queue)))
    }

    fn fail_second(&mut self) -> Phase {
        let data = json!({
            "plan_id": self.plan_id(2), "error": "1 of 1 nodes failed", "error.type": "node_generation_failed",
        });
        self.out.emit(kind::GENERATION_FAILED, data);
        Phase::End
    }

    fn end(&mut self) -> Phase {
        let Plan { skipped, generated, failed } = self.plan;
        let counts = json!({ "generated": generated, "failed": failed + 1, "skipped": skipped });
        self.out.emit(kind::SESSION_ENDED, json!({ "status": "completed", "exit_code": 0, "counts": counts }));
        Phase::Over
    }
}

#[cfg(test)]
mod tests;
