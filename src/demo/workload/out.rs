//! Where steps go, and the time at which they happen.

use std::collections::VecDeque;

use serde_json::Value;

use super::Step;

/// The steps that were made and not taken yet.
#[derive(Debug)]
pub(super) struct Out {
    rate: u64,
    made: u64,
    steps: VecDeque<Step>,
}

impl Out {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: rate.into(), made: 0, steps: VecDeque::new() }
    }

    /// When step number `n`, counted from 0, happens.
    pub(super) fn at(&self, n: u64) -> u64 {
        n * 1000 / self.rate
    }

    /// When the next step happens.
    pub(super) fn now(&self) -> u64 {
        self.at(self.made)
    }

    /// Makes the next step.
    pub(super) fn emit(&mut self, kind: &'static str, data: Value) {
        let at_ms = self.now();
        self.steps.push_back(Step { at_ms, kind, data: data.to_string() });
        self.made += 1;
    }

    /// How many were made.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    pub(super) fn take(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }
}
