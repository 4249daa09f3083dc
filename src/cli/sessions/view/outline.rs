//! The tree of a session with durations. Pure.

use super::Fate;
use super::tree::{Row, Span, Tree};
use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::took;

/// The most columns of a name.
const NAME: usize = 60;
/// The columns of a time.
const TIME: usize = 11;

/// Draws the spans, which stand in the order of a tree with one root. Below each, those that failed or go on and
/// the longest of the others are shown, `most` in all at least, and how many are left out is told.
pub(in crate::cli) fn outline(spans: &[Span], most: usize) -> Vec<Line> {
    if spans.is_empty() {
        return Vec::new();
    }
    let tree = Tree::new(spans);
    let rows = tree.rows(&choose(&tree, most));
    let labels: Vec<Line> = rows.iter().map(|row| row.label(spans).cut(NAME)).collect();
    let name = labels.iter().map(Line::width).max().unwrap_or_default();
    let line = |(row, label): (&Row, Line)| {
        let Some(span) = row.span.map(|at| &spans[at]) else { return label };
        let style = if span.fate == Fate::Failed { Style::Bad } else { Style::Dim };
        label.fit(name).text(format!(" {:>TIME$}  ", took(span.end - span.start))).add(style, &span.note)
    };
    rows.iter().zip(labels).map(line).collect()
}

fn choose(tree: &Tree, most: usize) -> Vec<bool> {
    let mut shown = vec![true; tree.spans.len()];
    for children in tree.children.iter().filter(|children| children.len() > most) {
        let (mut fine, other): (Vec<usize>, Vec<usize>) = children.iter().partition(|at| fine(&tree.spans[**at]));
        fine.sort_by_key(|at| tree.spans[*at].start.saturating_sub(tree.spans[*at].end));
        for at in fine.into_iter().skip(most.saturating_sub(other.len())) {
            shown[at] = false;
        }
    }
    shown
}

fn fine(span: &Span) -> bool {
    matches!(span.fate, Fate::Done | Fate::Skipped | Fate::Waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(depth: usize, name: &str, took: i64, fate: Fate, note: &str) -> Span {
        Span { depth, name: name.into(), start: 0, end: took, fate, note: note.into() }
    }

    #[test]
    fn what_failed_or_goes_on_is_shown_and_the_longest_of_the_rest() {
        let mut spans = vec![span(0, "generate src", 65_000, Fate::Busy, "")];
        spans.push(span(1, "level 0", 5_000, Fate::Failed, "4 of 6, 1 failed"));
        let nodes = [
            ("a.rs", 100, Fate::Done, "1 call"),
            ("b.rs", 5_000, Fate::Done, "2 calls"),
            ("c.rs", 300, Fate::Failed, "429: too many\nrequests"),
            ("d.rs", 200, Fate::Done, ""),
            ("e.rs", 0, Fate::Skipped, "is there already"),
            ("f.rs", 900, Fate::Busy, "waits for the provider"),
        ];
        spans.extend(nodes.map(|(name, took, fate, note)| span(2, name, took, fate, note)));
        spans.push(span(1, &"long/".repeat(20), 1_000, Fate::Waiting, ""));
        let told = |most| outline(&spans, most).iter().map(|line| line.render(false) + "\n").collect::<String>();
        insta::assert_snapshot!([told(100), told(3), told(1)].join("\n"));
        assert!(outline(&[], 5).is_empty());
    }
}
