//! What is held until it has its fate: each event is folded once, in the order of the log, and the document that
//! it became stays here while it is sent, and sent again.

use std::collections::VecDeque;

use super::document::Document;
use crate::event::{Logged, Offset};
use crate::otel::Tracker;
use crate::sink::Memory;

/// The documents of the page that is being sent, at most 4,096, and the fold that they were made by.
#[derive(Debug, Default)]
pub(super) struct Held {
    tracker: Tracker,
    /// Those not settled yet, in the order of the log.
    pub(super) documents: VecDeque<Document>,
    /// The offsets of them.
    offsets: VecDeque<Offset>,
}

impl Held {
    /// Takes in a batch; what was held before its first event is settled, and what is held already stays.
    pub(super) fn take_in(&mut self, batch: &[Logged]) {
        let Some(first) = batch.first() else { return };
        while self.offsets.front().is_some_and(|&offset| offset < first.offset) {
            self.settle(1);
        }
        let known = self.offsets.back().copied();
        for logged in batch.iter().filter(|logged| known.is_none_or(|known| logged.offset > known)) {
            self.documents.push_back(Document::of(logged, &mut self.tracker));
            self.offsets.push_back(logged.offset);
        }
    }

    /// Lets go of so many.
    pub(super) fn settle(&mut self, count: usize) {
        self.documents.drain(..count);
        self.offsets.drain(..count);
    }
}

impl Memory for Held {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        self.tracker.restore(key, value)
    }

    fn replay(&mut self, logged: &Logged) {
        self.tracker.apply(&logged.event);
    }

    fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        self.tracker.changes()
    }
}
