//! OTLP sinks: log records and spans to any receiver of OTLP, with its answer read.
//!
//! **Requests.** Each event is folded once, in the order of the log; what it became is encoded at once and kept
//! until it is settled. Requests are cut by records and bytes, several are in flight, and events are settled in
//! order. An event may become many spans, or none: it is settled when all of them are, and with its predecessors.
//!
//! **Refused records.** A receiver says of a whole request that it will never take it, or that it rejected some
//! records, but not which. So such a request is sent again in halves, down to the records that it is about: the
//! others would be given up with them, and every record has an id by which a repeat counts once. Before anything
//! is given up, the receiver must have taken something in the same call, if only a request without records: a
//! receiver that takes nothing at all (a wrong path, an unknown compression) is not the records' fault.
//!
//! **Where that departs from the specification**, by which a client must not send again what was answered with a
//! partial success, or with an error that may not be tried again: the halves above; what a person has to change
//! (401, PERMISSION_DENIED…) is waited for and sent then; RESOURCE_EXHAUSTED without RetryInfo, and HTTP 408, are
//! tried again.
//!
//! **Once.** OTLP has no way to ask what arrived. What was under way at an error is sent again, with the same
//! ids: `elasticsearch.document_id` on a log record, trace and span ids on a span.

mod answer;
mod channel;
mod flight;
mod grpc;
mod http;
mod letter;
mod logs;
pub mod metrics;
mod queue;
mod spans;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

pub use self::answer::{Answer, Fail};
pub use self::channel::{Channel, Invalid, Signal};
use self::flight::Flight;
use self::logs::LogRecords;
use self::queue::{Chunk, Fate, Key, Limits, Queue};
use self::spans::EndedSpans;
use super::{Again, Cursor, Error, Memory, Refused, Sent, Sink};
use crate::config::{Exporter, Otlp, without_password};
use crate::event::{Event, Logged};
use crate::otel::{Resource, Told, Tracker};

/// The sink of log records: one for each event.
pub type Logs = Delivering<LogRecords>;

/// The sink of spans: those that an event ended.
pub type Spans = Delivering<EndedSpans>;

/// A call is over after this, whatever the receiver does.
const CALL: Duration = Duration::from_secs(28);

/// One empty `ResourceLogs`, or `ResourceSpans`: a request without records.
const EMPTY: &[u8] = &[0x0a, 0x00];

/// What events become. Pure.
pub trait Mapping: Send + 'static {
    /// Which of the exporter's methods takes it.
    const SIGNAL: Signal;

    /// Appends what the event became.
    fn map(logged: &Logged, told: &Told, to: &mut Chunk);

    /// Appends a request of what [`Mapping::map`] appended.
    fn request<'a>(items: impl Iterator<Item = (&'a Resource, &'a [u8])>, to: &mut Vec<u8>);

    /// What a request of one record is about, for a person; nothing where that is the event itself.
    fn name(request: &[u8]) -> Option<String>;

    /// A request of the event alone, without those before it, where that is worth sending.
    fn alone(logged: &Logged) -> Option<Vec<u8>>;
}

/// The sink of one signal.
#[derive(Debug)]
pub struct Delivering<M> {
    exporter: Exporter,
    limits: Limits,
    window: usize,
    tracker: Tracker,
    queue: Queue,
    /// There between a successful `resume` and the next error.
    channel: Option<Channel>,
    /// The warning that the log has already.
    warned: String,
    mapping: std::marker::PhantomData<fn() -> M>,
}

impl<M: Mapping> Delivering<M> {
    /// A sink that is not connected yet; `exporter` is the one of this signal.
    pub fn new(settings: &Otlp, exporter: Exporter) -> Self {
        Self {
            exporter,
            limits: Limits {
                records: settings.batch_records.max(1),
                bytes: usize::try_from(settings.batch_bytes).unwrap_or(usize::MAX),
            },
            window: settings.window.max(1),
            tracker: Tracker::default(),
            queue: Queue::default(),
            channel: None,
            warned: String::new(),
            mapping: std::marker::PhantomData,
        }
    }

    /// Sends until all of the batch is decided, something goes wrong, or the time is up.
    async fn drive(&mut self, channel: &Channel, batch: &[Logged]) -> Option<Error> {
        let mut flight = Flight::new(channel, self.window, CALL);
        let mut sound = false;
        loop {
            while flight.has_room()
                && let Some((key, request)) = self.next(batch)
            {
                flight.start(key, request);
            }
            let (key, result) = match flight.landed().await? {
                Ok(landed) => landed,
                Err(error) => return Some(error),
            };
            sound |= result.is_ok();
            let gives_up = match &result {
                Err(Fail::Refused(_)) => true,
                Err(Fail::TooLarge(_)) => key.records() == 1,
                _ => false,
            };
            if gives_up && !sound {
                match channel.export(Bytes::from_static(EMPTY)).await {
                    Ok(_) => sound = true,
                    Err(fail) => {
                        self.queue.put_back(key);
                        flight.failed(suspicious(fail));
                        continue;
                    }
                }
            }
            if let Some(fail) = self.decide(key, result) {
                flight.failed(fail);
            }
        }
    }

