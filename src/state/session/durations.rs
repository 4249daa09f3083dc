//! Durations of many calls, in little room.

use serde::{Deserialize, Serialize};

/// Counted in steps that double: below 1 ms, 2 ms, 4 ms…
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Durations {
    count: u64,
    sum: u64,
    max: u64,
    steps: Vec<u64>,
}

/// What is told of durations, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// All of them together.
    pub sum_ms: u64,
    /// The longest.
    pub max_ms: u64,
    /// Half of them took no longer; up to twice too high, as they are counted in steps that double.
    pub p50_ms: u64,
    /// Ninety-five of a hundred took no longer; likewise.
    pub p95_ms: u64,
}

impl Durations {
    pub(super) fn add(&mut self, ms: u64) {
        let step = (u64::BITS - ms.leading_zeros()) as usize;
        if self.steps.len() <= step {
            self.steps.resize(step + 1, 0);
        }
        self.steps[step] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(ms);
        self.max = self.max.max(ms);
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            sum_ms: self.sum,
            max_ms: self.max,
            p50_ms: self.quantile(50),
            p95_ms: self.quantile(95),
        }
    }

    /// The end of the step that has the duration below which so many percent lie.
    fn quantile(&self, percent: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        for (step, count) in self.steps.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted {
                let end = 1_u64.checked_shl(step as u32).map_or(u64::MAX, |end| end - 1);
                return end.min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_step() {
        let mut durations = Durations::default();
        (0..100).for_each(|ms| durations.add(ms));
        let Summary { count, sum_ms, max_ms, p50_ms, p95_ms } = durations.summary();
        assert_eq!((count, sum_ms, max_ms), (100, 4950, 99));
        assert_eq!((p50_ms, p95_ms), (63, 99));
        assert_eq!(Durations::default().summary(), Summary::default());
        durations.add(u64::MAX);
        assert_eq!(durations.summary().max_ms, u64::MAX);
    }
}
