//! The JetStream sink: events in order, each once, whatever happens to the server.
//!
//! **Order.** Many publishes are in flight. The first names the sequence that is last in the stream, each
//! other one the id of the event before it, so when one is not taken, none after it is. The window is then
//! drained and sent again from there. Where others publish to the stream too, nothing can be named; then
//! what was in flight at an error is sent again one by one, and the log says that order can break.
//!
//! **Once.** The mark beside the cursor says how far the stream is known. [`JetStream::resume`] reads the
//! stream from there to its end, and what is found there counts as confirmed; so the server's dedup window
//! decides nothing. With the same mark a stream that lost what it had confirmed (a restored backup, a stream
//! made anew) is noticed: the cursor goes back to the newest event that is still there, or as far back as the
//! stream keeps messages, and the store fills the hole.

mod answer;
mod headers;
mod mark;
mod stream;
mod tail;
mod window;

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Info, Stream};
use tokio::time::timeout;
use uuid::Uuid;

use self::answer::Answer;
use self::headers::{Expect, Stamp};
use self::mark::{Found, Heal, Mark};
use self::tail::{Reader, Tail};
use self::window::{Fate, Flight, Order, Outgoing, Wire};
use super::{Cursor, Error, Sent, Sink};
use crate::config;
use crate::event::process::kind::RESOURCES_SAMPLED;
use crate::event::{Event, Invalid, Logged, Offset, Pattern, Timestamp};
use crate::nats::{self, Connection};

/// How long [`JetStream::resume`] may take.
const RESUME_TIME: Duration = Duration::from_secs(28);

/// The sink of one stream.
#[derive(Debug)]
pub struct JetStream {
    settings: config::JetStream,
    wanted: Vec<Pattern>,
    /// There between a successful `resume` and the next error.
    link: Option<Link>,
    /// The differences that the log has already.
    told: Vec<String>,
    /// Events that were in flight when an error came while others published too.
    careful: usize,
}

impl JetStream {
    /// A sink that is not connected yet. Refuses a subject that is none.
    pub fn new(settings: config::JetStream) -> Result<Self, Invalid> {
        let wanted = settings.subjects.iter().map(Pattern::parse).collect::<Result<_, _>>()?;
        Ok(Self { settings, wanted, link: None, told: Vec::new(), careful: 0 })
    }

    async fn connect(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        let connection = Connection::open(&self.settings.nats).await.map_err(|error| match error {
            nats::Error::Misconfigured { .. } => Error::Misconfigured(error.to_string()),
            nats::Error::Unreachable { .. } => Error::Retryable(error.to_string()),
        })?;
        let known = connection.clone();
        tokio::select! {
            biased;
            () = known.denied.cancelled() => Err(Error::Misconfigured(known.denial())),
            () = known.lost.cancelled() => Err(Error::Retryable("the connection to NATS broke".into())),
            placed = self.place(connection, at) => placed,
        }
    }

    /// Finds out where the stream stands, and where to go on.
    async fn place(&mut self, connection: Connection, at: &Cursor) -> Result<Cursor, Error> {
        let context = jetstream::new(connection.client.clone());
        let stream = stream::make_or_adopt(&context, &self.settings).await?;
        let info = stream.cached_info().clone();
        if let Some(reason) = stream::unusable(&info) {
            return Err(Error::Misconfigured(reason));
        }
        self.tell_differences(&info);
        let reader = self.reader(&context, &connection, &stream).await?;
        let (offset, mark, tail) = match Mark::read(&at.mark) {
            None => first_time(&reader, &info, at.offset).await?,
            Some(mark) => again(&reader, &info, at.offset, mark).await?,
        };
        let order = self.order(&tail);
        let inbox = connection.client.new_inbox();
        let answers = connection.client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| Error::Retryable(nats::chain(&error)))?;
        let cursor = Cursor { offset, mark: mark.write() };
        self.link = Some(Link {
            wire: Wire { connection, inbox, answers, token: 0 },
            reader,
            taken: info.config.subjects.iter().filter_map(|subject| Pattern::parse(subject).ok()).collect(),
            stamp: Stamp { writer: mark.writer, stream: self.settings.stream.clone() },
            window: self.settings.window.max(1),
            offset,
            mark,
            tail,
            order,
        });
        Ok(cursor)
    }

    async fn reader(
        &self,
        context: &jetstream::Context,
        connection: &Connection,
        stream: &Stream,
    ) -> Result<Reader, Error> {
        let name = &stream.cached_info().config.name;
        let stream = context.get_stream_no_info(name).await;
        let stream = stream.map_err(|error| Error::Retryable(nats::chain(&error)))?;
        Ok(Reader { client: connection.client.clone(), stream })
    }

    fn tell_differences(&mut self, info: &Info) {
        let differences = stream::differences(&self.settings, &info.config);
        for difference in differences.iter().filter(|difference| !self.told.contains(difference)) {
            tracing::warn!(stream = self.settings.stream, "using the stream as it is: its {difference}");
        }
        self.told = differences;
    }

    fn order(&mut self, tail: &Tail) -> Order {
        let careful = std::mem::take(&mut self.careful);
        if tail.foreign() == 0 {
            let next = Expect::Sequence(tail.end());
            return Order::Chained { confirmed: next.clone(), next };
        }
        tracing::warn!(
            stream = self.settings.stream,
            messages = tail.foreign(),
            "others publish to this stream too: events can get out of order there when a publish fails"
        );
        Order::Shared { careful }
    }
}

