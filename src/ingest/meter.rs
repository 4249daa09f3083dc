//! What ingest counts of itself, for whoever measures it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Error;
use crate::event::Offset;
use crate::store;

/// A batch that became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// How many events it had; at least one.
    pub events: u64,
    /// From when it was taken from the bus until it was durable.
    pub duration: Duration,
}

/// A batch on its way to the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) events: u64,
    pub(super) at: Instant,
}

type Watcher = Box<dyn Fn(Commit) + Send + Sync>;

/// Counters; each costs an atomic addition.
#[derive(Default)]
pub(super) struct Meter {
    /// Where the log ended when ingest was started, and where it ends.
    first: AtomicU64,
    durable: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    watcher: OnceLock<Watcher>,
}

impl Meter {
    pub(super) fn starting_at(end: Offset) -> Self {
        Self { first: end.into(), durable: end.into(), ..Self::default() }
    }

    /// Tells each commit to `watcher`; the first one stays.
    pub(super) fn watch(&self, watcher: Watcher) {
        let _there_already = self.watcher.set(watcher);
    }

    /// Everything up to there is durable, these batches among it.
    pub(super) fn durable(&self, end: Offset, begun: &[Begun]) {
        self.durable.fetch_max(end, Ordering::Relaxed);
        let Some(watcher) = self.watcher.get() else { return };
        for Begun { events, at } in begun.iter().filter(|begun| begun.events > 0) {
            watcher(Commit { events: *events, duration: at.elapsed() });
        }
    }

    pub(super) fn committed(&self) -> u64 {
        self.durable.load(Ordering::Relaxed) - self.first.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self, error: &Error) {
        self.refused[error.reason() as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refusals(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(&self.refused).map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
    }
}

/// Why a submission was refused, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// [`Error::Full`].
    Full,
    /// [`Error::NoRoom`].
    NoRoom,
    /// [`Error::Recovering`].
    Recovering,
    /// [`Error::Unknown`].
    Unknown,
    /// [`store::Refused::Invalid`].
    Invalid,
    /// [`store::Refused::Conflict`].
    Conflict,
    /// [`store::Refused::NotStarted`].
    NotStarted,
    /// [`store::Refused::Ended`].
    Ended,
    /// [`store::Refused::Moved`].
    Moved,
    /// [`Error::TooLarge`].
    TooLarge,
    /// [`Error::Closed`].
    Closed,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Full,
        Self::NoRoom,
        Self::Recovering,
        Self::Unknown,
        Self::Invalid,
        Self::Conflict,
        Self::NotStarted,
        Self::Ended,
        Self::Moved,
        Self::TooLarge,
        Self::Closed,
    ];

    /// Its name, in snake_case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NoRoom => "no_room",
            Self::Recovering => "recovering",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::NotStarted => "not_started",
            Self::Ended => "ended",
            Self::Moved => "moved",
            Self::TooLarge => "too_large",
            Self::Closed => "closed",
        }
    }
}

impl Error {
    /// Which of the reasons it is.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Full => Reason::Full,
            Self::NoRoom(_) => Reason::NoRoom,
            Self::Recovering(_) => Reason::Recovering,
            Self::Unknown(_) => Reason::Unknown,
            Self::Refused(store::Refused::Invalid { .. }) => Reason::Invalid,
            Self::Refused(store::Refused::Conflict { .. }) => Reason::Conflict,
            Self::Refused(store::Refused::NotStarted { .. }) => Reason::NotStarted,
            Self::Refused(store::Refused::Ended { .. }) => Reason::Ended,
            Self::Refused(store::Refused::Moved { .. }) => Reason::Moved,
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Closed => Reason::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.name());
        }
    }
}
