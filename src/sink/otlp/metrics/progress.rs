//! How far the fold has come, and how far it has to come before anything is exported.

use crate::event::Offset;

/// Offsets of the log: each is the first event that is not folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    reached: Offset,
    needed: Offset,
}

impl Progress {
    pub(super) fn new(needed: Offset) -> Self {
        Self { reached: 0, needed }
    }

    /// Everything before `offset` is folded.
    pub(super) fn reach(&mut self, offset: Offset) {
        self.reached = self.reached.max(offset);
    }

    /// All was forgotten. What was exported may have told of everything that was reached.
    pub(super) fn fall_back(&mut self) {
        self.needed = self.needed.max(self.reached);
        self.reached = 0;
    }

    /// Whether the state is not behind what was exported before.
    pub(super) fn is_there(&self) -> bool {
        self.reached >= self.needed
    }
}
