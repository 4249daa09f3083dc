//! How far a subscription has come: what makes it go on without a gap or a double after a loss.

use std::collections::BTreeSet;

/// The most settled messages that are remembered, the newest ones.
const MAX_REMEMBERED: usize = 100_000;

/// What to do with a message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Hand it out.
    New,
    /// It was settled before, and its acknowledgement was lost.
    Settled,
    /// Somebody still has it in hand.
    Held,
}

/// Sequences that came and what became of them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The greatest sequence that came.
    newest: u64,
    /// Handed out and not settled; the server bounds how many that can be.
    open: BTreeSet<u64>,
    /// Those among them that somebody has in hand.
    held: BTreeSet<u64>,
    settled: BTreeSet<u64>,
}

impl Progress {
    /// Begins behind a sequence.
    pub(super) fn after(sequence: u64) -> Self {
        Self { newest: sequence, ..Self::default() }
    }

    /// A message came.
    pub(super) fn arrive(&mut self, sequence: u64) -> Arrival {
        if self.held.contains(&sequence) {
            return Arrival::Held;
        }
        if self.settled.contains(&sequence) {
            return Arrival::Settled;
        }
        self.newest = self.newest.max(sequence);
        self.open.insert(sequence);
        self.held.insert(sequence);
        Arrival::New
    }

    /// The greatest sequence that came, or was passed.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Nothing up to this sequence is to come any more, but for what is open.
    pub(super) fn pass(&mut self, sequence: u64) {
        self.newest = self.newest.max(sequence);
    }

    /// Whether it was handed out and not settled.
    pub(super) fn is_open(&self, sequence: u64) -> bool {
        self.open.contains(&sequence)
    }

    /// It is done, and must not come again.
    pub(super) fn settle(&mut self, sequence: u64) {
        self.held.remove(&sequence);
        self.open.remove(&sequence);
        self.settled.insert(sequence);
        if self.settled.len() > MAX_REMEMBERED {
            self.settled.pop_first();
        }
    }

    /// It was given back, and will come again.
    pub(super) fn release(&mut self, sequence: u64) {
        self.held.remove(&sequence);
    }

    /// The sequence from which all has to be read again; what is settled beyond it is passed over.
    pub(super) fn next(&self) -> u64 {
        self.open.first().map_or(self.newest + 1, |open| *open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_at_the_first_that_is_not_settled() {
        let mut progress = Progress::after(10);
        assert_eq!(progress.next(), 11);
        for sequence in [11, 12, 15] {
            assert_eq!(progress.arrive(sequence), Arrival::New);
        }
        progress.settle(12);
        assert_eq!(progress.next(), 11);
        progress.settle(11);
        assert_eq!(progress.next(), 15);
        progress.settle(15);
        assert_eq!(progress.next(), 16);
    }

    #[test]
    fn what_comes_again_is_handed_out_only_if_it_was_given_back() {
        let mut progress = Progress::default();
        progress.arrive(1);
        assert_eq!(progress.arrive(1), Arrival::Held);
        progress.release(1);
        assert_eq!(progress.next(), 1);
        assert_eq!(progress.arrive(1), Arrival::New);
        progress.settle(1);
        assert_eq!(progress.arrive(1), Arrival::Settled);
    }

    #[test]
    fn remembers_no_more_than_its_limit() {
        let mut progress = Progress::default();
        for sequence in 1..=MAX_REMEMBERED as u64 + 10 {
            progress.arrive(sequence);
            progress.settle(sequence);
        }
        assert_eq!(progress.settled.len(), MAX_REMEMBERED);
        assert_eq!(progress.arrive(MAX_REMEMBERED as u64), Arrival::Settled);
    }
}
