//! Retries: dead letters that a person wants to be sent again.

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::{Delivery, LETTERS, Stuck, cursor};
use crate::dead_letter::{self, DeadLetter};
use crate::event::{Logged, Timestamp};
use crate::sink::{self, Again, Cursor, Sent, Sink};

impl<S: Sink> Delivery<S> {
    /// Whether it is time to look for retries.
    pub(super) fn should_look(&mut self) -> bool {
        let told = self.nudge.notified().now_or_never().is_some();
        told || self.looked.is_none_or(|looked| looked.elapsed() >= self.settings.look_for_retries)
    }

    /// Sends again the dead letters that a person asked for.
    pub(super) async fn redeliver(&mut self) -> Result<(), Stuck> {
        self.looked = None;
        let letters = dead_letter::due(&self.store, &self.name)?;
        for letters in letters.chunks(LETTERS) {
            self.redeliver_some(letters).await?;
        }
        if letters.is_empty() {
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    async fn send_again(&mut self, letters: &[Again]) -> Sent {
        let call = timeout(self.settings.call_timeout, self.sink.send_again(letters));
        let sent = call.await.unwrap_or_else(|_| Sent { error: Some(self.timed_out()), ..Sent::default() });
        self.checked(sent, letters.len())
    }

    async fn redeliver_some(&mut self, letters: &[DeadLetter]) -> Result<(), Stuck> {
        let again = |letter: &DeadLetter| Again {
            logged: Logged { offset: letter.offset.unwrap_or_default(), event: letter.event.clone().into() },
            sent: letter.sent.clone(),
        };
        let batch: Vec<Again> = letters.iter().map(again).collect();
        let sent = self.send_again(&batch).await;
        let mut writes = Vec::new();
        for (index, letter) in letters.iter().enumerate().take(sent.settled) {
            match sent.refused.iter().find(|refused| refused.index == index) {
                None => writes.extend(dead_letter::remove(letter)),
                Some(refused) => writes.extend(dead_letter::keep_again(&DeadLetter {
                    reason: refused.reason.clone(),
                    sent: refused.sent.clone().or_else(|| letter.sent.clone()),
                    time: Timestamp::now(),
                    attempts: letter.attempts.saturating_add(1),
                    ..letter.clone()
                })),
            }
        }
        if sent.settled > 0 {
            let cursor = Cursor { offset: self.offset(), mark: sent.mark };
            writes.push(cursor::write(&self.name, &cursor, &self.settings));
            self.write(&writes).await?;
            self.cursor = Some(cursor);
        }
        let delivered = (sent.settled - sent.refused.len().min(sent.settled)) as u64;
        self.show(|status| status.delivered += delivered);
        match sent.error {
            Some(error) => Err(error.into()),
            None if sent.settled < letters.len() => {
                Err(sink::Error::Retryable("a retry was not settled".into()).into())
            }
            None => Ok(()),
        }
    }
}
