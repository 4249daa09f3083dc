//! A session as a whole: how it stands, its tree, its slowest path, its failures, and what it used. Pure.

use super::list::word;
use super::outline::outline;
use super::spans::{self, spans};
use crate::cli::amount::{count, things, took};
use crate::cli::styled::{Line, Style};
use crate::event::Timestamp;
use crate::state::session::{Calls, NodeView, Rates, View};
use crate::store::SessionInfo;

/// The most failures that are told.
const FAILURES: usize = 20;
/// The most models that are told of.
const MODELS: usize = 10;

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
    let fate = spans::session(view.status);
    let started = session.start.to_string().replace('T', " ");
    let segments =
        if view.segments.len() > 1 { format!(" in {} segments", view.segments.len()) } else { String::new() };
    let mut lines = vec![
        Line::of(Style::Bold, session.id.as_str())
            .text("  ")
            .add(fate.style(), format!("{} {}", fate.mark(), word(session.status))),
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
    let levels = view.levels.iter().filter(|level| level.plan == Some(plan));
    let longest = |index: u32| {
        let of = view.nodes.iter().filter(|node| node.plan == Some(plan) && node.level == Some(index));
        of.filter_map(|node| Some((node, duration(node)?))).max_by_key(|(_, ms)| *ms)
    };
    let path: Vec<(u32, &NodeView, i64)> =
        levels.filter_map(|level| longest(level.index).map(|(node, ms)| (level.index, node, ms))).collect();
    if path.is_empty() {
        return Vec::new();
    }
    let sum = path.iter().map(|(_, _, ms)| ms).sum();
    let heading = format!("Slowest path of {}: {} of {}", view.plans[plan].id, took(sum), took(all));
    let line = |(index, node, ms): &(u32, &NodeView, i64)| {
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

fn failures(view: &View) -> Vec<Line> {
    let all = view.failures.len() as u64 + view.left_out.failures;
    if all == 0 {
        return Vec::new();
    }
    let mut lines = vec![Line::of(Style::Bold, format!("Failures: {}", count(all)))];
    // The last ones: they are what a person looks for.
    let skipped = view.failures.len().saturating_sub(FAILURES);
    let before = all - (view.failures.len() - skipped) as u64;
    lines.extend((before > 0).then(|| Line::of(Style::Dim, format!("  … {} before", count(before)))));
    lines.extend(view.failures.iter().skip(skipped).map(|failure| {
        let of = failure.path.as_ref().or(failure.node_id.as_ref()).map(|node| format!("{node}: "));
        let what = failure.error.as_ref().or(failure.error_type.as_ref()).map_or("failed", String::as_str);
        let what = format!("{}{what}", of.unwrap_or_default());
        Line::of(Style::Bad, "  ✖ ")
            .text(what)
            .add(Style::Dim, format!("  {} at seq {}", failure.kind, failure.seq))
    }));
    lines
}

fn provider(view: &View) -> Vec<Line> {
    let sum = |of: fn(&Calls) -> u64| view.providers.iter().map(of).fold(0, u64::saturating_add);
    let sent = sum(|calls| calls.sent);
    if sent == 0 {
        return Vec::new();
    }
    let (read, written) = (sum(|calls| calls.input_tokens), sum(|calls| calls.output_tokens));
    let heading = format!("Provider: {}, {} + {} tokens", things(sent, "call"), count(read), count(written));
    let line = |calls: &Calls| {
        let more = [(calls.failed, "failed"), (calls.retried, "made again"), (calls.in_flight, "under way")];
        let more = more.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {} {what}", count(n)));
        let names = [calls.provider.as_str(), &calls.model].into_iter().filter(|name| !name.is_empty());
        let tokens = format!("{} + {} tokens", count(calls.input_tokens), count(calls.output_tokens));
        let times = calls.durations;
        let times = format!("half within {}, the longest {}", took_u(times.p50_ms), took_u(times.max_ms));
        let name = names.collect::<Vec<_>>().join("/");
        Line::plain(format!(
            "  {name}: {}{}; {tokens}; {times}",
            things(calls.sent, "call"),
            more.collect::<String>()
        ))
    };
    let mut lines = vec![Line::of(Style::Bold, heading)];
    lines.extend(view.providers.iter().take(MODELS).map(line));
    let more = view.providers.len().saturating_sub(MODELS);
    lines.extend((more > 0).then(|| Line::of(Style::Dim, format!("  … {more} more"))));
    lines
}

fn queue(view: &View) -> Vec<Line> {
    let queue = &view.queue;
    if queue.enqueued + queue.deduplicated == 0 {
        return Vec::new();
    }
    let shared =
        if queue.deduplicated > 0 { format!(", {} shared", count(queue.deduplicated)) } else { String::new() };
    let waits = match queue.waits.count {
        0 => String::new(),
        _ => format!(
            "; half waited less than {}, the longest {}",
            took_u(queue.waits.p50_ms),
            took_u(queue.waits.max_ms)
        ),
    };
    let words = format!(": {}{shared}, {} waiting{waits}", things(queue.enqueued, "request"), count(queue.pending));
    vec![Line::of(Style::Bold, "Queue").text(words)]
}

fn files(view: &View) -> Vec<Line> {
    let mut lines = Vec::new();
    let scan = &view.scan;
    if scan.scans > 0 {
        let path = scan.path.as_deref().unwrap_or("-");
        let of = scan.total_nodes.filter(|_| scan.ended.is_none()).map(|total| format!(" of {}", count(total)));
        let took = scan.duration_ms.map(|ms| format!(" in {}", took_u(ms))).unwrap_or_default();
        let words = format!(": {path}, {}{} nodes{took}", count(scan.node_count), of.unwrap_or_default());
        lines.push(Line::of(Style::Bold, "Scan").text(words));
    }
    let watch = &view.watch;
    if watch.started.is_some() || watch.changes.total() > 0 {
        let path = watch.path.as_deref().unwrap_or("-");
        let words = format!(
            ": {path}, {} in {}, {} affected",
            things(watch.changes.total(), "change"),
            if watch.batches == 1 { "1 batch".into() } else { format!("{} batches", count(watch.batches)) },
            things(watch.affected_nodes, "node")
        );
        lines.push(Line::of(Style::Bold, "Watch").text(words));
    }
    lines
}

/// What could not be read as it should, and what there was no room for.
fn oddities(view: &View) -> Vec<Line> {
    let by = |heading: &str, tally: &crate::state::session::Tally| {
        let all = tally.by.iter().take(MODELS).map(|(name, n)| format!("{name} {}", count(*n)));
        let more = tally.by.len().saturating_sub(MODELS) as u64 + tally.others;
        let more = (more > 0).then(|| format!("{} more", count(more)));
        let all: Vec<String> = all.chain(more).collect();
        (!all.is_empty()).then(|| Line::of(Style::Warn, heading).text(format!(": {}", all.join(", "))))
    };
    let left = (view.left_out.nodes > 0).then(|| {
        Line::of(Style::Dim, format!("{} are counted, and not shown any more", things(view.left_out.nodes, "node")))
    });
    let unknown = by("Types that are not known", &view.unknown);
    let wrong = by("Fields of a wrong type", &view.wrong);
    [unknown, wrong, left].into_iter().flatten().collect()
}

fn took_u(ms: u64) -> String {
    took(i64::try_from(ms).unwrap_or(i64::MAX))
}
