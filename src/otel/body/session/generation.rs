//! What events of plans, levels and nodes say. Pure.

use super::{because, ms_took, node, number, or};
use crate::event::session::{self as payload, Text, kind, read};
use crate::otel::body::amount::{count, things};

/// Plans, and the checks before them.
pub(super) fn plan(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::PLAN_CONSTRUCTED => {
            let plan: payload::PlanConstructed = read(data).value;
            let path = plan.path.map(|path| format!(" of {path}")).unwrap_or_default();
            format!("plan {}{path}{}", or(&plan.plan_id, "-"), extent(plan.total_nodes, plan.total_levels))
        }
        kind::DESCENDANT_CHECK_STARTED | kind::DESCENDANT_CHECK_PASSED => {
            let check: payload::DescendantCheckStarted = read(data).value;
            let passed = kind == kind::DESCENDANT_CHECK_PASSED;
            let what = if passed { "nothing is missing below it" } else { "what is below it is checked" };
            format!("{}: {what}", node(&check.path, &check.node_id))
        }
        kind::DESCENDANT_CHECK_FAILED => {
            let check: payload::DescendantCheckFailed = read(data).value;
            let missing = check.missing.map(|missing| list(&missing)).unwrap_or_default();
            format!("{}: missing below it{missing}", node(&check.path, &check.node_id))
        }
        kind::NODE_SKIPPED => {
            let skipped: payload::NodeSkipped = read(data).value;
            format!("{} skipped{}", node(&skipped.path, &skipped.node_id), because(&skipped.reason))
        }
        _ => return None,
    })
}

/// Generations, levels and nodes.
pub(super) fn level(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::GENERATION_STARTED => {
            let started: payload::GenerationStarted = read(data).value;
            let extent = extent(started.total_nodes, started.total_levels);
            format!("generation of plan {} started{extent}", or(&started.plan_id, "-"))
        }
        kind::LEVEL_STARTED => {
            let started: payload::LevelStarted = read(data).value;
            let nodes = started.total_count.map(|count| format!(": {}", things(count, "node")));
            format!("level {} started{}", number(started.level_index), nodes.unwrap_or_default())
        }
        kind::LEVEL_COMPLETED => {
            let level: payload::LevelCompleted = read(data).value;
            let counts = counts(level.generated_count, level.failed_count, level.total_count);
            format!("level {} completed{counts}", number(level.level_index))
        }
        kind::GENERATION_COMPLETED => {
            let plan: payload::GenerationCompleted = read(data).value;
            let counts = counts(plan.generated_count, plan.failed_count, plan.total_count);
            format!("generation of plan {} completed{counts}", or(&plan.plan_id, "-"))
        }
        kind::GENERATION_FAILED => {
            let failed: payload::GenerationFailed = read(data).value;
            format!("generation of plan {} failed{}", or(&failed.plan_id, "-"), because(&failed.error))
        }
        kind::NODE_GENERATION_STARTED => {
            let started: payload::NodeGenerationStarted = read(data).value;
            format!("{} started", node(&started.path, &started.node_id))
        }
        kind::NODE_GENERATION_COMPLETED => {
            let done: payload::NodeGenerationCompleted = read(data).value;
            let took = done.duration_ms.map(|ms| format!(" in {}", ms_took(ms))).unwrap_or_default();
            format!("{} generated{took}", node(&done.path, &done.node_id))
        }
        kind::NODE_GENERATION_FAILED => {
            let failed: payload::NodeGenerationFailed = read(data).value;
            let error = failed.error.or(failed.error_type);
            format!("{} failed{}", node(&failed.path, &failed.node_id), because(&error))
        }
        _ => return None,
    })
}

fn list(names: &[Text<'_>]) -> String {
    format!(": {}", names.iter().map(Text::as_str).collect::<Vec<_>>().join(", "))
}

fn extent(nodes: Option<u64>, levels: Option<u64>) -> String {
    match (nodes, levels) {
        (Some(nodes), Some(levels)) => format!(": {} in {}", things(nodes, "node"), things(levels, "level")),
        (Some(nodes), None) => format!(": {}", things(nodes, "node")),
        (None, Some(levels)) => format!(": {}", things(levels, "level")),
        (None, None) => String::new(),
    }
}

fn counts(generated: Option<u64>, failed: Option<u64>, total: Option<u64>) -> String {
    let failed = failed.filter(|failed| *failed > 0).map(|failed| format!(", {} failed", count(failed)));
    match generated {
        Some(generated) => {
            let of = total.map(|total| format!(" of {}", count(total))).unwrap_or_default();
            format!(": {}{of} generated{}", count(generated), failed.unwrap_or_default())
        }
        None => failed.unwrap_or_default(),
    }
}
