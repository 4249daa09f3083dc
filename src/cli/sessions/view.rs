//! What is drawn of a session: pure functions from a state to lines.

pub(in crate::cli) mod bar;
pub(in crate::cli) mod calls;
pub(in crate::cli) mod compare;
pub(in crate::cli) mod gauges;
pub(in crate::cli) mod list;
pub(in crate::cli) mod outline;
pub(in crate::cli) mod progress;
mod sections;
pub(in crate::cli) mod spans;
#[cfg(test)]
pub(in crate::cli) mod testing;
pub(in crate::cli) mod tree;
pub(in crate::cli) mod waterfall;
pub(in crate::cli) mod whole;

use crate::cli::styled::Style;
use crate::store::Status;

/// How a part of a session fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Fate {
    /// It waits for its turn.
    Waiting,
    /// It is under way.
    Busy,
    /// It ended as it should.
    Done,
    /// It was passed over.
    Skipped,
    /// It was cut off, and nobody knows how it would have ended.
    Cut,
    /// It failed.
    Failed,
}

impl Fate {
    /// That of a session.
    pub(in crate::cli) fn of(status: Status) -> Self {
        match status {
            Status::Active => Self::Busy,
            Status::Completed => Self::Done,
            Status::Failed => Self::Failed,
            Status::Interrupted => Self::Cut,
        }
    }

    /// Its mark.
    pub(in crate::cli) fn mark(self) -> &'static str {
        match self {
            Self::Waiting => "○",
            Self::Busy => "●",
            Self::Done => "✔",
            Self::Skipped => "–",
            Self::Cut => "!",
            Self::Failed => "✖",
        }
    }

    /// Its colour.
    pub(in crate::cli) fn style(self) -> Style {
        match self {
            Self::Waiting | Self::Skipped => Style::Dim,
            Self::Busy => Style::Busy,
            Self::Done => Style::Good,
            Self::Cut => Style::Warn,
            Self::Failed => Style::Bad,
        }
    }
}

/// A status as people read it.
pub(in crate::cli) fn word(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
    }
}
