//! Reading events out of JetStream: for `watchpost watch`, and for programs of one's own.
//!
//! A [`Subscription`] reconnects by itself and goes on where it was: nothing is left out, and what was
//! acknowledged does not come again. The current state of a process is in the last message of each of its
//! types, so a fold over these in the order of their sequences gives it; [`Start::Current`] sends them first.
//!
//! ```no_run
//! use watchpost::config::Nats;
//! use watchpost::consumer::{Consumer, Filter, Start};
//!
//! # async fn example() -> Result<(), watchpost::consumer::Error> {
//! let consumer = Consumer::new(Nats::default(), "PROCESS_EVENTS");
//! let mut crashes = consumer.subscribe(&Filter::all().kind("crashed"), Start::Current).await?;
//! loop {
//!     let crash = crashes.next().await?;
//!     println!("{} {}", crash.event.ts, crash.event.subject);
//!     crash.ack().await;
//! }
//! # }
//! ```

mod filter;
mod progress;
mod received;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{AckKind, Message};
use tokio::time::sleep;

use self::progress::{Arrival, Progress};
use self::source::{Seen, Source};
use crate::backoff::Backoff;
use crate::config;
use crate::event::{Event, Invalid, Pattern, Timestamp};
use crate::nats;

pub use filter::Filter;
pub use received::{Received, Verdict};
pub(crate) use source::starting_at;

/// The first wait after a loss is at most this, and no later one is longer than the second.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A message that somebody still has in hand is asked for again after this.
const STILL_HELD: Duration = Duration::from_secs(1);

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the last message of each subject, then whatever is new.
    Current,
    /// With the oldest message that is there.
    All,
    /// With what was stored at this time, or later.
    Since(Timestamp),
    /// With what comes from now on.
    New,
}

/// What keeps a subscription from being.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The stream is not there.
    #[error("there is no stream {0}: has an adapter run against this NATS?")]
    NoStream(String),
    /// The durable consumer was made for other events.
    #[error("the durable consumer {name} is there with another filter ({found}): take another name")]
    OtherFilter {
        /// Its name.
        name: String,
        /// Its subjects.
        found: String,
    },
    /// The filter is no subject.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The server will not have it.
    #[error("NATS refused the consumer: {0}")]
    Refused(String),
    /// The server did not do it now.
    #[error("{0}")]
    Server(String),
}

impl Error {
    /// Whether a person has to change something first.
    fn is_final(&self) -> bool {
        match self {
            Self::Nats(nats::Error::Misconfigured { .. }) => true,
            Self::OtherFilter { .. } | Self::Invalid(_) | Self::Refused(_) => true,
            Self::Nats(nats::Error::Unreachable { .. }) | Self::NoStream(_) | Self::Server(_) => false,
        }
    }
}

/// Reads one stream.
#[derive(Debug, Clone)]
pub struct Consumer {
    nats: config::Nats,
    stream: String,
}

impl Consumer {
    /// For a stream on a server; connects only when it subscribes.
    pub fn new(nats: config::Nats, stream: impl Into<String>) -> Self {
        Self { nats, stream: stream.into() }
    }

    /// Subscribes for as long as the subscription lives; the server remembers nothing of it.
    ///
    /// # Errors
    /// No connection, no stream, or a filter that is none. Later losses are made good by the subscription.
    pub async fn subscribe(&self, filter: &Filter, start: Start) -> Result<Subscription, Error> {
        self.open(filter, start, None).await
    }

    /// Subscribes under a name, under which the server remembers what was acknowledged, also between two
    /// runs of a program, and shares the events between several. `start` is where its very first one begins.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`], and a name that is there with another filter.
    pub async fn durable(&self, name: &str, filter: &Filter, start: Start) -> Result<Subscription, Error> {
        self.open(filter, start, Some(name.into())).await
    }

    async fn open(&self, filter: &Filter, start: Start, durable: Option<String>) -> Result<Subscription, Error> {
        let mut subscription = Subscription {
            consumer: self.clone(),
            subjects: filter.subjects()?,
            start,
            durable,
            source: None,
            seen: None,
            progress: Arc::new(Mutex::new(Progress::default())),
            replay: Replay::Done,
            replay_end: 0,
            backoff: Backoff::new(WAITS.0, WAITS.1),
        };
        subscription.open().await?;
        Ok(subscription)
    }
}

/// How the replay of the current state stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// The server sends it, and goes on with what is new.
    Running,
    /// It was broken off, and is sent once more up to where it ended the first time; then comes a new
    /// beginning, with what is new.
    Repeated,
    /// It is over, or there is none.
    Done,
}

/// Events, one after the other.
pub struct Subscription {
    consumer: Consumer,
    subjects: Vec<Pattern>,
    start: Start,
    durable: Option<String>,
    source: Option<Source>,
    /// The stream at the last connection.
    seen: Option<Seen>,
    progress: Arc<Mutex<Progress>>,
    replay: Replay,
    /// The stream's end when the replay of the current state began; 0 without one.
    replay_end: u64,
    backoff: Backoff,
}

