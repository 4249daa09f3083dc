//! How far a session has come, as it is shown below its events. Pure.

use super::gauges::Gauge;
use super::{Fate, spans};
use crate::cli::amount::{count, took};
use crate::cli::styled::{Line, Style};
use crate::state::session::{Rates, Status, View};

/// Its levels, plan by plan; they are named by their plan where there are several.
pub(in crate::cli) fn levels(view: &View) -> Vec<Gauge> {
    let going = view.status == Status::Active;
    let several = view.levels.first().is_some_and(|first| view.levels.iter().any(|level| level.plan != first.plan));
    let gauge = |level: &crate::state::session::LevelView| {
        let plan = level.plan.and_then(|plan| view.plans.get(plan)).filter(|_| several);
        let of = plan.map(|plan| format!("{} ", plan.id)).unwrap_or_default();
        let told = level.level.told.and_then(|told| told.failed);
        let failed = told.unwrap_or(level.level.counts.failed);
        Gauge {
            name: format!("{of}level {}", level.index),
            fate: spans::level(level, going),
            done: level.done().saturating_sub(failed),
            failed,
            total: level.total(),
        }
    };
    view.levels.iter().map(gauge).collect()
}

/// The line below: how fast it goes, and what is left.
pub(in crate::cli) fn foot(view: &View, rates: &Rates) -> Line {
    let fate = Fate::of(view.status);
    let tokens: u64 = view
        .providers
        .iter()
        .map(|calls| calls.input_tokens.saturating_add(calls.output_tokens))
        .fold(0, u64::saturating_add);
    let per_second = |rate: f64, what: &str| format!("{}{what}/s", one_decimal(rate));
    let words = [
        Some(took(signed(rates.elapsed_ms))),
        Some(format!("{} events", count(view.seq))),
        (rates.nodes_per_second > 0.0).then(|| per_second(rates.nodes_per_second, " nodes")),
        (tokens > 0).then(|| format!("{} tokens", count(tokens))),
        (view.queue.pending > 0).then(|| format!("{} in the queue", count(view.queue.pending))),
        rates.left_ms.map(|left| format!("about {} left", took(signed(left)))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    Line::of(fate.style(), fate.mark()).add(Style::Dim, format!(" {}", words.join(", ")))
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn one_decimal(rate: f64) -> String {
    format!("{rate:.1}")
}
