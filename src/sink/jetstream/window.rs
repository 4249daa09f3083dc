//! The window: publishes in flight, each naming the one before it, and their answers in order.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{self, Answer};
use super::headers::Expect;
use crate::cause::chain;
use crate::event::Logged;
use crate::nats::{Connection, TIMEOUT};
use crate::sink::{Error, Refused};

/// No more is published in a call after so long; what is in flight then is still waited for.
const FILL_TIME: Duration = Duration::from_secs(12);
/// A call ends after so long, whatever is in flight.
const CALL_TIME: Duration = Duration::from_secs(28);

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// Not known yet.
    Open,
    /// It is in the stream under this sequence, by this call or from before.
    There(u64),
    /// It would have expired by now, and is not sent again.
    Expired,
    /// It will never be there.
    Refused(String),
    /// It was not taken, as the one before it was not.
    OutOfTurn(String),
    /// It was not taken now.
    Failed(Error),
}

impl Fate {
    fn is_final(&self) -> bool {
        matches!(self, Self::There(_) | Self::Expired | Self::Refused(_))
    }
}

/// How order is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Each message names the one before it.
    Chained {
        /// What the next message is to name.
        next: Expect,
        /// What it would name if nothing in flight arrived.
        confirmed: Expect,
    },
    /// Others publish too, so no message can name the last one. After an error so many are sent one by one.
    Shared {
        /// How many.
        careful: usize,
    },
}

/// What a publish needs beside the event's own.
pub(super) struct Outgoing {
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// Where publishes go and answers come from.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) connection: Connection,
    /// Answers come to this subject with the token of the publish as its last part.
    pub(super) inbox: String,
    pub(super) answers: Subscriber,
    /// The token of the next publish; never used twice in a connection.
    pub(super) token: u64,
}

/// One batch on its way.
pub(super) struct Flight<'a> {
    pub(super) batch: &'a [Logged],
    pub(super) fates: Vec<Fate>,
    /// The next event to be looked at.
    pub(super) next: usize,
    in_flight: VecDeque<(u64, usize)>,
    /// Set by the first failure: what is in flight is waited for, and nothing follows.
    pub(super) stopped: bool,
    /// How many had been refused for good at the last [`Flight::rewind`], wherever they stand in the batch.
    refused: usize,
    begin: Instant,
}

impl<'a> Flight<'a> {
    pub(super) fn new(batch: &'a [Logged]) -> Self {
        Self {
            batch,
            fates: vec![Fate::Open; batch.len()],
            next: 0,
            in_flight: VecDeque::new(),
            stopped: false,
            refused: 0,
            begin: Instant::now(),
        }
    }

    /// Whether another event may be looked at now.
    pub(super) fn has_room(&self, window: usize) -> bool {
        !self.stopped && self.next < self.batch.len() && self.in_flight.len() < window && !self.is_late()
    }

    /// Whether the time for publishing is over.
    pub(super) fn is_late(&self) -> bool {
        self.begin.elapsed() >= FILL_TIME
    }

    /// Whether anything is in flight.
    pub(super) fn is_flying(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// How many events from the start have their fate.
    pub(super) fn settled(&self) -> usize {
        self.fates.iter().position(|fate| !fate.is_final()).unwrap_or(self.fates.len())
    }

    /// The refused ones among the settled.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let settled = self.fates[..self.settled()].iter().enumerate();
        let refused = settled.filter_map(|(index, fate)| match fate {
            Fate::Refused(reason) => Some(Refused { index, reason: reason.clone(), sent: None }),
            _ => None,
        });
        refused.collect()
    }

