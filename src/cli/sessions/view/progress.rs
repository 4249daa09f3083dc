//! How far a session has come, as it is shown below its events. Pure.

use super::gauges::Gauge;
use super::{Fate, spans};
use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::{count, things, took};
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
        Some(things(view.seq, "event")),
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

#[cfg(test)]
mod tests {
    use super::super::testing::{at, event, fold};
    use super::*;
    use crate::state::session::rates;

    /// The name, the counts and the mark of each level, and the line below.
    fn told(steps: usize) -> (Vec<String>, String) {
        let events = [
            ("session_started", "{}"),
            ("generation_started", r#"{"plan_id":"p","total_nodes":3}"#),
            ("level_started", r#"{"plan_id":"p","level_index":0,"total_count":3}"#),
            ("node_generation_started", r#"{"plan_id":"p","level_index":0,"node_id":"a"}"#),
            ("request_enqueued", r#"{"plan_id":"p","node_id":"b","request_id":"r"}"#),
            ("node_generation_completed", r#"{"plan_id":"p","level_index":0,"node_id":"a"}"#),
            ("node_generation_failed", r#"{"plan_id":"p","level_index":0,"node_id":"b","error":"no"}"#),
            ("level_completed", r#"{"plan_id":"p","level_index":0,"generated_count":2,"failed_count":1}"#),
            ("generation_started", r#"{"plan_id":"q"}"#),
            ("level_started", r#"{"plan_id":"q","level_index":0}"#),
            ("session_interrupted", "{}"),
        ];
        let events = events.iter().take(steps).zip(1..);
        let (state, _) = fold(events.map(|((kind, data), seq)| event(seq, seq as i64 * 1000, kind, data)));
        let view = state.view();
        let gauge = |gauge: Gauge| {
            let Gauge { name, fate, done, failed, total } = gauge;
            format!("{} {name} {done}+{failed}/{total}", fate.mark())
        };
        let foot = foot(&view, &rates(&state, at(11_000))).render(false);
        (levels(&view).into_iter().map(gauge).collect(), foot)
    }

    #[test]
    fn levels_go_from_their_start_to_their_end() {
        assert_eq!(told(2).0, [""; 0]);
        assert_eq!(told(3).0, ["● level 0 0+0/3"]);
        assert_eq!(told(6).0, ["● level 0 1+0/3"]);
        assert_eq!(told(7).0, ["● level 0 1+1/3"]);
        assert_eq!(told(8).0, ["✖ level 0 2+1/3"]);
        assert_eq!(told(10).0, ["✖ p level 0 2+1/3", "● q level 0 0+0/0"]);
        assert_eq!(told(11).0[1], "! q level 0 0+0/0");
    }

    #[test]
    fn the_line_below_tells_how_fast_it_goes_and_what_is_left() {
        assert!(told(1).1.ends_with("1 event"), "{}", told(1).1);
        insta::assert_snapshot!([told(2).1, told(6).1, told(11).1].join("\n"));
    }
}
