//! How long to wait after a failure: exponential, with full jitter, so that many sinks do not come back at
//! the same moment.

use std::time::Duration;

/// Waits that grow.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `first`, each later one at most twice the one before, none over `most`.
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// The next wait; `fraction` from 0 to 1 is the jitter.
    pub(crate) fn next(&mut self, fraction: f64) -> Duration {
        let factor = 2u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.first.saturating_mul(factor).min(self.most).mul_f64(fraction.clamp(0.0, 1.0))
    }

    /// It went well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_most_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<u128> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.next(0.5), Duration::from_millis(500));
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        for _ in 0..100 {
            backoff.next(1.0);
        }
        assert_eq!(backoff.next(7.0), Duration::from_secs(1));
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_millis(100));
    }
}