    /// Publishes the next event.
    pub(super) async fn publish(&mut self, wire: &mut Wire, outgoing: Outgoing) -> Result<(), Error> {
        let index = self.next;
        let subject = self.batch[index].event.subject.as_str().to_owned();
        let token = wire.token;
        let reply = format!("{}.{token}", wire.inbox);
        let client = &wire.connection.client;
        let sending = client.publish_with_reply_and_headers(subject, reply, outgoing.headers, outgoing.payload);
        match timeout(TIMEOUT, sending).await {
            Ok(Ok(())) => {
                wire.token += 1;
                self.in_flight.push_back((token, index));
            }
            Ok(Err(error)) if error.kind() == PublishErrorKind::Send => return Err(broken()),
            Ok(Err(error)) => self.fates[index] = Fate::Refused(chain(&error)),
            Err(_) => return Err(Error::Retryable("the server takes nothing".into())),
        }
        self.next += 1;
        Ok(())
    }

    /// Waits for one answer, and answers with the index of the event that it was for.
    pub(super) async fn settle_one(&mut self, wire: &mut Wire) -> Result<Option<(usize, Answer)>, Error> {
        // Mostly one is there already; a timer for each would cost more than the answer.
        let message = match wire.answers.next().now_or_never() {
            Some(next) => next.ok_or_else(broken)?,
            None => self.wait(wire).await?,
        };
        let token = message.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
        // An answer to an earlier call that was given up has nothing in flight any more.
        let place = self.in_flight.iter().position(|(flying, _)| Some(*flying) == token);
        let Some((_, index)) = place.and_then(|place| self.in_flight.remove(place)) else { return Ok(None) };
        let answer = answer::read(&message.payload, message.status == Some(StatusCode::NO_RESPONDERS));
        self.fates[index] = match answer.clone() {
            Answer::Stored { sequence, .. } => Fate::There(sequence),
            Answer::Refused(reason) => Fate::Refused(reason),
            Answer::OutOfTurn(reason) => Fate::OutOfTurn(reason),
            Answer::Failed(error) => Fate::Failed(error),
        };
        self.stopped |= !matches!(answer, Answer::Stored { .. });
        Ok(Some((index, answer)))
    }

    async fn wait(&self, wire: &mut Wire) -> Result<Message, Error> {
        let until = (Instant::now() + TIMEOUT).min(self.begin + CALL_TIME);
        tokio::select! {
            biased;
            next = timeout_at(until, wire.answers.next()) => match next {
                Ok(next) => next.ok_or_else(broken),
                Err(_) => Err(Error::Retryable("the server acknowledges too slowly".into())),
            },
            () = wire.connection.denied.cancelled() => Err(Error::Misconfigured(wire.connection.denial())),
            () = wire.connection.lost.cancelled() => Err(broken()),
        }
    }

    /// After all answers came: goes back to the first event that was only out of its turn because an event
    /// before it was refused for good. Otherwise answers why it cannot go on.
    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        self.stopped = false;
        let settled = self.settled();
        let refused = self.fates.iter().filter(|fate| matches!(fate, Fate::Refused(_))).count();
        let refused_before = std::mem::replace(&mut self.refused, refused);
        match self.fates.get(settled) {
            None => Ok(()),
            Some(Fate::Failed(error)) => Err(error.clone()),
            Some(Fate::OutOfTurn(reason)) if refused == refused_before => {
                Err(Error::Retryable(format!("another message came in between: {reason}")))
            }
            Some(_) => {
                for fate in &mut self.fates[settled..] {
                    if !fate.is_final() {
                        *fate = Fate::Open;
                    }
                }
                self.next = settled;
                Ok(())
            }
        }
    }
}

fn broken() -> Error {
    Error::Retryable("the connection to NATS broke".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_turn_is_sent_again_only_after_another_was_refused() {
        let batch = [];
        let mut flight = Flight::new(&batch);
        let out_of_turn = Fate::OutOfTurn("no".into());
        // The refused one may stand behind: what is out of turn before it has another reason.
        flight.fates = vec![out_of_turn.clone(), Fate::Refused("too large".into())];
        assert_eq!((flight.rewind(), flight.fates[0].clone(), flight.next), (Ok(()), Fate::Open, 0));
        flight.fates[0] = out_of_turn;
        assert!(matches!(flight.rewind(), Err(Error::Retryable(_))));
    }
}
