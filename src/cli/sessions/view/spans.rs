//! The parts of a session as stretches of time: plans, levels, nodes, and calls of providers. Pure.

use std::collections::BTreeMap;

use super::Fate;
use super::calls::{Call, Calls};
use super::tree::Span;
use crate::event::Timestamp;
use crate::otel::body::amount::{count, took};
use crate::state::session::{Counts, Level, LevelView, NodeStatus, NodeView, Plan, PlanStatus, Status, View};

/// The spans in the order of a tree: the session, its plans, their levels, the nodes, and below each node the calls
/// for it. `name` is what the session is called; `now` is when those end that go on.
pub(in crate::cli) fn spans(view: &View, name: &str, calls: Option<&Calls>, now: Timestamp) -> Vec<Span> {
    let start = view.started.unwrap_or(now);
    let end = match view.status {
        Status::Active => now.max(start),
        _ => view.ended.or(view.updated).unwrap_or(now),
    };
    let walk = Walk { view, calls, end: end.as_millis(), going: view.status == Status::Active };
    let mut spans = vec![Span {
        depth: 0,
        name: if name.is_empty() { "session".into() } else { name.into() },
        start: start.as_millis(),
        end: end.as_millis(),
        fate: Fate::of(view.status),
        note: String::new(),
    }];
    let nodes = group(view);
    for (place, plan) in view.plans.iter().enumerate() {
        walk.plan(place, plan, &nodes, &mut spans);
    }
    walk.levels(None, 1, spans[0].start, &nodes, &mut spans);
    spans
}

/// How a level fares, while the session goes on or after it.
pub(in crate::cli) fn level(level: &LevelView, going: bool) -> Fate {
    let failed = level.level.counts.failed > 0 || level.level.told.is_some_and(|told| told.failed > Some(0));
    match (level.level.started, level.level.ended) {
        (_, Some(_)) if failed => Fate::Failed,
        (_, Some(_)) => Fate::Done,
        (_, None) if !going => Fate::Cut,
        (Some(_), None) => Fate::Busy,
        (None, None) => Fate::Waiting,
    }
}

/// Nodes by plan and level, each list in the order of the view.
type Groups<'a> = BTreeMap<(Option<usize>, Option<u32>), Vec<&'a NodeView>>;

fn group(view: &View) -> Groups<'_> {
    let mut groups = Groups::new();
    for node in &view.nodes {
        groups.entry((node.plan, node.level)).or_default().push(node);
    }
    groups
}

struct Walk<'a> {
    view: &'a View,
    calls: Option<&'a Calls>,
    end: i64,
    going: bool,
}

impl Walk<'_> {
    fn plan(&self, place: usize, plan: &Plan, nodes: &Groups, spans: &mut Vec<Span>) {
        let start = plan.started.or(plan.planned).map_or(spans[0].start, Timestamp::as_millis);
        let fate = match plan.status {
            PlanStatus::Completed => Fate::Done,
            PlanStatus::Failed => Fate::Failed,
            _ if !self.going => Fate::Cut,
            PlanStatus::Running => Fate::Busy,
            PlanStatus::Planned => Fate::Waiting,
        };
        let of = plan.path.as_ref().map(|path| format!(" of {path}")).unwrap_or_default();
        let error = plan.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        spans.push(Span {
            depth: 1,
            name: format!("{}{of}", plan.id),
            start,
            end: self.end(start, plan.started, plan.ended),
            fate,
            note: counts(&plan.counts) + &error,
        });
        self.levels(Some(place), 2, start, nodes, spans);
    }

    /// The levels of a plan, then its nodes that stand in none.
    fn levels(&self, plan: Option<usize>, depth: usize, start: i64, nodes: &Groups, spans: &mut Vec<Span>) {
        for level in self.view.levels.iter().filter(|level| level.plan == plan) {
            let LevelView { index, level: Level { started, ended, .. }, .. } = level;
            let start = started.map_or(start, Timestamp::as_millis);
            spans.push(Span {
                depth,
                name: format!("level {index}"),
                start,
                end: self.end(start, *started, *ended),
                fate: self::level(level, self.going),
                note: counts(&level.level.counts),
            });
            self.nodes(nodes.get(&(plan, Some(*index))), depth + 1, start, spans);
        }
        self.nodes(nodes.get(&(plan, None)), depth, start, spans);
    }

    fn nodes(&self, nodes: Option<&Vec<&NodeView>>, depth: usize, before: i64, spans: &mut Vec<Span>) {
        for node in nodes.into_iter().flatten() {
            let begun = node.started.or(node.queued).or(node.sent);
            let start = begun.or(node.ended).map_or(before, Timestamp::as_millis);
            let fate = self.node(node);
            let end = self.end(start, begun, node.ended);
            spans.push(Span { depth, name: node.name().into(), start, end, fate, note: note(node, self.going) });
            // A node may have been generated before, in another plan.
            let own = |call: &&Call| begun.is_some() && (start..=end).contains(&call.start);
            for call in self.calls.into_iter().flat_map(|calls| calls.of(&node.id)).filter(own) {
                let fate = if call.fate == Fate::Busy && !self.going { Fate::Cut } else { call.fate };
                let (start, end) = (call.start, call.end.unwrap_or(self.end).max(call.start));
                spans.push(Span {
                    depth: depth + 1,
                    name: call.name.clone(),
                    start,
                    end,
                    fate,
                    note: String::new(),
                });
            }
        }
    }

    /// When a part ended; one that has not begun has taken no time.
    fn end(&self, start: i64, begun: Option<Timestamp>, ended: Option<Timestamp>) -> i64 {
        let open = if begun.is_some() { self.end } else { start };
        ended.map_or(open, Timestamp::as_millis).max(start)
    }

    fn node(&self, node: &NodeView) -> Fate {
        match node.status {
            NodeStatus::Complete => Fate::Done,
            NodeStatus::Failed => Fate::Failed,
            NodeStatus::Skipped => Fate::Skipped,
            _ if !self.going => Fate::Cut,
            NodeStatus::Waiting => Fate::Waiting,
            NodeStatus::Generating | NodeStatus::ProviderWaiting => Fate::Busy,
        }
    }
}

