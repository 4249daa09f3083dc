//! Generations, levels and nodes.

use super::{End, Of, On, Open, Outcome, Session, Set, Text, name, own};
use crate::event::session::{
    GenerationCompleted, GenerationFailed, GenerationStarted, LevelCompleted, LevelStarted,
    NodeGenerationCompleted, NodeGenerationFailed, NodeGenerationStarted, NodeSkipped, PlanConstructed,
};
use crate::otel::span::Role;
use crate::otel::track::open::Key;
use crate::otel::{SpanId, names};

/// What an event says of which node it is about.
pub(super) struct About<'a, 'b> {
    pub(super) plan: Option<&'b Text<'a>>,
    pub(super) level: Option<u64>,
    pub(super) node: Option<&'b Text<'a>>,
    pub(super) path: Option<&'b Text<'a>>,
}

/// The same from a payload that has all of it.
macro_rules! about {
    ($data:expr) => {
        About {
            plan: $data.plan_id.as_ref(),
            level: $data.level_index,
            node: $data.node_id.as_ref(),
            path: $data.path.as_ref(),
        }
    };
}

impl About<'_, '_> {
    /// The node's id, else its path.
    pub(super) fn id(&self) -> Option<&str> {
        self.node.or(self.path).map(|id| name(id))
    }

    pub(super) fn attributes(&self) -> Set {
        Set::default()
            .text(names::PLAN_ID, self.plan.map(Text::as_str))
            .some(names::LEVEL_INDEX, self.level)
            .text(names::NODE_ID, self.node.map(Text::as_str))
            .text(names::NODE_PATH, self.path.map(Text::as_str))
    }
}

