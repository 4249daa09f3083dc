//! Plans, levels and nodes.

use super::apply::Failed;
use super::bounded::own;
use super::nodes::{Node, Place};
use super::{Fact, Fold, Level, NodeStatus, Plan, PlanStatus, Told};
use crate::event::Timestamp;
use crate::event::session::{self, Text};

/// What an event says of which node it is about.
#[derive(Default)]
pub(super) struct About<'a> {
    pub(super) plan_id: Option<&'a str>,
    pub(super) level: Option<u64>,
    pub(super) id: Option<&'a str>,
    pub(super) path: Option<&'a str>,
}

/// The same from a payload that has all of it.
macro_rules! about {
    ($data:expr) => {
        About {
            plan_id: $data.plan_id.as_deref(),
            level: $data.level_index,
            id: $data.node_id.as_deref(),
            path: $data.path.as_deref(),
        }
    };
}

impl Fold {
    /// The number of a plan, which is added where it is new.
    pub(super) fn plan(&mut self, id: &str) -> u32 {
        if let Some(plan) = self.plans.find(id) {
            return plan;
        }
        if self.plans.is_full() {
            let before = self.plans.first;
            self.plans.forget_half();
            let first = self.plans.first;
            self.left_out.plans += u64::from(first - before);
            let gone: Vec<bool> =
                self.nodes.iter().map(|node| node.plan.is_some_and(|plan| plan < first)).collect();
            self.forget(&gone);
        }
        self.plans.add(id)
    }

    /// The node that an event is about, which is added where it is new; none where the event does not say.
    pub(super) fn node(&mut self, about: &About<'_>) -> Option<u32> {
        let id = about.id.or(about.path)?;
        if self.nodes.is_full() {
            let spare = self.nodes.spare();
            self.forget(&spare);
        }
        let plan = about.plan_id.map(|id| self.plan(id));
        let level = about.level.map(|level| u32::try_from(level).unwrap_or(u32::MAX));
        let same = |node: &Node| plan.is_none() || node.plan.is_none() || node.plan == plan;
        let at = match self.nodes.find(id).filter(|at| same(self.nodes.get(*at))) {
            Some(at) => at,
            None => {
                let at = self.nodes.add(id);
                self.nodes.get_mut(at).plan = plan;
                self.nodes.get_mut(at).level = level;
                self.count(at, true);
                at
            }
        };
        self.place(at, plan, level);
        if let Some(path) = about.path.filter(|_| self.nodes.get(at).path == Place::default()) {
            self.nodes.get_mut(at).path = self.nodes.keep(path);
        }
        Some(at)
    }

    /// Notes the plan and the level of a node, once an event has told them.
    fn place(&mut self, at: u32, plan: Option<u32>, level: Option<u32>) {
        let node = self.nodes.get(at);
        let (plan, level) = (plan.or(node.plan), level.or(node.level));
        if (plan, level) != (node.plan, node.level) {
            self.count(at, false);
            let node = self.nodes.get_mut(at);
            (node.plan, node.level) = (plan, level);
            self.count(at, true);
        }
    }

    /// Counts a node under its status, its plan and its level, or takes it out of these counts.
    fn count(&mut self, at: u32, add: bool) {
        let &Node { plan, level, status, .. } = self.nodes.get(at);
        let of_plan = plan.and_then(|plan| self.plans.get_mut(plan)).map(|plan| &mut plan.counts);
        if let Some(counts) = of_plan {
            if add { counts.add(status) } else { counts.take(status) }
        }
        let of_level = match level {
            Some(level) if add => self.plans.level_mut(plan, level),
            Some(level) => self.plans.known_level_mut(plan, level),
            None => None,
        };
        match of_level {
            Some(Level { counts, .. }) if add => counts.add(status),
            Some(Level { counts, .. }) => counts.take(status),
            None => self.left_out.levels += u64::from(add && level.is_some()),
        }
        if add { self.counts.add(status) } else { self.counts.take(status) }
    }

    /// Gives a node another status.
    pub(super) fn set(&mut self, at: u32, status: NodeStatus) {
        if self.nodes.get(at).status != status {
            self.count(at, false);
            self.nodes.get_mut(at).status = status;
            self.count(at, true);
        }
    }

    /// Forgets nodes. What is over stays in the counts; what goes on is counted anew when it is told of again.
    fn forget(&mut self, marked: &[bool]) {
        for at in (0..marked.len() as u32).filter(|at| marked[*at as usize]) {
            self.left_out.nodes += 1;
            if !self.nodes.get(at).status.is_over() {
                self.count(at, false);
            }
        }
        let moved = self.nodes.forget(marked);
        for request in self.requests.values_mut() {
            request.node = request.node.and_then(|at| moved[at as usize]);
        }
    }

    /// The milliseconds from the session's first event to a time.
    pub(super) fn relative(&self, at: Timestamp) -> i64 {
        at.as_millis().saturating_sub(self.started.unwrap_or_default().as_millis())
    }

    pub(super) fn plan_constructed(&mut self, fact: &Fact<'_>) {
        let data: session::PlanConstructed<'_> = self.read(fact);
        let Some(plan) = self.plan_mut(data.plan_id.as_ref()) else { return };
        *plan = Plan {
            id: std::mem::take(&mut plan.id),
            node_id: own(data.node_id),
            path: own(data.path),
            agent_id: own(data.agent_id),
            provider_name: own(data.provider_name),
            frame_type: own(data.frame_type),
            force: data.force,
            recursive: data.recursive,
            total_nodes: data.total_nodes,
            total_levels: data.total_levels,
            planned: Some(fact.ts),
            counts: plan.counts,
            ..Plan::default()
        };
    }

