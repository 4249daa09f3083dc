//! Reading what is in the stream: its tail beyond the mark, and the newest of our messages.
//!
//! This read, not the server's dedup window, is what makes each event be there once after any outage.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::headers::{self, Told};
use crate::cause::chain;
use crate::event::Offset;
use crate::sink::Error;

/// The most ids that are kept at a time: about 50 MB of memory.
pub(super) const MAX_KEPT: usize = 1 << 20;
/// How long one read may take; what is left is read by the next call.
const READ_TIME: Duration = Duration::from_secs(12);
/// The most messages that are looked through for the newest of ours.
const MAX_SEARCH: u64 = 1 << 20;

/// Our messages beyond the mark, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    found: HashMap<Uuid, Place>,
    /// The last sequence that was read.
    read_to: u64,
    /// The stream's end when the read began.
    end: u64,
    /// The greatest offset among ours, and messages of others.
    newest: Option<Offset>,
    foreign: u64,
    /// The id of the last message that was read.
    last_id: Option<String>,
}

/// What is read from: the stream, and the connection to it.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) stream: Stream<()>,
}

/// Where an event stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    sequence: u64,
    offset: Option<Offset>,
}

impl Tail {
    /// Nothing read yet: what is beyond `after`, up to `end`.
    pub(super) fn new(after: u64, end: u64) -> Self {
        Self { read_to: after.min(end), end, ..Self::default() }
    }

    /// Whether all of it was read.
    pub(super) fn is_complete(&self) -> bool {
        self.read_to >= self.end
    }

    /// The last sequence that the stream had when the read began.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Messages of others that were seen.
    pub(super) fn foreign(&self) -> u64 {
        self.foreign
    }

    /// How many of our events were found and not taken yet.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// The last sequence read and the id there, where nothing of ours came before it that is not settled.
    pub(super) fn clear_to(&self) -> Option<(u64, Option<String>)> {
        self.found.is_empty().then(|| (self.read_to, self.last_id.clone()))
    }

    /// Takes out the event if it is there.
    pub(super) fn take(&mut self, id: Uuid) -> Option<u64> {
        self.found.remove(&id).map(|place| place.sequence)
    }

    /// Whether an event that was not found may still come further on. Ours stand in the order of their
    /// offsets, so it cannot once a later one was seen.
    pub(super) fn may_have(&self, offset: Offset) -> bool {
        !self.is_complete() && self.newest.is_none_or(|newest| newest < offset)
    }

    /// Forgets what stands before `offset`, and answers the lowest sequence of what is left.
    pub(super) fn forget_before(&mut self, offset: Offset) -> Option<u64> {
        self.found.retain(|_, place| place.offset.is_none_or(|there| there >= offset));
        let in_turn = self.found.values().filter(|place| place.offset.is_some());
        in_turn.map(|place| place.sequence).min()
    }

    /// Reads on: to the end, until the memory for it is full, or until the time is up. Without a writer, the
    /// ids of all messages are kept, whoever wrote them.
    pub(super) async fn read_on(&mut self, reader: &Reader, writer: Option<Uuid>) -> Result<(), Error> {
        let until = Instant::now() + READ_TIME;
        let (from, end) = (self.read_to + 1, self.end);
        if self.is_complete() {
            return Ok(());
        }
        let done = scan(reader, from, end, until, |sequence, told| {
            self.note(sequence, told, writer);
            self.found.len() < MAX_KEPT
        });
        if done.await? {
            self.read_to = end;
        }
        Ok(())
    }

    fn note(&mut self, sequence: u64, told: Told, writer: Option<Uuid>) {
        self.read_to = sequence;
        let id = told.id.as_deref().and_then(|id| Uuid::try_parse(id).ok());
        self.last_id = told.id;
        match id {
            Some(id) if writer.is_none() => {
                self.found.insert(id, Place { sequence, offset: None });
            }
            Some(id) if told.writer == writer => {
                self.newest = self.newest.max(told.offset);
                self.found.insert(id, Place { sequence, offset: told.offset });
            }
            _ => self.foreign += 1,
        }
    }
}

