//! What differs between two sessions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::apply::between;
use super::view::{NodeView, View};
use super::{Counts, NodeStatus};

/// The most changes of each kind that are listed.
pub const MAX_CHANGES: usize = 1000;
/// A node is slower, or faster, where it took so many times as long, and [`LEAST_MS`] more.
const TIMES: f64 = 1.5;
/// See [`TIMES`]; in milliseconds.
const LEAST_MS: u64 = 100;

/// A node that is not the same in both sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its path, else its id.
    pub node: String,
    /// How it ended in the first.
    pub before: Option<NodeStatus>,
    /// How it ended in the second.
    pub after: Option<NodeStatus>,
    /// How long it took in the first.
    pub before_ms: Option<u64>,
    /// How long it took in the second.
    pub after_ms: Option<u64>,
    /// Why it failed in the second.
    pub error: Option<String>,
}

/// A session in a few numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// From its first event to its last.
    pub duration_ms: u64,
    /// Its nodes.
    pub nodes: Counts,
    /// Requests that were sent, each attempt for itself.
    pub calls: u64,
    /// Those that failed.
    pub failed_calls: u64,
    /// Attempts that were made again.
    pub retries: u64,
    /// Tokens that were sent.
    pub input_tokens: u64,
    /// Tokens that came back.
    pub output_tokens: u64,
}

/// What differs from a first session to a second. Nodes are told by their path, where they have one, and each list
/// has at most [`MAX_CHANGES`], the weightiest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Nodes that only the second has.
    pub added: Vec<Change>,
    /// Nodes that only the first has.
    pub removed: Vec<Change>,
    /// Nodes complete in both that took at least half as long again and 100 ms more.
    pub slower: Vec<Change>,
    /// Nodes for which that is the other way round.
    pub faster: Vec<Change>,
    /// Nodes that failed in the second only.
    pub newly_failed: Vec<Change>,
    /// Nodes that failed in the first and are complete in the second.
    pub fixed: Vec<Change>,
    /// How many changes are not listed.
    pub left_out: u64,
    /// Whether nodes were compared of which not all details are known; see [`super::LeftOut::nodes`].
    pub partial: bool,
    /// The first in numbers.
    pub before: Totals,
    /// The second in numbers.
    pub after: Totals,
}

/// Compares two sessions. Where a node was generated more than once, its last time counts.
pub fn diff(before: &View, after: &View) -> Diff {
    let (a, b) = (by_name(before), by_name(after));
    let mut diff = Diff {
        partial: before.left_out.nodes + after.left_out.nodes > 0,
        before: totals(before),
        after: totals(after),
        ..Diff::default()
    };
    for (name, node) in &b {
        compare(&mut diff, name, a.get(name).copied(), Some(node));
    }
    for (name, node) in a.iter().filter(|(name, _)| !b.contains_key(*name)) {
        compare(&mut diff, name, Some(node), None);
    }
    diff.slower.sort_by_key(weight);
    diff.faster.sort_by_key(weight);
    for list in [
        &mut diff.added,
        &mut diff.removed,
        &mut diff.slower,
        &mut diff.faster,
        &mut diff.newly_failed,
        &mut diff.fixed,
    ] {
        diff.left_out += list.len().saturating_sub(MAX_CHANGES) as u64;
        list.truncate(MAX_CHANGES);
    }
    diff
}

/// By how much the times differ, the most first.
fn weight(change: &Change) -> std::cmp::Reverse<u64> {
    std::cmp::Reverse(change.before_ms.unwrap_or_default().abs_diff(change.after_ms.unwrap_or_default()))
}

fn by_name(view: &View) -> BTreeMap<&str, &NodeView> {
    view.nodes.iter().map(|node| (node.name(), node)).collect()
}

fn compare(diff: &mut Diff, name: &str, a: Option<&NodeView>, b: Option<&NodeView>) {
    let failed = |node: Option<&NodeView>| node.is_some_and(|node| node.status == NodeStatus::Failed);
    let complete = |node: Option<&NodeView>| node.is_some_and(|node| node.status == NodeStatus::Complete);
    let change = Change {
        node: name.to_owned(),
        before: a.map(|node| node.status),
        after: b.map(|node| node.status),
        before_ms: a.and_then(|node| node.duration_ms),
        after_ms: b.and_then(|node| node.duration_ms),
        error: b.filter(|_| failed(b)).and_then(|node| node.detail.clone()),
    };
    if failed(b) && !failed(a) {
        diff.newly_failed.push(change.clone());
    }
    if failed(a) && complete(b) {
        diff.fixed.push(change.clone());
    }
    let longer = |short: Option<u64>, long: Option<u64>| {
        let (Some(short), Some(long)) = (short, long) else { return false };
        long >= short.saturating_add(LEAST_MS) && long as f64 >= short as f64 * TIMES
    };
    match (a, b) {
        (None, _) => diff.added.push(change),
        (_, None) => diff.removed.push(change),
        _ if !(complete(a) && complete(b)) => {}
        _ if longer(change.before_ms, change.after_ms) => diff.slower.push(change),
        _ if longer(change.after_ms, change.before_ms) => diff.faster.push(change),
        _ => {}
    }
}

fn totals(view: &View) -> Totals {
    let sum = |of: fn(&super::Calls) -> u64| view.providers.iter().map(of).fold(0, u64::saturating_add);
    Totals {
        duration_ms: view.started.zip(view.updated).map_or(0, |(start, end)| between(start, end)),
        nodes: view.counts,
        calls: sum(|calls| calls.sent),
        failed_calls: sum(|calls| calls.failed),
        retries: sum(|calls| calls.retried),
        input_tokens: sum(|calls| calls.input_tokens),
        output_tokens: sum(|calls| calls.output_tokens),
    }
}
