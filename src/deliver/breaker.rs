//! The breaker: a dead destination is left alone for a while, then tried with one event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Everything.
    Closed,
    /// Nothing, until its time is over.
    Open,
    /// One event, which decides.
    HalfOpen,
}

/// Counts failures in a row.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    opens_after: u32,
    first: Duration,
    most: Duration,
    failures: u32,
    openings: u32,
    circuit: Circuit,
}

impl Breaker {
    /// Opens after so many failures in a row, for `first`; at each failed trial for twice as long, at most
    /// for `most`.
    pub(super) fn new(opens_after: u32, first: Duration, most: Duration) -> Self {
        Self { opens_after, first, most, failures: 0, openings: 0, circuit: Circuit::Closed }
    }

    /// What it lets through.
    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Takes up a failure: answers how long nothing may be tried, if it is open now.
    pub(super) fn failed(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.circuit == Circuit::Closed && self.failures < self.opens_after {
            return None;
        }
        let open_for = self.first.saturating_mul(2u32.saturating_pow(self.openings)).min(self.most);
        self.openings = self.openings.saturating_add(1);
        self.circuit = Circuit::Open;
        Some(open_for)
    }

    /// Its time is over.
    pub(super) fn try_again(&mut self) {
        if self.circuit == Circuit::Open {
            self.circuit = Circuit::HalfOpen;
        }
    }

    /// It went well.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.openings, self.circuit) = (0, 0, Circuit::Closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn opens_after_failures_in_a_row_and_closes_at_a_success() {
        let mut breaker = Breaker::new(3, SECOND, 4 * SECOND);
        assert_eq!((breaker.failed(), breaker.failed()), (None, None));
        breaker.succeeded();
        assert_eq!((breaker.failed(), breaker.failed(), breaker.failed()), (None, None, Some(SECOND)));
        assert_eq!(breaker.circuit(), Circuit::Open);
        for wait in [2, 4, 4] {
            breaker.try_again();
            assert_eq!(breaker.circuit(), Circuit::HalfOpen);
            assert_eq!(breaker.failed(), Some(wait * SECOND));
        }
        breaker.try_again();
        breaker.succeeded();
        assert_eq!((breaker.circuit(), breaker.failed()), (Circuit::Closed, None));
    }
}
