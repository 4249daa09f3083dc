//! What differs between two sessions. Pure.

use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::{count, took};
use crate::state::session::{Change, Diff, Totals};
use crate::store::SessionInfo;

/// The most changes of a kind that are told.
const MOST: usize = 20;
/// The columns of a number.
const NUMBER: usize = 14;

/// The two side by side, then what differs.
pub(in crate::cli) fn compare(a: &SessionInfo, b: &SessionInfo, diff: &Diff) -> Vec<Line> {
    let name = |mark: &str, session: &SessionInfo| {
        let start = session.start.to_string().replace('T', " ");
        let words = format!("{mark} {}  {}  {}", session.id, start.trim_end_matches('Z'), session.command());
        Line::plain(words.trim_end())
    };
    let mut lines = vec![name("a", a), name("b", b), Line::default()];
    lines.extend(totals(&diff.before, &diff.after));
    let before = lines.len();
    let kinds = [
        ("Added", Style::Plain, &diff.added),
        ("Removed", Style::Plain, &diff.removed),
        ("Failed, and did not before", Style::Bad, &diff.newly_failed),
        ("Failed before", Style::Good, &diff.fixed),
        ("Slower", Style::Warn, &diff.slower),
        ("Faster", Style::Good, &diff.faster),
    ];
    for (heading, style, changes) in kinds {
        lines.extend(list(heading, style, changes));
    }
    if lines.len() == before {
        lines.extend([
            Line::default(),
            Line::plain("No node was added or removed, is slower or faster, has failed or was mended."),
        ]);
    }
    if diff.left_out > 0 {
        lines.push(Line::of(Style::Dim, format!("… and {} more changes", count(diff.left_out))));
    }
    if diff.partial {
        lines.push(Line::of(Style::Warn, "Not all nodes could be compared: the sessions are too large."));
    }
    lines
}

fn totals(a: &Totals, b: &Totals) -> Vec<Line> {
    let ms = |ms: u64| took(i64::try_from(ms).unwrap_or(i64::MAX));
    let row = |name: &str, a: String, b: String| {
        let style = if a == b { Style::Dim } else { Style::Plain };
        Line::of(style, format!("{name:<14}{a:>NUMBER$}{b:>NUMBER$}"))
    };
    let number = |name: &str, a: u64, b: u64| row(name, count(a), count(b));
    vec![
        Line::of(Style::Bold, format!("{:<14}{:>NUMBER$}{:>NUMBER$}", "", "a", "b")),
        row("took", ms(a.duration_ms), ms(b.duration_ms)),
        number("complete", a.nodes.complete, b.nodes.complete),
        number("failed", a.nodes.failed, b.nodes.failed),
        number("skipped", a.nodes.skipped, b.nodes.skipped),
        number("calls", a.calls, b.calls),
        number("failed calls", a.failed_calls, b.failed_calls),
        number("retries", a.retries, b.retries),
        number("tokens in", a.input_tokens, b.input_tokens),
        number("tokens out", a.output_tokens, b.output_tokens),
    ]
}

fn list(heading: &str, style: Style, changes: &[Change]) -> Vec<Line> {
    if changes.is_empty() {
        return Vec::new();
    }
    let heading = Line::of(Style::Bold, heading).text(format!(": {}", count(changes.len() as u64)));
    let mut lines = vec![Line::default(), heading];
    lines.extend(changes.iter().take(MOST).map(|change| {
        let times = match (change.before_ms, change.after_ms) {
            (None, None) => String::new(),
            (a, b) => {
                let told = |ms: Option<u64>| {
                    ms.map_or_else(|| "-".into(), |ms| took(i64::try_from(ms).unwrap_or(i64::MAX)))
                };
                format!("  {} → {}", told(a), told(b))
            }
        };
        let error = change.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        Line::of(style, format!("  {}", change.node)).text(error).add(Style::Dim, times)
    }));
    let more = changes.len().saturating_sub(MOST) as u64;
    lines.extend((more > 0).then(|| Line::of(Style::Dim, format!("  … {} more", count(more)))));
    lines
}
