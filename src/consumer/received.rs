//! An event that was received, and what its handler says of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, AckKind};

use super::progress::Progress;
use crate::event::Event;

/// What a handler says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Ack,
    /// It is to come again, after so long.
    Nak(Duration),
    /// It is never to come again, though it was not done.
    Term,
}

/// An event out of the stream.
///
/// Dropped without a word it comes again after the server's wait for acknowledgements (30 s).
#[derive(Debug)]
pub struct Received {
    /// The event.
    pub event: Event,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// How often it was delivered, this time included.
    pub delivered: i64,
    /// Whether it is part of the state that was there at the start ([`super::Start::Current`]).
    pub current: bool,
    pub(super) message: jetstream::Message,
    pub(super) progress: Arc<Mutex<Progress>>,
}

impl Received {
    /// Says that it is done. A lost acknowledgement is made good when the event comes again.
    pub async fn ack(self) {
        self.settle(Verdict::Ack).await;
    }

    /// Gives it back: it comes again after `delay`.
    pub async fn nak(self, delay: Duration) {
        self.settle(Verdict::Nak(delay)).await;
    }

    /// Says that it is never to come again.
    pub async fn term(self) {
        self.settle(Verdict::Term).await;
    }

    /// Does as the verdict says.
    pub async fn settle(self, verdict: Verdict) {
        let kind = match verdict {
            Verdict::Ack => AckKind::Ack,
            Verdict::Nak(delay) => AckKind::Nak(Some(delay)),
            Verdict::Term => AckKind::Term,
        };
        if !matches!(verdict, Verdict::Nak(_)) {
            self.progress.lock().unwrap_or_else(PoisonError::into_inner).settle(self.sequence);
        }
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::debug!(sequence = self.sequence, %error, "an acknowledgement was not sent");
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).release(self.sequence);
    }
}