impl Subscription {
    /// The next event; waits for it, through any number of reconnections. It may be dropped while it waits.
    ///
    /// Messages that are no events of ours are passed over.
    ///
    /// # Errors
    /// Only what a person has to change, such as a password. It may be called again.
    pub async fn next(&mut self) -> Result<Received, Error> {
        loop {
            let Some(source) = &mut self.source else {
                sleep(self.backoff.next(rand::random())).await;
                match self.open().await {
                    Err(error) if error.is_final() => return Err(error),
                    Err(error) => tracing::debug!(%error, "no connection yet"),
                    Ok(()) => tracing::info!(stream = self.consumer.stream, "connected to the stream again"),
                }
                continue;
            };
            match source.next().await {
                Some(message) => {
                    self.backoff.reset();
                    if let Some(received) = self.take(message).await {
                        return Ok(received);
                    }
                }
                None => self.lose(),
            }
        }
    }

    /// Hands each event to `handler`, and does as it says. Ends only with an error of [`Subscription::next`].
    pub async fn run(&mut self, mut handler: impl AsyncFnMut(&Received) -> Verdict) -> Error {
        loop {
            match self.next().await {
                Ok(received) => {
                    let verdict = handler(&received).await;
                    received.settle(verdict).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// Ends it, so that the server sends it nothing more. Dropped instead, what the server sends before it
    /// notices comes again to a durable consumer only after the wait for acknowledgements (30 s).
    pub async fn close(self) {
        if let Some(source) = self.source {
            source.close().await;
        }
    }

    fn lose(&mut self) {
        tracing::info!(stream = self.consumer.stream, "the connection to the stream was lost");
        self.source = None;
        if self.replay == Replay::Running {
            self.replay = Replay::Repeated;
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let mut source = Source::connect(&self.consumer.nats, &self.consumer.stream).await?;
        let seen = source.seen();
        match self.seen {
            None => self.begin(seen),
            Some(before) if before.created != seen.created => self.begin_anew(0),
            Some(_) if seen.last < self.progress().newest() => self.begin_anew(seen.last),
            Some(_) => {}
        }
        self.seen = Some(seen);
        if let Some(name) = &self.durable {
            source.read_durable(name, &self.subjects, source::policy(&self.start)).await?;
        } else {
            let waiting = source.read(&self.subjects, self.policy()).await?;
            if waiting == 0 && self.replay != Replay::Done {
                self.end_replay();
                let policy = self.policy();
                source.read(&self.subjects, policy).await?;
            }
        }
        self.source = Some(source);
        Ok(())
    }

    /// The first connection.
    fn begin(&mut self, seen: Seen) {
        match self.start {
            _ if self.durable.is_some() => {}
            Start::Current => (self.replay, self.replay_end) = (Replay::Running, seen.last),
            Start::New => *self.progress() = Progress::after(seen.last),
            Start::All | Start::Since(_) => {}
        }
    }

    /// Another stream stands in its place, or it was set back: what was known of the sequences behind `end`
    /// does not hold. An event that it is filled with again comes again, under the same id.
    fn begin_anew(&mut self, end: u64) {
        tracing::warn!(stream = self.consumer.stream, end, "the stream was made anew, or set back");
        self.start = Start::All;
        (self.replay, self.replay_end) = (Replay::Done, 0);
        // The old one stays with those who have its messages in hand.
        self.progress = Arc::new(Mutex::new(Progress::after(end)));
    }

    /// Where the server begins with the events that are still to come.
    fn policy(&self) -> DeliverPolicy {
        let next = self.progress().next();
        match (self.replay, self.start) {
            (Replay::Running | Replay::Repeated, _) => DeliverPolicy::LastPerSubject,
            (Replay::Done, Start::Since(_)) if next == 1 => source::policy(&self.start),
            (Replay::Done, _) => DeliverPolicy::ByStartSequence { start_sequence: next },
        }
    }

    fn end_replay(&mut self) {
        self.replay = Replay::Done;
        let end = self.replay_end;
        self.progress().pass(end);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a message: an event to be handed out, or nothing.
    async fn take(&mut self, message: Message) -> Option<Received> {
        let info = message.info().ok()?;
        let (sequence, delivered, pending) = (info.stream_sequence, info.delivered, info.pending);
        let arrival = self.arrive(sequence);
        if pending == 0 && self.replay != Replay::Done {
            let is_repeated = self.replay == Replay::Repeated;
            self.end_replay();
            if is_repeated {
                self.source = None;
            }
        }
        let event = std::str::from_utf8(&message.payload).ok().map(Event::from_published);
        match (arrival, event) {
            (Some(Arrival::New), Some(Ok(event))) => Some(Received {
                event,
                sequence,
                delivered,
                current: sequence <= self.replay_end,
                message,
                progress: Arc::clone(&self.progress),
            }),
            (Some(Arrival::Held), _) => {
                answer(&message, AckKind::Nak(Some(STILL_HELD))).await;
                None
            }
            (arrival, event) => {
                if arrival == Some(Arrival::New) {
                    let error = event.and_then(Result::err).map(|error| error.to_string());
                    tracing::debug!(sequence, error, "a message that is no event is passed over");
                    self.progress().settle(sequence);
                }
                answer(&message, AckKind::Ack).await;
                None
            }
        }
    }

    /// Takes note of a message; nothing where it does not belong to what was asked for.
    fn arrive(&mut self, sequence: u64) -> Option<Arrival> {
        let mut progress = self.progress();
        let beyond = self.replay == Replay::Repeated && sequence > self.replay_end;
        // A state that a later one had replaced, read over again for the sake of one that was given back.
        let replaced = self.replay == Replay::Done && sequence <= self.replay_end && !progress.is_open(sequence);
        (!beyond && !replaced).then(|| progress.arrive(sequence))
    }
}

async fn answer(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::debug!(%error, "an acknowledgement was not sent");
    }
}