impl Session {
    pub(super) fn plan_constructed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: PlanConstructed<'_> = on.read();
        let plan = own(data.plan_id.as_ref())?;
        let about = Set::default()
            .text(names::NODE_ID, data.node_id.as_deref())
            .text(names::NODE_PATH, data.path.as_deref())
            .text(names::GEN_AI_AGENT_ID, data.agent_id.as_deref())
            .text(names::GEN_AI_PROVIDER_NAME, data.provider_name.as_deref())
            .text(names::PLAN_FRAME_TYPE, data.frame_type.as_deref())
            .some(names::PLAN_FORCE, data.force)
            .some(names::PLAN_RECURSIVE, data.recursive)
            .some(names::NODE_TOTAL_COUNT, data.total_nodes)
            .some(names::LEVEL_TOTAL_COUNT, data.total_levels);
        if let Some(key) = self.generations.get(&plan).copied() {
            self.open.edit(key, |open| open.attributes.merge(about));
            return self.span_id(key);
        }
        self.plans.retain(|(known, _)| *known != plan);
        if self.plans.len() >= super::MAX_PLANS {
            self.plans.pop_front();
        }
        self.plans.push_back((plan, about));
        None
    }

    pub(super) fn generation_started(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: GenerationStarted<'_> = on.read();
        let plan = own(data.plan_id.as_ref())?;
        self.supersede(self.generations.get(&plan).copied(), on);
        let at = self.plans.iter().position(|(known, _)| *known == plan);
        let mut about = at.and_then(|at| self.plans.remove(at)).map(|(_, about)| about).unwrap_or_default();
        let more = Set::default()
            .with(names::PLAN_ID, plan.clone())
            .some(names::NODE_TOTAL_COUNT, data.total_nodes)
            .some(names::LEVEL_TOTAL_COUNT, data.total_levels);
        about.merge(more);
        let open = Open::new(Role::Generation, on.ts, "generation", Of::Generation(plan.clone()));
        let key = self.open(Open { attributes: about, ..open }, self.root, on);
        self.generations.insert(plan, key);
        self.span_id(key)
    }

    pub(super) fn generation_completed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: GenerationCompleted<'_> = on.read();
        let key = *self.generations.get(&own(data.plan_id.as_ref())?)?;
        let counts = counts(data.generated_count, data.failed_count, data.total_count);
        self.close(key, End::new(on.ts, Outcome::Completed).with(counts), on)
    }

    pub(super) fn generation_failed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: GenerationFailed<'_> = on.read();
        let key = *self.generations.get(&own(data.plan_id.as_ref())?)?;
        self.close(key, End::failed(on.ts, data.error.as_deref(), data.error_type.as_deref()), on)
    }

    pub(super) fn level_started(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: LevelStarted<'_> = on.read();
        let plan = own(data.plan_id.as_ref());
        let Some(index) = data.level_index else { return self.generation(plan.as_deref()) };
        let at = (plan.clone(), index);
        self.supersede(self.levels.get(&at).copied(), on);
        let attributes = Set::default()
            .some(names::PLAN_ID, plan.clone())
            .with(names::LEVEL_INDEX, index)
            .some(names::NODE_TOTAL_COUNT, data.total_count);
        let parent = plan.as_ref().and_then(|plan| self.generations.get(plan)).copied();
        let open = Open::new(Role::Level, on.ts, format!("level {index}"), Of::Level(plan, index));
        let key = self.open(Open { attributes, ..open }, parent, on);
        self.levels.insert(at, key);
        self.span_id(key)
    }

    pub(super) fn level_completed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: LevelCompleted<'_> = on.read();
        let plan = own(data.plan_id.as_ref());
        let level = data.level_index.and_then(|index| self.levels.get(&(plan.clone(), index)).copied());
        let Some(key) = level else { return self.generation(plan.as_deref()) };
        let counts = counts(data.generated_count, data.failed_count, data.total_count);
        self.close(key, End::new(on.ts, Outcome::Completed).with(counts), on)
    }

    pub(super) fn node_started(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: NodeGenerationStarted<'_> = on.read();
        let about = about!(data);
        let above = self.above(&about);
        let Some(id) = about.id().map(str::to_owned) else { return above.and_then(|key| self.span_id(key)) };
        self.supersede(self.node(&about), on);
        let plan = own(about.plan);
        let open = Open::new(Role::Node, on.ts, "node", Of::Node(id.clone(), plan.clone()));
        let key = self.open(Open { attributes: about.attributes(), ..open }, above, on);
        self.nodes.entry(id).or_default().push((plan, key));
        self.span_id(key)
    }

    pub(super) fn node_completed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: NodeGenerationCompleted<'_> = on.read();
        self.end_node(&about!(data), End::new(on.ts, Outcome::Completed), on)
    }

    pub(super) fn node_failed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: NodeGenerationFailed<'_> = on.read();
        let end = End::failed(on.ts, data.error.as_deref(), data.error_type.as_deref());
        self.end_node(&about!(data), end, on)
    }

    /// A node that is not generated: no time passes, unless it had begun.
    pub(super) fn node_skipped(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: NodeSkipped<'_> = on.read();
        let about = about!(data);
        let why = Set::default().text(names::NODE_SKIP_REASON, data.reason.as_deref());
        let end = End::new(on.ts, Outcome::Skipped).with(why);
        if self.node(&about).is_some() {
            return self.end_node(&about, end, on);
        }
        let open = Open::new(Role::NodeSkipped, on.ts, "node skipped", Of::Root);
        let key = self.open(Open { attributes: about.attributes(), ..open }, self.above(&about), on);
        self.close(key, end, on)
    }

    fn end_node(&mut self, about: &About<'_, '_>, end: End, on: &mut On<'_>) -> Option<SpanId> {
        let Some(key) = self.node(about) else { return self.above(about).and_then(|key| self.span_id(key)) };
        self.decide(key, on);
        self.close(key, end, on)
    }

    /// The newest open node with that id, of that plan where both are known.
    pub(super) fn node(&self, about: &About<'_, '_>) -> Option<Key> {
        let plan = about.plan.map(|plan| name(plan));
        let same = |of: &Option<String>| plan.is_none() || of.is_none() || of.as_deref() == plan;
        let nodes = self.nodes.get(about.id()?)?;
        nodes.iter().rev().find(|(of, _)| same(of)).map(|(_, key)| *key)
    }

    /// What a node stands below: its level, else its generation.
    fn above(&self, about: &About<'_, '_>) -> Option<Key> {
        let plan = own(about.plan);
        let generation = plan.as_ref().and_then(|plan| self.generations.get(plan)).copied();
        let level = about.level.and_then(|index| self.levels.get(&(plan, index))).copied();
        level.or(generation)
    }

    fn generation(&self, plan: Option<&str>) -> Option<SpanId> {
        self.span_id(*self.generations.get(plan?)?)
    }
}

fn counts(generated: Option<u64>, failed: Option<u64>, total: Option<u64>) -> Set {
    Set::default()
        .some(names::NODE_GENERATED_COUNT, generated)
        .some(names::NODE_FAILED_COUNT, failed)
        .some(names::NODE_TOTAL_COUNT, total)
}
