//! What became of submissions whose sender does not wait for each answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Error, bus::Reply};

/// So many of those that were not taken are told one by one; the rest is counted.
pub const MAX_TOLD: usize = 100;

/// One account for all submissions of one sender.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    taken: AtomicU64,
    refused: Mutex<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    first: Vec<Missed>,
}

/// A submission that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Which one: 0, 1, 2… in the order of sending.
    pub index: u64,
    /// Why.
    pub error: Error,
}

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// How many were put on the bus.
    pub sent: u64,
    /// How many of them are durable.
    pub taken: u64,
    /// How many were not taken.
    pub missed: u64,
    /// The first of those that were not taken, at most [`MAX_TOLD`].
    pub first_missed: Vec<Missed>,
}

impl Tally {
    /// How things stand now. What is neither taken nor missed is on its way.
    pub fn account(&self) -> Account {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        Account {
            sent: self.sent.load(Ordering::Acquire),
            taken: self.taken.load(Ordering::Acquire),
            missed: refused.count,
            first_missed: refused.first.clone(),
        }
    }

    /// The index of the next submission.
    pub(super) fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::AcqRel)
    }

    pub(super) fn tell(&self, index: u64, reply: Reply) {
        let error = match reply {
            Ok(_) => {
                self.taken.fetch_add(1, Ordering::AcqRel);
                return;
            }
            Err(error) => error,
        };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        if refused.first.len() < MAX_TOLD {
            refused.first.push(Missed { index, error });
        }
    }
}
