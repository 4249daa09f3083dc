//! The sections below the tree of a session: failures, calls, the queue, files. Pure.

use super::whole::took_u;
use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::{count, things};
use crate::state::session::{Calls, Tally, View};

/// The most failures that are told.
const FAILURES: usize = 20;
/// The most models that are told of.
const MODELS: usize = 10;

/// What failed, the last ones.
pub(super) fn failures(view: &View) -> Vec<Line> {
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

/// Calls of providers, and their tokens.
pub(super) fn provider(view: &View) -> Vec<Line> {
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

/// The queue.
pub(super) fn queue(view: &View) -> Vec<Line> {
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

/// The scan and the watch.
pub(super) fn files(view: &View) -> Vec<Line> {
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
pub(super) fn oddities(view: &View) -> Vec<Line> {
    let by = |heading: &str, tally: &Tally| {
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
