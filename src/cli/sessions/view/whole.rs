//! A session as a whole: how it stands, its tree, its slowest path, its failures, and what it used. Pure.

use std::collections::BTreeMap;

use super::outline::outline;
use super::sections::{failures, files, oddities, provider, queue};
use super::spans::spans;
use super::{Fate, word};
use crate::cli::styled::{Line, Style};
use crate::event::Timestamp;
use crate::otel::body::amount::{things, took};
use crate::state::session::{NodeView, Rates, View};
use crate::store::SessionInfo;

/// All that is told of a session. Of the parts of each part, at least `most` are shown in the tree.
pub(in crate::cli) fn whole(
    session: &SessionInfo,
    view: &View,
    rates: &Rates,
    most: usize,
    now: Timestamp,
) -> Vec<Line> {
    let mut lines = head(session, view, rates);
    let spans = spans(view, &session.command(), None, now);
    lines.push(Line::default());
    lines.extend(outline(&spans, most));
    for section in [slowest(view), failures(view), provider(view), queue(view), files(view), oddities(view)] {
        if !section.is_empty() {
            lines.push(Line::default());
            lines.extend(section);
        }
    }
    lines
}

fn head(session: &SessionInfo, view: &View, rates: &Rates) -> Vec<Line> {
    let fate = Fate::of(view.status);
    let started = session.start.to_string().replace('T', " ");
    let segments =
        if view.segments.len() > 1 { format!(" in {} segments", view.segments.len()) } else { String::new() };
    let mut lines = vec![
        Line::of(Style::Bold, session.id.as_str())
            .text("  ")
            .add(fate.style(), format!("{} {}", fate.mark(), word(view.status))),
        Line::plain(format!(
            "started {}, {} {}; {}{segments}",
            started.trim_end_matches('Z'),
            if view.ended.is_some() { "took" } else { "runs for" },
            took_u(rates.elapsed_ms),
            things(view.seq, "event")
        )),
    ];
    let command = &view.command;
    let facts = [
        ("in", &command.cwd),
        ("by", &command.user),
        ("on", &command.host),
        ("at revision", &command.git_revision),
    ];
    let facts: Vec<String> =
        facts.iter().filter_map(|(word, fact)| Some(format!("{word} {}", fact.as_ref()?))).collect();
    if !facts.is_empty() {
        lines.push(Line::of(Style::Dim, facts.join(" ")));
    }
    if let Some(end) = &view.end {
        let closed = end.closed.then(|| "closed by a person".to_owned());
        let words =
            [end.exit_code.map(|code| format!("exit code {code}")), closed, end.reason.clone(), end.error.clone()];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let style = if end.error.is_some() { Style::Bad } else { Style::Plain };
        lines.extend((!words.is_empty()).then(|| Line::of(style, words.join(", "))));
    }
    let left =
        rates.left_ms.map(|left| format!("about {} left, {:.1} nodes/s", took_u(left), rates.nodes_per_second));
    lines.extend(left.map(Line::plain));
    lines
}

/// The nodes that the levels of the longest plan had to wait for.
fn slowest(view: &View) -> Vec<Line> {
    let length = |place: usize| {
        let plan = &view.plans[place];
        let (start, end) = (plan.started?, plan.ended.or(view.updated)?);
        Some(end.as_millis() - start.as_millis())
    };
    let Some((plan, all)) =
        (0..view.plans.len()).filter_map(|place| Some((place, length(place)?))).max_by_key(|(_, length)| *length)
    else {
        return Vec::new();
    };
    let mut path: BTreeMap<u32, (&NodeView, i64)> = BTreeMap::new();
    for node in view.nodes.iter().filter(|node| node.plan == Some(plan)) {
        if let (Some(level), Some(ms)) = (node.level, duration(node)) {
            let longest = path.entry(level).or_insert((node, ms));
            if ms > longest.1 {
                *longest = (node, ms);
            }
        }
    }
    if path.is_empty() {
        return Vec::new();
    }
    let sum = path.values().map(|(_, ms)| ms).sum();
    let heading = format!("Slowest path of {}: {} of {}", view.plans[plan].id, took(sum), took(all));
    let line = |(index, (node, ms)): (&u32, &(&NodeView, i64))| {
        let provider = i64::try_from(node.provider_ms).unwrap_or(i64::MAX);
        let provider =
            if provider > 0 { format!(", {} of it with the provider", took(provider)) } else { String::new() };
        Line::plain(format!("  level {index}  {:>11}  {}{provider}", took(*ms), node.name()))
    };
    std::iter::once(Line::of(Style::Bold, heading)).chain(path.iter().map(line)).collect()
}

fn duration(node: &NodeView) -> Option<i64> {
    let told = node.duration_ms.and_then(|ms| i64::try_from(ms).ok());
    told.or_else(|| Some(node.ended?.as_millis() - node.started?.as_millis()))
}

/// A length of time.
pub(super) fn took_u(ms: u64) -> String {
    took(i64::try_from(ms).unwrap_or(i64::MAX))
}
