//! The standard workload at its own pace.

use std::iter::Peekable;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::demo::{Step, Steps, Workload};
use crate::event::input::Input;
use crate::event::{Data, Draft, Invalid, StreamId, Timestamp};

/// The most steps that are given at once.
const BATCH: usize = 256;

/// A step with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timed {
    /// When it happens, or would have happened.
    pub(super) ts: Timestamp,
    /// What.
    pub(super) step: Step,
}

impl Timed {
    /// As a sender writes it.
    pub(super) fn json(&self) -> String {
        let Step { kind, data, .. } = &self.step;
        format!(r#"{{"type":"{kind}","ts":"{}","data":{data}}}"#, self.ts)
    }

    /// As a draft of that session.
    pub(super) fn draft(&self, session: &StreamId) -> Result<Draft, Invalid> {
        Input::parse(&self.json())?.into_draft(session, None)
    }

    /// Its payload.
    pub(super) fn data(&self) -> Result<Data, Invalid> {
        Data::parse(self.step.data.clone())
    }
}

/// The steps, as they become due.
pub(super) struct Paced {
    steps: Peekable<Steps>,
    begin: Instant,
    start: Timestamp,
    fast: bool,
}

impl Paced {
    /// Begins now; `fast`: all steps are due at once, as if the last of them happened now.
    pub(super) fn new(workload: &Workload, fast: bool) -> Self {
        let took = if fast { workload.steps().last().map_or(0, |step| millis(&step)) } else { 0 };
        let start = Timestamp::now().plus_millis(-took);
        Self { steps: workload.steps().peekable(), begin: Instant::now(), start, fast }
    }

    /// Waits for the next step, and gives it with all that are due by then; none at the end. Safe to drop at any
    /// await.
    pub(super) async fn due(&mut self) -> Vec<Timed> {
        let Some(next) = self.steps.peek() else { return Vec::new() };
        if !self.fast {
            sleep_until(self.begin + Duration::from_millis(next.at_ms)).await;
        }
        let elapsed = self.begin.elapsed().as_millis();
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(step) = self.steps.next_if(|step| self.fast || u128::from(step.at_ms) <= elapsed)
        {
            due.push(Timed { ts: self.start.plus_millis(millis(&step)), step });
        }
        due
    }
}

fn millis(step: &Step) -> i64 {
    i64::try_from(step.at_ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKLOAD: Workload = Workload { seed: 7, levels: 2, nodes: 5, rate: 50 };

    async fn all(paced: &mut Paced) -> Vec<(Duration, Timed)> {
        let (begin, mut all) = (Instant::now(), Vec::new());
        loop {
            let due = paced.due().await;
            if due.is_empty() {
                return all;
            }
            assert!(due.len() <= BATCH);
            all.extend(due.into_iter().map(|timed| (begin.elapsed(), timed)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_step_comes_in_its_time_or_all_at_once_with_the_same_times_between() {
        let slow = all(&mut Paced::new(&WORKLOAD, false)).await;
        let steps: Vec<Step> = WORKLOAD.steps().collect();
        assert_eq!(slow.iter().map(|(_, timed)| timed.step.clone()).collect::<Vec<_>>(), steps);
        for (at, timed) in &slow {
            let late = at.as_millis() - u128::from(timed.step.at_ms);
            assert!(late <= 1, "{timed:?} after {at:?}");
        }
        let fast = all(&mut Paced::new(&WORKLOAD, true)).await;
        assert_eq!(fast.last().expect("steps").0, Duration::ZERO);
        let since = |all: &[(Duration, Timed)]| {
            let of = |(_, timed): &(Duration, Timed)| timed.ts.as_millis() - all[0].1.ts.as_millis();
            all.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(since(&fast), since(&slow));
    }
}