    fn next(&mut self, batch: &[Logged]) -> Option<(Key, Bytes)> {
        let Self { tracker, queue, limits, .. } = self;
        let key = queue.next(batch, *limits, |logged, chunk| {
            let told = tracker.apply(&logged.event);
            M::map(logged, &told, chunk);
        })?;
        let mut request = Vec::with_capacity(self.queue.size(key) + 1024);
        M::request(self.queue.items(key), &mut request);
        Some((key, request.into()))
    }

    /// Takes in what became of a request; answers why to stop, where it is so.
    fn decide(&mut self, key: Key, result: Result<Answer, Fail>) -> Option<Fail> {
        let records = key.records() as i64;
        match result {
            Ok(Answer { rejected: 0, message }) => {
                self.warn(message);
                self.queue.decide(key, &Fate::Taken);
            }
            Ok(Answer { rejected, message }) if rejected == records || records == 1 => {
                self.queue.decide(key, &Fate::Refused(message.into()));
            }
            Ok(_) => self.queue.halve(key),
            Err(Fail::Refused(message) | Fail::TooLarge(message)) if records == 1 => {
                self.queue.decide(key, &Fate::Refused(message.into()));
            }
            Err(Fail::Refused(_) | Fail::TooLarge(_)) => self.queue.halve(key),
            Err(fail) => {
                self.queue.put_back(key);
                return Some(fail);
            }
        }
        None
    }

    fn warn(&mut self, message: String) {
        if !message.is_empty() && message != self.warned {
            tracing::warn!(
                endpoint = without_password(&self.exporter.endpoint),
                "the receiver took everything, with a warning: {message}"
            );
            self.warned = message;
        }
    }

    /// What is settled of the batch.
    fn settle(&mut self, batch: &[Logged], error: Option<Error>) -> Sent {
        let settled = self.queue.settled(batch);
        let refused = self.refused(&batch[..settled]);
        self.queue.forget(settled.checked_sub(1).map(|last| batch[last].offset));
        let late = settled == 0 && error.is_none();
        let error = if late { Some(Error::Retryable("the receiver answers too slowly".into())) } else { error };
        self.after(error.as_ref());
        Sent { settled, refused, mark: Value::Null, error }
    }

    /// The refused among the settled events.
    fn refused(&self, settled: &[Logged]) -> Vec<Refused> {
        let events = self.queue.refused(settled).into_iter();
        events.map(|(index, items)| letter::refused::<M>(index, &items)).collect()
    }

    /// A new channel after an error: the certificates may be others now, and a connection that does not answer
    /// is left. A receiver that only asks for patience keeps its connection.
    fn after(&mut self, error: Option<&Error>) {
        if error.is_some_and(|error| !matches!(error, Error::Throttled { .. })) {
            self.channel = None;
        }
    }
}

/// What a receiver that refused a request of records said to one without.
fn suspicious(fail: Fail) -> Fail {
    match fail {
        Fail::Refused(message) | Fail::TooLarge(message) => {
            Fail::Wrong(format!("the receiver takes nothing, not even a request without records: {message}"))
        }
        fail => fail,
    }
}

fn not_connected() -> Sent {
    Sent { error: Some(Error::Retryable("there is no channel to the receiver".into())), ..Sent::default() }
}

impl<M: Mapping> Sink for Delivering<M> {
    /// All: the fold has to see every event.
    fn wants(&self, _event: &Event) -> bool {
        true
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        if self.channel.is_none() {
            let made = Channel::new(&self.exporter, M::SIGNAL);
            self.channel = Some(made.map_err(|error| Error::Misconfigured(error.to_string()))?);
        }
        Ok(at.clone())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        let (Some(channel), Some(first)) = (self.channel.clone(), batch.first()) else { return not_connected() };
        self.queue.begin(first.offset);
        let end = Instant::now() + CALL + Duration::from_secs(1);
        let error = timeout_at(end, self.drive(&channel, batch)).await;
        let error = error.unwrap_or_else(|_| Some(Error::Retryable("the receiver answers too slowly".into())));
        self.settle(batch, error)
    }

    async fn send_again(&mut self, letters: &[Again]) -> Sent {
        let Some(channel) = self.channel.clone() else { return not_connected() };
        let sent = letter::send_again::<M>(&channel, self.window, letters).await;
        self.after(sent.error.as_ref());
        sent
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }
}

impl<M: Mapping> Memory for Delivering<M> {
    fn clear(&mut self) {
        self.tracker.clear();
        self.queue = Queue::default();
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        self.tracker.restore(key, value)
    }

    fn replay(&mut self, logged: &Logged) {
        self.tracker.apply(&logged.event);
    }

    fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        self.tracker.changes()
    }
}