    /// The plan that an event names, which is added where it is new.
    fn plan_mut(&mut self, id: Option<&Text<'_>>) -> Option<&mut Plan> {
        let plan = self.plan(id?);
        self.plans.get_mut(plan)
    }

    pub(super) fn generation_started(&mut self, fact: &Fact<'_>) {
        let data: session::GenerationStarted<'_> = self.read(fact);
        let Some(plan) = self.plan_mut(data.plan_id.as_ref()) else { return };
        plan.status = PlanStatus::Running;
        plan.started = Some(fact.ts);
        plan.to_generate = data.total_nodes;
        plan.total_levels = data.total_levels.or(plan.total_levels);
    }

    pub(super) fn generation_completed(&mut self, fact: &Fact<'_>) {
        let data: session::GenerationCompleted<'_> = self.read(fact);
        let Some(plan) = self.plan_mut(data.plan_id.as_ref()) else { return };
        plan.status = PlanStatus::Completed;
        plan.ended = Some(fact.ts);
        plan.told =
            Some(Told { generated: data.generated_count, failed: data.failed_count, total: data.total_count });
    }

    pub(super) fn generation_failed(&mut self, fact: &Fact<'_>) {
        let data: session::GenerationFailed<'_> = self.read(fact);
        if let Some(plan) = self.plan_mut(data.plan_id.as_ref()) {
            plan.status = PlanStatus::Failed;
            plan.ended = Some(fact.ts);
            plan.error = own(data.error.clone());
            plan.error_type = own(data.error_type.clone());
        }
        self.failure(fact, Failed { error: data.error, error_type: data.error_type, ..Failed::default() });
    }

    pub(super) fn level_started(&mut self, fact: &Fact<'_>) {
        let data: session::LevelStarted<'_> = self.read(fact);
        let Some(level) = self.level(data.plan_id.as_ref(), data.level_index) else { return };
        level.started = Some(fact.ts);
        level.ended = None;
        level.total = data.total_count;
    }

    pub(super) fn level_completed(&mut self, fact: &Fact<'_>) {
        let data: session::LevelCompleted<'_> = self.read(fact);
        let Some(level) = self.level(data.plan_id.as_ref(), data.level_index) else { return };
        level.ended = Some(fact.ts);
        level.total = data.total_count.or(level.total);
        level.told =
            Some(Told { generated: data.generated_count, failed: data.failed_count, total: data.total_count });
    }

    fn level(&mut self, plan_id: Option<&Text<'_>>, index: Option<u64>) -> Option<&mut Level> {
        let index = u32::try_from(index?).unwrap_or(u32::MAX);
        let plan = plan_id.map(|id| self.plan(id));
        let level = self.plans.level_mut(plan, index);
        if level.is_none() {
            self.left_out.levels += 1;
        }
        level
    }

    pub(super) fn node_started(&mut self, fact: &Fact<'_>) {
        let data: session::NodeGenerationStarted<'_> = self.read(fact);
        let Some(at) = self.node(&about!(data)) else { return };
        let now = self.relative(fact.ts);
        let node = self.nodes.get_mut(at);
        node.started = Some(now);
        (node.ended, node.duration_ms) = (None, None);
        (node.detail, node.error_type) = (Place::default(), Place::default());
        self.set(at, NodeStatus::Generating);
    }

    pub(super) fn node_completed(&mut self, fact: &Fact<'_>) {
        let data: session::NodeGenerationCompleted<'_> = self.read(fact);
        let Some(at) = self.node(&about!(data)) else { return };
        self.end_node(at, fact.ts, data.duration_ms);
        self.set(at, NodeStatus::Complete);
        self.done(fact.ts);
    }

    pub(super) fn node_failed(&mut self, fact: &Fact<'_>) {
        let data: session::NodeGenerationFailed<'_> = self.read(fact);
        let failed = Failed {
            node_id: data.node_id.as_deref(),
            path: data.path.as_deref(),
            error: data.error.clone(),
            error_type: data.error_type.clone(),
        };
        self.failure(fact, failed);
        let Some(at) = self.node(&about!(data)) else { return };
        self.end_node(at, fact.ts, None);
        self.explain(at, data.error.as_deref(), data.error_type.as_deref());
        self.set(at, NodeStatus::Failed);
        self.done(fact.ts);
    }

    pub(super) fn node_skipped(&mut self, fact: &Fact<'_>) {
        let data: session::NodeSkipped<'_> = self.read(fact);
        let Some(at) = self.node(&about!(data)) else { return };
        self.end_node(at, fact.ts, None);
        self.explain(at, data.reason.as_deref(), None);
        self.set(at, NodeStatus::Skipped);
    }

    fn end_node(&mut self, at: u32, ts: Timestamp, duration_ms: Option<u64>) {
        let now = self.relative(ts);
        let node = self.nodes.get_mut(at);
        node.ended = Some(now);
        let took = |start: i64| u64::try_from(now.saturating_sub(start)).unwrap_or_default();
        node.duration_ms = duration_ms.or(node.started.map(took));
    }

    /// Why a node is not generated.
    fn explain(&mut self, at: u32, detail: Option<&str>, error_type: Option<&str>) {
        let detail = detail.map(|text| self.nodes.keep(text)).unwrap_or_default();
        let error_type = error_type.map(|text| self.nodes.keep(text)).unwrap_or_default();
        let node = self.nodes.get_mut(at);
        (node.detail, node.error_type) = (detail, error_type);
    }

    fn done(&mut self, ts: Timestamp) {
        if let Some(recent) = self.recent.at(ts) {
            recent.nodes += 1;
        }
    }
}
