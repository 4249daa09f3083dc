//! All waiting of a delivery: for something to do, and after a failure.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::{Delivery, Failure, State, Stuck};
use crate::event::{Offset, Timestamp};
use crate::sink::{self, Sink};

impl<S: Sink> Delivery<S> {
    /// Waits for something to do.
    pub(super) async fn idle(&mut self, durable: &mut watch::Receiver<Offset>) {
        self.show(|status| {
            status.state = State::Idle;
            status.failures = 0;
        });
        let due = self.remembered.due();
        let save = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = durable.changed() => self.gather().await,
            () = save => {
                // The next time it is due again: nothing is lost meanwhile.
                if let Err(error) = self.save_memory() {
                    tracing::warn!(sink = %self.name, %error, "what the sink remembers is not saved yet");
                    sleep(self.settings.backoff_first).await;
                }
            }
            () = self.nudge.notified() => self.looked = None,
            () = sleep(self.settings.look_for_retries) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn gather(&mut self) {
        if !self.settings.gather.is_zero() {
            tokio::select! {
                () = sleep(self.settings.gather) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    /// Waits after a failure, for as long as it asks for.
    pub(super) async fn wait_after(&mut self, stuck: &Stuck) {
        let wait = self.wait(stuck);
        let message = stuck.to_string();
        let known = self.status.borrow().last_error.as_ref().is_some_and(|last| last.message == message);
        if !known || self.status.borrow().failures == 0 {
            tracing::warn!(sink = %self.name, again_in_ms = wait.as_millis(), "delivery waits: {message}");
        }
        let now = Timestamp::now();
        let wait_millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.show(|status| {
            status.state = State::Waiting;
            status.failures = status.failures.saturating_add(1);
            status.failed += 1;
            status.retry_at = Some(now.plus_millis(wait_millis));
            status.last_error = Some(Failure { time: now, message });
        });
        tokio::select! {
            () = sleep(wait) => {}
            () = self.shutdown.cancelled() => {}
        }
        self.show(|status| status.retry_at = None);
    }

    fn wait(&mut self, stuck: &Stuck) -> Duration {
        let jitter = rand::random::<f64>();
        match stuck {
            Stuck::Store(_) => self.backoff.next(jitter),
            Stuck::Sink(sink::Error::Throttled { after, .. }) => *after,
            Stuck::Sink(sink::Error::Retryable(_)) => {
                let wait = self.backoff.next(jitter);
                self.breaker.failed().map_or(wait, |open| open.max(wait))
            }
            Stuck::Sink(sink::Error::Misconfigured(_)) => {
                self.breaker.failed();
                self.settings.misconfigured.mul_f64(0.5 + jitter / 2.0)
            }
        }
    }
}