/// How many of the nodes are over.
pub(in crate::cli) fn counts(counts: &Counts) -> String {
    let Counts { waiting, generating, provider_waiting, complete, failed, skipped } = *counts;
    let total = waiting + generating + provider_waiting + complete + failed;
    let more = [(failed, "failed"), (skipped, "skipped")].into_iter().filter(|(n, _)| *n > 0);
    let more = more.map(|(n, what)| format!(", {} {what}", count(n)));
    format!("{} of {} complete{}", count(complete), count(total), more.collect::<String>())
}

/// What else is to be said of a node: why it failed, what it waits for, what it took.
fn note(node: &NodeView, going: bool) -> String {
    let why = node.detail.as_ref().or(node.error_type.as_ref());
    let what = match node.status {
        NodeStatus::Failed | NodeStatus::Skipped => why.cloned(),
        NodeStatus::ProviderWaiting if going => Some("waits for the provider".into()),
        NodeStatus::Waiting if going && node.queued.is_some() => Some("in the queue".into()),
        _ => None,
    };
    let calls = (node.attempts > 1).then(|| format!("{} calls", node.attempts));
    let provider = (node.provider_ms > 0)
        .then(|| format!("provider {}", took(i64::try_from(node.provider_ms).unwrap_or(i64::MAX))));
    let tokens = node.input_tokens + node.output_tokens > 0;
    let tokens = tokens.then(|| format!("{} + {} tokens", count(node.input_tokens), count(node.output_tokens)));
    [what, calls, provider, tokens].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sessions::view::outline::outline;
    use crate::cli::sessions::view::testing::{at, folded};
    use crate::cli::sessions::view::waterfall::{Room, waterfall};
    use crate::demo::Workload;

    const WORKLOAD: Workload = Workload { seed: 3, levels: 2, nodes: 6, rate: 20 };

    fn drawn(steps: usize, now: i64) -> String {
        let (state, calls) = folded(&WORKLOAD, steps);
        let spans = spans(&state.view(), "generate", Some(&calls), at(now));
        let lines = waterfall(&spans, Room { columns: 90, rows: 40 });
        lines.iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn a_waterfall_has_plans_levels_nodes_and_calls() {
        insta::assert_snapshot!(drawn(usize::MAX, 100_000));
    }

    #[test]
    fn what_goes_on_reaches_to_the_present() {
        insta::assert_snapshot!(drawn(60, 4_000));
    }

    #[test]
    fn a_tree_tells_what_became_of_each_node() {
        let (state, _) = folded(&WORKLOAD, usize::MAX);
        let spans = spans(&state.view(), "", None, at(0));
        let lines = outline(&spans, 20).iter().map(|line| line.render(false) + "\n").collect::<String>();
        insta::assert_snapshot!(lines);
    }
}
