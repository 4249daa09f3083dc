//! A batch on its way over one connection: what is there already, what goes out, and what came back.

use super::answer::Answer;
use super::headers::{self, Expect, Stamp};
use super::mark::Mark;
use super::tail::{Reader, Tail};
use super::window::{Fate, Flight, Order, Outgoing, Wire};
use crate::event::{Logged, Offset, Pattern};
use crate::sink::Error;

/// A connection to the stream, with all that is known of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) wire: Wire,
    pub(super) reader: Reader,
    /// The subjects that the stream takes.
    pub(super) taken: Vec<Pattern>,
    pub(super) stamp: Stamp,
    pub(super) window: usize,
    /// The next event in turn; one before it is sent again at a person's wish.
    pub(super) offset: Offset,
    pub(super) mark: Mark,
    pub(super) tail: Tail,
    pub(super) order: Order,
}

/// What to do with one event.
enum Step {
    Settled(Fate),
    Publish(Outgoing),
}

impl Link {
    /// Takes a batch as far as it can.
    pub(super) async fn deliver(&mut self, flight: &mut Flight<'_>) -> Result<(), Error> {
        loop {
            while flight.has_room(self.room()) {
                self.advance(flight).await?;
            }
            if flight.is_flying() {
                if let Some((index, answer)) = flight.settle_one(&mut self.wire).await? {
                    self.note(&flight.batch[index], &answer);
                }
                continue;
            }
            flight.rewind()?;
            self.rewind();
            if flight.settled() == flight.batch.len() || flight.is_late() {
                return Ok(());
            }
        }
    }

    fn room(&self) -> usize {
        match self.order {
            Order::Shared { careful: 1.. } => 1,
            _ => self.window,
        }
    }

    /// Looks at the next event of the batch.
    async fn advance(&mut self, flight: &mut Flight<'_>) -> Result<(), Error> {
        if flight.fates[flight.next] != Fate::Open {
            flight.next += 1;
            return Ok(());
        }
        let logged = &flight.batch[flight.next];
        match self.step(logged).await? {
            Step::Settled(fate) => {
                flight.fates[flight.next] = fate;
                flight.next += 1;
            }
            Step::Publish(outgoing) => {
                flight.publish(&mut self.wire, outgoing).await?;
                if let Order::Chained { next, .. } = &mut self.order {
                    *next = Expect::Id(logged.event.id);
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, logged: &Logged) -> Result<Step, Error> {
        let event = &logged.event;
        if let Some(sequence) = self.tail.take(event.id) {
            return Ok(Step::Settled(Fate::There(sequence)));
        }
        if self.has_expired(logged) {
            return Ok(Step::Settled(Fate::Expired));
        }
        if !self.taken.iter().any(|pattern| pattern.matches(event.subject.as_str())) {
            let reason = format!("stream {} does not take the subject {}", self.stamp.stream, event.subject);
            return Ok(Step::Settled(Fate::Refused(reason)));
        }
        if self.tail.may_have(logged.offset) {
            self.tail.read_on(&self.reader, Some(self.stamp.writer)).await?;
            if let Some(sequence) = self.tail.take(event.id) {
                return Ok(Step::Settled(Fate::There(sequence)));
            }
            if self.tail.may_have(logged.offset) {
                return Err(Error::Retryable("the stream's end is still being read".into()));
            }
        }
        let expect = match &self.order {
            Order::Chained { next, .. } => next,
            Order::Shared { .. } => &Expect::Anything,
        };
        let headers = headers::of(logged, &self.stamp, expect, logged.offset >= self.offset);
        Ok(Step::Publish(Outgoing { headers, payload: event.published().into() }))
    }

    fn has_expired(&self, logged: &Logged) -> bool {
        let heal = self.mark.heal.as_ref().filter(|heal| logged.offset < heal.until);
        heal.and_then(|heal| heal.not_before).is_some_and(|oldest| logged.event.observed < oldest)
    }

    /// Takes up an answer.
    fn note(&mut self, logged: &Logged, answer: &Answer) {
        if let Answer::Stored { duplicate: false, .. } = answer {
            match &mut self.order {
                Order::Chained { confirmed, .. } => *confirmed = Expect::Id(logged.event.id),
                Order::Shared { careful } => *careful = careful.saturating_sub(1),
            }
            if let Some(heal) = self.mark.heal.as_mut().filter(|heal| logged.offset < heal.until) {
                heal.sent += 1;
            }
        }
    }

    /// With nothing in flight, the last confirmed message is the one to name.
    fn rewind(&mut self) {
        if let Order::Chained { next, confirmed } = &mut self.order {
            next.clone_from(confirmed);
        }
    }

    /// Moves the mark over what is settled.
    pub(super) fn confirm(&mut self, flight: &Flight<'_>, settled: usize) {
        let Some(last) = flight.batch[..settled].last() else { return };
        let mut moved = self.mark.clone();
        let there = flight.batch.iter().zip(&flight.fates).take(settled);
        let there = there.filter_map(|(logged, fate)| match fate {
            Fate::There(sequence) => Some((*sequence, logged.event.id)),
            _ => None,
        });
        if let Some((sequence, id)) = there.max_by_key(|(sequence, _)| *sequence) {
            moved.confirm(sequence, id.to_string());
        }
        self.offset = self.offset.max(last.offset + 1);
        // A later event may stand before an earlier one where order broke: then the mark stays, so that the
        // next read finds it.
        let unsettled = if self.tail.len() == 0 { None } else { self.tail.forget_before(self.offset) };
        if unsettled.is_none_or(|lowest| lowest > moved.sequence) {
            self.mark = moved;
        }
        if let Some(heal) = self.mark.heal.take_if(|heal| heal.until <= self.offset) {
            tracing::info!(stream = self.stamp.stream, events = heal.sent, "the hole in the stream is filled");
        }
    }
}
