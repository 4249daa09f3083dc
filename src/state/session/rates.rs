//! How fast a session goes, and what is left of it: functions of the state and of the present.

use serde::{Deserialize, Serialize};

use super::apply::between;
use super::parts::RECENT_MS;
use super::{Plan, Session};
use crate::event::Timestamp;

/// How fast a session goes. Once it has ended, over all of its time; before, over the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Since the session's first event, up to now or to its end, in milliseconds.
    pub elapsed_ms: u64,
    /// Events a second.
    pub events_per_second: f64,
    /// Nodes that were completed or failed a second.
    pub nodes_per_second: f64,
    /// Tokens a second, sent and received, of answered requests.
    pub tokens_per_second: f64,
    /// Nodes of the running plan that are completed or failed.
    pub done: u64,
    /// Nodes that it is to generate.
    pub total: Option<u64>,
    /// How long the rest of it takes at the rate since it began, in milliseconds; none before the first node is
    /// over, or where no plan runs.
    pub left_ms: Option<u64>,
}

/// The rates at a time. A time before the last event counts as that event's.
pub fn rates(session: &Session, now: Timestamp) -> Rates {
    let fold = &session.0;
    let (Some(started), Some(updated)) = (fold.started, fold.updated) else { return Rates::default() };
    let now = fold.ended.unwrap_or(now.max(updated));
    let elapsed_ms = between(started, now);
    let (events, nodes, tokens, over) = match fold.ended {
        Some(_) => {
            let tokens = |sum: u64, tokens: u64| sum.saturating_add(tokens);
            let sum = fold.providers.iter().map(|calls| calls.input_tokens.saturating_add(calls.output_tokens));
            (fold.seq, fold.counts.complete + fold.counts.failed, sum.fold(0, tokens), elapsed_ms)
        }
        None => {
            let recent = fold.recent.before(now);
            // The oldest bucket begins up to five seconds after the minute does: they even out.
            (recent.events, recent.nodes, recent.tokens, elapsed_ms.min(RECENT_MS as u64))
        }
    };
    let per_second = |count: u64| if over == 0 { 0.0 } else { count as f64 * 1000.0 / over as f64 };
    let plan = fold.plans.running();
    let (done, total) = plan.map_or((0, None), progress);
    Rates {
        elapsed_ms,
        events_per_second: per_second(events),
        nodes_per_second: per_second(nodes),
        tokens_per_second: per_second(tokens),
        done,
        total,
        left_ms: plan.filter(|_| fold.ended.is_none()).and_then(|plan| left(plan, now)),
    }
}

fn progress(plan: &Plan) -> (u64, Option<u64>) {
    let all = || Some(plan.total_nodes?.saturating_sub(plan.counts.skipped));
    (plan.counts.complete + plan.counts.failed, plan.to_generate.or_else(all))
}

fn left(plan: &Plan, now: Timestamp) -> Option<u64> {
    let (done, total) = progress(plan);
    let rest = total?.saturating_sub(done);
    let so_far = between(plan.started?, now);
    let left = u128::from(rest).checked_mul(u128::from(so_far))?.checked_div(u128::from(done))?;
    u64::try_from(left).ok()
}