impl Sink for JetStream {
    fn wants(&self, event: &Event) -> bool {
        let sampled = event.kind.as_str() == RESOURCES_SAMPLED;
        (self.settings.resources || !sampled)
            && self.wanted.iter().any(|pattern| pattern.matches(event.subject.as_str()))
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        self.link = None;
        match timeout(RESUME_TIME, self.connect(at)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Retryable("NATS answers too slowly".into())),
        }
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        // Taken out while the call runs: a call that is dropped leaves no half-known connection behind.
        let Some(mut link) = self.link.take() else {
            return Sent { error: Some(Error::Retryable("not connected to NATS".into())), ..Sent::default() };
        };
        let mut flight = Flight::new(batch);
        let result = link.deliver(&mut flight).await;
        let settled = flight.settled();
        link.confirm(&flight, settled);
        let mark = link.mark.write();
        match &result {
            Ok(()) => self.link = Some(link),
            Err(_) if matches!(link.order, Order::Shared { .. }) => {
                self.careful = flight.next.saturating_sub(settled)
            }
            Err(_) => {}
        }
        Sent { settled, refused: flight.refused(), mark, error: result.err() }
    }
}

/// A sink that never wrote: whatever ids stand in the stream count as delivered.
async fn first_time(reader: &Reader, info: &Info, offset: Offset) -> Result<(Offset, Mark, Tail), Error> {
    let last = info.state.last_sequence;
    let mut tail = Tail::new(last.saturating_sub(tail::MAX_KEPT as u64), last);
    tail.read_on(reader, None).await?;
    if !tail.is_complete() {
        tracing::warn!(stream = info.config.name, "too long to be read at once: older events may come twice");
        tail = Tail::new(last, last);
    }
    let id = tail::id_at(reader, last).await?.flatten();
    let mark = Mark { writer: Uuid::new_v4(), created: created(info), sequence: last, id, heal: None };
    Ok((offset, mark, tail))
}

/// A sink that comes back: looks whether all is there that was confirmed, and what came after it.
async fn again(
    reader: &Reader,
    info: &Info,
    offset: Offset,
    mut mark: Mark,
) -> Result<(Offset, Mark, Tail), Error> {
    let found = Found {
        created: created(info),
        last: info.state.last_sequence,
        id: tail::id_at(reader, mark.sequence).await?,
    };
    let offset = match mark::loss(&mark, &found) {
        None => offset,
        Some(reason) => go_back(reader, info, offset, &mut mark, &reason).await?,
    };
    let mut tail = Tail::new(mark.sequence, found.last);
    tail.read_on(reader, Some(mark.writer)).await?;
    match tail.clear_to() {
        Some((sequence, Some(id))) => mark.confirm(sequence, id),
        _ if tail.len() > 0 => {
            tracing::info!(stream = info.config.name, events = tail.len(), "found in the stream, unconfirmed");
        }
        _ => {}
    }
    Ok((offset, mark, tail))
}

/// Puts the mark on the newest of our messages that is there, and answers the offset that follows it.
async fn go_back(
    reader: &Reader,
    info: &Info,
    offset: Offset,
    mark: &mut Mark,
    reason: &str,
) -> Result<Offset, Error> {
    let state = &info.state;
    let newest = tail::newest(reader, mark.writer, state.first_sequence, state.last_sequence).await?;
    let max_age = i64::try_from(info.config.max_age.as_millis()).unwrap_or(i64::MAX);
    let until = mark.heal.as_ref().map_or(offset, |heal| heal.until.max(offset));
    let (sequence, id, back) = match newest {
        Some((sequence, id, newest)) => (sequence, Some(id), offset.min(newest + 1)),
        None => (state.last_sequence, tail::id_at(reader, state.last_sequence).await?.flatten(), 0),
    };
    *mark = Mark {
        writer: mark.writer,
        created: created(info),
        sequence,
        id,
        heal: (back < until).then(|| Heal {
            until,
            not_before: (max_age > 0).then(|| Timestamp::now().plus_millis(-max_age)),
            sent: 0,
        }),
    };
    tracing::warn!(
        stream = info.config.name,
        cursor = offset,
        back_to = back,
        events = offset - back,
        "the stream has lost what it had confirmed, as {reason}; the store fills the hole"
    );
    Ok(back)
}

fn created(info: &Info) -> i64 {
    i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default()
}

/// A connection to the stream, with all that is known of it.
#[derive(Debug)]
struct Link {
    wire: Wire,
    reader: Reader,
    /// The subjects that the stream takes.
    taken: Vec<Pattern>,
    stamp: Stamp,
    window: usize,
    /// The next event in turn; one before it is sent again at a person's wish.
    offset: Offset,
    mark: Mark,
    tail: Tail,
    order: Order,
}

/// What to do with one event.
enum Step {
    Settled(Fate),
    Publish(Outgoing),
}

impl Link {
    async fn deliver(&mut self, flight: &mut Flight<'_>) -> Result<(), Error> {
        let mut refused = 0;
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
            let before = std::mem::replace(&mut refused, flight.refused().len());
            flight.rewind(before)?;
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
    fn confirm(&mut self, flight: &Flight<'_>, settled: usize) {
        let Some(last) = flight.batch[..settled].last() else { return };
        let mut moved = self.mark.clone();
        for (logged, fate) in flight.batch.iter().zip(&flight.fates).take(settled) {
            if let Fate::There(sequence) = fate {
                moved.confirm(*sequence, logged.event.id.to_string());
            }
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
