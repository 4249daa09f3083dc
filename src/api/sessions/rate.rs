//! How many events a second one session may send.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::StreamId;

/// How much of its rate a session may have saved up.
const BURST: Duration = Duration::from_secs(1);
/// So many sessions at least are remembered before those that owe nothing are let go of.
const KEPT: usize = 1024;

/// A token bucket a session. What is taken may go below zero, so that a request is never too large for it; the next
/// one waits for as long as it takes to be made up for.
pub(in crate::api) struct Rates {
    /// Events a second.
    rate: f64,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// When each bucket will be full again.
    full: HashMap<StreamId, Instant>,
    /// How many there were when those that were full had been let go of.
    kept: usize,
}

impl Rates {
    /// So many events a second for each session.
    pub(in crate::api) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate.max(1)), sessions: Mutex::default() }
    }

    /// Takes so many events, or says how long to wait before that.
    pub(super) fn take(&self, session: &StreamId, events: usize) -> Result<(), Duration> {
        let now = Instant::now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let full = sessions.full.get(session).copied().unwrap_or(now).max(now);
        let owed = full - now;
        if owed > BURST {
            return Err(owed - BURST);
        }
        let cost = Duration::from_secs_f64(events as f64 / self.rate);
        sessions.full.insert(session.clone(), full + cost);
        if sessions.full.len() > KEPT.max(2 * sessions.kept) {
            sessions.full.retain(|_, full| *full > now);
            sessions.kept = sessions.full.len();
        }
        Ok(())
    }

    /// Takes so many events, as soon as they may be taken.
    pub(super) async fn wait(&self, session: &StreamId, events: usize) {
        while let Err(wait) = self.take(session, events) {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> StreamId {
        StreamId::new(format!("s{n}")).expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_sends_at_its_rate_and_a_second_of_it_at_once() {
        let rates = Rates::new(100);
        let begin = Instant::now();
        let (mut taken, mut refused) = (0, 0);
        while begin.elapsed() < Duration::from_secs(10) {
            match rates.take(&id(1), 10) {
                Ok(()) => taken += 10,
                Err(wait) => {
                    refused += 1;
                    assert!(wait <= Duration::from_millis(100), "{wait:?}");
                    tokio::time::sleep(wait).await;
                }
            }
        }
        assert!((1_100..=1_120).contains(&taken) && refused > 90, "{taken} taken, {refused} refused");
        assert_eq!(rates.take(&id(2), 10), Ok(()), "another session has a rate of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_the_rate_goes_once_and_is_made_up_for() {
        let rates = Rates::new(100);
        assert_eq!(rates.take(&id(1), 1024), Ok(()));
        let begin = Instant::now();
        rates.wait(&id(1), 1).await;
        assert!((9..=10).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_at_rest_are_forgotten() {
        let rates = Rates::new(100);
        for n in 0..10 * KEPT {
            rates.take(&id(n), 1).expect("its first one");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(rates.sessions.lock().expect("unpoisoned").full.len() <= KEPT + 1);
    }
}