/// Reads the headers of the messages `from..=to`, until `each` answers no or the time is up. Answers whether
/// all were read.
async fn scan(
    reader: &Reader,
    from: u64,
    to: u64,
    until: Instant,
    mut each: impl FnMut(u64, Told) -> bool,
) -> Result<bool, Error> {
    let reading = |error: &(dyn std::error::Error + 'static)| {
        Error::Retryable(format!("reading the stream from {from}: {}", chain(error)))
    };
    let config = push::OrderedConfig {
        deliver_subject: reader.client.new_inbox(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
        headers_only: true,
        ..push::OrderedConfig::default()
    };
    let consumer = reader.stream.create_consumer(config).await.map_err(|error| reading(&error))?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(true);
    }
    let mut messages = consumer.messages().await.map_err(|error| reading(&error))?;
    loop {
        let Ok(next) = timeout_at(until, messages.next()).await else { return Ok(false) };
        let message = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(reading(&error)),
            None => return Err(Error::Retryable("the connection broke while the stream was read".into())),
        };
        let info = message.info().map_err(|error| Error::Retryable(format!("reading the stream: {error}")))?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        if sequence > to {
            return Ok(true);
        }
        let more = each(sequence, headers::read(message.headers.as_ref()));
        if sequence == to || pending == 0 {
            return Ok(true);
        }
        if !more {
            return Ok(false);
        }
    }
}

/// The newest message that `writer` put there in its turn: sequence, id and offset.
///
/// Looks backwards in growing steps, through at most a million messages.
pub(super) async fn newest(
    reader: &Reader,
    writer: Uuid,
    first: u64,
    last: u64,
) -> Result<Option<(u64, String, Offset)>, Error> {
    let until = Instant::now() + READ_TIME;
    let floor = first.max(last.saturating_sub(MAX_SEARCH)).max(1);
    let (mut end, mut step) = (last, 1024);
    while end >= floor {
        let from = floor.max((end + 1).saturating_sub(step));
        let mut best: Option<(u64, String, Offset)> = None;
        let done = scan(reader, from, end, until, |sequence, told| {
            if let (Some(id), Some(offset), true) = (told.id, told.offset, told.writer == Some(writer))
                && best.as_ref().is_none_or(|(_, _, most)| *most < offset)
            {
                best = Some((sequence, id, offset));
            }
            true
        });
        if !done.await? {
            return Err(Error::Retryable("looking for the newest of our messages took too long".into()));
        }
        if best.is_some() {
            return Ok(best);
        }
        (end, step) = (from - 1, step * 4);
    }
    Ok(None)
}

/// The id of the message at a sequence: `None` when it is not there, `Some(None)` when it has none.
pub(super) async fn id_at(reader: &Reader, sequence: u64) -> Result<Option<Option<String>>, Error> {
    if sequence == 0 {
        return Ok(None);
    }
    match reader.stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(headers::read(Some(&message.headers)).id)),
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(None),
            RawMessageErrorKind::JetStream(said) if said.code() == 404 => Ok(None),
            _ => Err(Error::Retryable(format!("reading message {sequence}: {}", chain(&error)))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Uuid = Uuid::from_u128(1);

    fn told(id: u128, writer: Uuid, offset: Option<Offset>) -> Told {
        Told { id: Some(Uuid::from_u128(id).to_string()), writer: Some(writer), offset }
    }

    #[test]
    fn an_event_may_still_come_until_a_later_one_was_seen() {
        let mut tail = Tail::new(10, 100);
        assert!(tail.may_have(5));
        tail.note(11, told(50, OURS, Some(5)), Some(OURS));
        tail.note(12, told(70, OURS, Some(7)), Some(OURS));
        assert!(!tail.may_have(6) && tail.may_have(8));
        tail.read_to = 100;
        assert!(tail.is_complete() && !tail.may_have(8));
    }

    #[test]
    fn what_others_wrote_is_counted_and_not_kept() {
        let mut tail = Tail::new(0, 10);
        tail.note(1, told(1, Uuid::from_u128(2), Some(1)), Some(OURS));
        tail.note(2, Told::default(), Some(OURS));
        assert_eq!((tail.len(), tail.foreign(), tail.clear_to()), (0, 2, Some((2, None))));
        tail.note(3, told(1, OURS, Some(1)), Some(OURS));
        assert_eq!((tail.len(), tail.clear_to()), (1, None));
        assert_eq!((tail.take(Uuid::from_u128(1)), tail.take(Uuid::from_u128(1))), (Some(3), None));
    }

    #[test]
    fn what_is_behind_the_cursor_is_forgotten_and_what_is_out_of_turn_holds_nothing_back() {
        let mut tail = Tail::new(0, 10);
        tail.note(4, told(4, OURS, Some(40)), Some(OURS));
        tail.note(5, told(5, OURS, Some(50)), Some(OURS));
        tail.note(3, told(6, OURS, None), Some(OURS));
        assert_eq!(tail.forget_before(40), Some(4));
        assert_eq!(tail.forget_before(41), Some(5));
        assert_eq!(tail.forget_before(51), None);
        assert_eq!(tail.len(), 1);
    }
}
