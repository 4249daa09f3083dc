//! The parts of a session as a tree. Pure.

use super::Fate;
use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::count;

/// A part of a session: a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Span {
    /// How deep it stands; what follows one level deeper belongs to it.
    pub(in crate::cli) depth: usize,
    /// What it is.
    pub(in crate::cli) name: String,
    /// When it began, in milliseconds.
    pub(in crate::cli) start: i64,
    /// When it ended; for one that goes on, now.
    pub(in crate::cli) end: i64,
    /// How it came out.
    pub(in crate::cli) fate: Fate,
    /// What else is to be said of it; may be empty.
    pub(in crate::cli) note: String,
}

/// One row: a span, or how many are left out.
pub(super) struct Row {
    pub(super) span: Option<usize>,
    pub(super) hidden: usize,
    last: Vec<bool>,
}

impl Row {
    /// The guide, the mark and the name; or how many are left out.
    pub(super) fn label(&self, spans: &[Span]) -> Line {
        let guide = Line::of(Style::Dim, guide(&self.last));
        match self.span.map(|at| &spans[at]) {
            Some(span) => guide.add(span.fate.style(), span.fate.mark()).text(format!(" {}", span.name)),
            None => guide.add(Style::Dim, format!("… {} more", count(self.hidden as u64))),
        }
    }
}

/// Who belongs to whom.
pub(super) struct Tree<'a> {
    pub(super) spans: &'a [Span],
    pub(super) parents: Vec<Option<usize>>,
    pub(super) children: Vec<Vec<usize>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(spans: &'a [Span]) -> Self {
        let (mut parents, mut children) = (Vec::with_capacity(spans.len()), vec![Vec::new(); spans.len()]);
        let mut open: Vec<usize> = Vec::new();
        for (at, span) in spans.iter().enumerate() {
            // Whatever stands beside the root is taken for a part of it.
            open.truncate(if at == 0 { 0 } else { span.depth.max(1) });
            let parent = open.last().copied();
            parents.push(parent);
            if let Some(parent) = parent {
                children[parent].push(at);
            }
            open.push(at);
        }
        Self { spans, parents, children }
    }

    /// A span, what it belongs to, and so on up to the root.
    pub(super) fn way(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.parents[*at])
    }

    pub(super) fn rows(&self, shown: &[bool]) -> Vec<Row> {
        let mut rows = Vec::new();
        // What is still to be told, the next at the end.
        let mut waiting = vec![Row { span: Some(0), hidden: 0, last: Vec::new() }];
        while let Some(row) = waiting.pop() {
            if let Some(at) = row.span {
                let below: Vec<usize> = self.children[at].iter().copied().filter(|at| shown[*at]).collect();
                let hidden = self.children[at].len() - below.len();
                let more = (hidden > 0).then_some(None);
                let below: Vec<Option<usize>> = below.into_iter().map(Some).chain(more).collect();
                for (place, span) in below.iter().enumerate().rev() {
                    let mut last = row.last.clone();
                    last.push(place + 1 == below.len());
                    waiting.push(Row { span: *span, hidden, last });
                }
            }
            rows.push(row);
        }
        rows
    }
}

/// What stands before a row: for each depth below the root, whether the row or what it belongs to is the last there.
fn guide(last: &[bool]) -> String {
    let Some((own, above)) = last.split_last() else { return String::new() };
    let mut guide: String = above.iter().map(|last| if *last { "  " } else { "│ " }).collect();
    guide.push_str(if *own { "└ " } else { "├ " });
    guide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_leads_to_what_a_row_belongs_to() {
        let told = [&[][..], &[false], &[true], &[false, true], &[true, false]].map(guide);
        assert_eq!(told, ["", "├ ", "└ ", "│ └ ", "  ├ "]);
    }
}
