//! A waterfall: a bar for each stretch of time, under the one that it belongs to. Pure.

use super::Fate;
use super::bar::stretch;
use super::tree::{Row, Span, Tree};
use crate::cli::styled::Line;
use crate::otel::body::amount::took;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Room {
    /// Columns.
    pub(in crate::cli) columns: usize,
    /// Rows.
    pub(in crate::cli) rows: usize,
}

/// The columns of the time at the end of a row.
const TIME: usize = 11;
/// The least columns of a bar.
const LEAST_BAR: usize = 10;
/// What is less deep is the frame of all: it is shown before the rest.
const FRAME: usize = 3;

/// Draws the spans, which stand in the order of a tree with one root, over the time of the root. Where there are
/// more than rows, the frame, then what failed or goes on, then the longest are shown, and how many are left out
/// is told.
pub(in crate::cli) fn waterfall(spans: &[Span], room: Room) -> Vec<Line> {
    let Some(root) = spans.first() else { return Vec::new() };
    let tree = Tree::new(spans);
    let rows = tree.rows(&choose(&tree, room.rows.max(2)));
    let labels: Vec<Line> = rows.iter().map(|row| row.label(spans)).collect();
    let widest = labels.iter().map(Line::width).max().unwrap_or_default();
    let name = widest.min(room.columns * 2 / 5).min(room.columns.saturating_sub(TIME + LEAST_BAR + 2));
    let cells = room.columns.saturating_sub(name + TIME + 2);
    let line = |(row, label): (&Row, Line)| {
        let line = label.fit(name);
        match row.span.map(|at| &spans[at]) {
            Some(span) => {
                let bar = stretch(span.start, span.end, (root.start, root.end), cells);
                let time = format!(" {:>TIME$}", took(span.end - span.start));
                line.text(" ").add(span.fate.style(), bar).text(time)
            }
            None => line,
        }
    };
    rows.iter().zip(labels).map(line).map(|line| line.cut(room.columns)).collect()
}

/// Which are shown: by weight, each with those that it belongs to, while there is room for them and for what
/// tells of the rest.
fn choose(tree: &Tree, rows: usize) -> Vec<bool> {
    let mut shown = vec![false; tree.spans.len()];
    let mut hidden: Vec<usize> = tree.children.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..tree.spans.len()).collect();
    order.sort_by_key(|at| weight(&tree.spans[*at]));
    let mut taken = 0;
    for at in order {
        let way: Vec<usize> = tree.way(at).take_while(|at| !shown[*at]).collect();
        // Each brings its row and one for what it hides, and may take the latter from what it belongs to.
        let brought: usize = way.iter().map(|at| 1 + usize::from(hidden[*at] > 0)).sum();
        let last = |at: &&usize| tree.parents[**at].is_some_and(|parent| hidden[parent] == 1);
        let after = taken + brought - way.iter().filter(last).count();
        if after > rows {
            continue;
        }
        taken = after;
        for at in way {
            shown[at] = true;
            if let Some(parent) = tree.parents[at] {
                hidden[parent] -= 1;
            }
        }
    }
    shown
}

/// What sorts the weightiest first.
fn weight(span: &Span) -> (bool, bool, i64) {
    let fine = !matches!(span.fate, Fate::Failed | Fate::Busy | Fate::Cut);
    (span.depth >= FRAME, fine, span.start.saturating_sub(span.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(depth: usize, name: &str, start: i64, end: i64, fate: Fate) -> Span {
        Span { depth, name: name.into(), start, end, fate, note: String::new() }
    }

    fn spans() -> Vec<Span> {
        use Fate::{Busy, Done, Failed, Skipped};
        vec![
            span(0, "session", 0, 12_000, Done),
            span(1, "generation", 100, 12_000, Done),
            span(2, "level 0", 100, 5_000, Done),
            span(3, "src/a.rs", 100, 3_000, Done),
            span(4, "openai/gpt", 200, 2_900, Done),
            span(3, "src/b.rs", 100, 5_000, Failed),
            span(4, "openai/gpt", 200, 1_000, Failed),
            span(4, "openai/gpt 2", 2_000, 5_000, Failed),
            span(3, "src/c.rs", 100, 100, Skipped),
            span(2, "level 1", 5_000, 12_000, Busy),
            span(3, "目录/很长的名字/很长的名字/很长的名字/文件.rs", 5_000, 12_000, Busy),
        ]
    }

    fn drawn(spans: &[Span], columns: usize, rows: usize) -> String {
        let lines = waterfall(spans, Room { columns, rows });
        assert!(lines.iter().all(|line| line.width() <= columns), "{columns}");
        lines.iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn each_bar_lies_where_its_time_was() {
        insta::assert_snapshot!(drawn(&spans(), 72, 100));
    }

    #[test]
    fn a_small_terminal_shows_the_frame_what_failed_and_the_longest() {
        insta::assert_snapshot!([drawn(&spans(), 50, 9), drawn(&spans(), 40, 5)].join("\n"));
    }

    #[test]
    fn never_more_rows_than_there_are_and_never_none() {
        let mut many = vec![span(0, "session", 0, 1000, Fate::Done)];
        for level in 0..50 {
            many.push(span(1, &format!("level {level}"), level, 1000, Fate::Done));
            many.extend((0..level).map(|node| span(2, "node", node, 1000, Fate::Done)));
        }
        for rows in 2..200 {
            let lines = waterfall(&many, Room { columns: 80, rows });
            assert!((1..=rows).contains(&lines.len()), "{rows}: {}", lines.len());
        }
        assert_eq!(waterfall(&many, Room { columns: 80, rows: 5000 }).len(), many.len());
        assert_eq!(waterfall(&[], Room { columns: 80, rows: 5 }), []);
        for columns in 0..30 {
            drawn(&many, columns, 20);
        }
    }
}
