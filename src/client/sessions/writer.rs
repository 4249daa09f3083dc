//! A writer of one session of a daemon that is elsewhere: events are taken at once, sent in order, and repeated
//! until the daemon has answered for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::super::{Client, Error};
use super::write::{Answer, Started};
use crate::backoff::Backoff;
use crate::event::{Kind, MAX_EVENT_BYTES, StreamId, Timestamp};
use crate::session::End;
use crate::source::spool::Start;

/// The most events that wait to be sent.
const MAX_WAITING: usize = 8192;
/// The most bytes of them.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// The most events of one request.
const MAX_BATCH: usize = 512;
/// The most bytes of one request, but for one event that is larger.
const MAX_BATCH_BYTES: usize = 256 << 10;
/// So many refusals are kept until somebody takes them; those beyond are only counted.
const MAX_REFUSALS: usize = 1000;

/// How a writer behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An idle writer says so often that it is there; well below the daemon's `session.idle`.
    pub heartbeat: Duration,
    /// The first wait after a failure is at most this.
    pub backoff_first: Duration,
    /// No wait is longer, but where the daemon asks for it.
    pub backoff_most: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(5),
        }
    }
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many wait to be sent: try later.
    #[error("too many events wait to be sent: try later")]
    Full,
    /// It can never be sent.
    #[error("{0}")]
    Invalid(String),
    /// The session takes no more, as the daemon has said.
    #[error("the session takes no more: {0}")]
    Closed(String),
}

/// An event that the daemon did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number: that of its line, or its place among the events emitted, from 1.
    pub number: u64,
    /// What the daemon said.
    pub reason: String,
}

/// What became of the events so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Stored, durably.
    pub stored: u64,
    /// Not taken by the daemon.
    pub refused: u64,
    /// Why the last request failed, while it is being repeated.
    pub waits_for: Option<String>,
    /// Why the session takes no more.
    pub closed: Option<String>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    refusals: Vec<Refusal>,
    emitted: u64,
}

type Shared = Arc<Mutex<State>>;

/// The writer. Dropped without [`Writer::end`] it sends nothing more, and the session is interrupted in time.
pub struct Writer {
    client: Client,
    started: Started,
    settings: Settings,
    queue: mpsc::Sender<Item>,
    room: Arc<Semaphore>,
    state: Shared,
    task: JoinHandle<()>,
}

/// What waits to be sent.
enum Item {
    Line { number: u64, json: String, _room: OwnedSemaphorePermit },
    Flush(oneshot::Sender<()>),
}

impl Writer {
    /// Begins a session and starts to write to it.
    ///
    /// # Errors
    /// As [`Client::start_session`]; it is asked once.
    pub async fn start(client: Client, mut start: Start, settings: Settings) -> Result<Self, Error> {
        start.id.get_or_insert_with(super::new_id);
        start.ts.get_or_insert_with(Timestamp::now);
        let started = client.start_session(&start).await?;
        Ok(Self::resume(client, started, settings))
    }

    /// Writes to a session that is there.
    pub fn resume(client: Client, started: Started, settings: Settings) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let state = Shared::default();
        let sender = Sender {
            client: client.clone(),
            session: started.id.clone(),
            backoff: Backoff::new(settings.backoff_first, settings.backoff_most),
            heartbeat: settings.heartbeat,
            state: Arc::clone(&state),
        };
        let task = tokio::spawn(sender.run(waiting));
        let room = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
        Self { client, started, settings, queue, room, state, task }
    }

    /// The session's id.
    pub fn id(&self) -> &StreamId {
        &self.started.id
    }

    /// The W3C trace context for what the session calls.
    pub fn traceparent(&self) -> &str {
        &self.started.traceparent
    }

    /// Takes an event, with an id and the present time, or says at once why not.
    ///
    /// # Errors
    /// [`Refused::Full`] while too many wait, [`Refused::Invalid`] for what no event can be, [`Refused::Closed`]
    /// where the session takes no more.
    pub fn try_emit(&self, kind: &str, data: &impl Serialize) -> Result<(), Refused> {
        let json = write(kind, data)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight(&json)).map_err(|_| Refused::Full)?;
        let place = self.queue.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Refused::Full,
            mpsc::error::TrySendError::Closed(()) => self.closed(),
        })?;
        place.send(Item::Line { number: self.number()?, json, _room: room });
        Ok(())
    }

    /// Takes an event as [`Writer::try_emit`], but waits while too many wait.
    ///
    /// # Errors
    /// [`Refused::Invalid`], or [`Refused::Closed`] where the session takes no more.
    pub async fn emit(&self, kind: &str, data: &impl Serialize) -> Result<(), Refused> {
        let json = write(kind, data)?;
        let number = self.number()?;
        self.line(number, json).await
    }

    /// Takes an event as JSON, unread, under a number of the caller's own; waits while too many wait.
    ///
    /// # Errors
    /// [`Refused::Closed`] where the session takes no more.
    pub async fn line(&self, number: u64, json: String) -> Result<(), Refused> {
        let room = Arc::clone(&self.room).acquire_many_owned(weight(&json)).await;
        let room = room.map_err(|_| self.closed())?;
        self.queue.send(Item::Line { number, json, _room: room }).await.map_err(|_| self.closed())
    }

    /// Waits until the daemon has answered for all before; it may be away for long. Tells what became of it.
    pub async fn flush(&self) -> Tally {
        let (done, answered) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _the_task_has_ended = answered.await;
        }
        self.tally()
    }

    /// What became of the events so far.
    pub fn tally(&self) -> Tally {
        lock(&self.state).tally.clone()
    }

    /// The refusals since they were taken last.
    pub fn take_refusals(&self) -> Vec<Refusal> {
        std::mem::take(&mut lock(&self.state).refusals)
    }

    /// Ends the session, when the daemon has answered for all before.
    ///
    /// # Errors
    /// What the daemon refused the end with; one that is away is waited for.
    pub async fn end(self, end: &End) -> Result<Answer, Error> {
        self.flush().await;
        let mut backoff = Backoff::new(self.settings.backoff_first, self.settings.backoff_most);
        loop {
            match self.client.end_session(&self.started.id, end).await {
                Err(error) if error.is_retryable() => sleep(wait(&mut backoff, &error)).await,
                ended => return ended,
            }
        }
    }

    fn number(&self) -> Result<u64, Refused> {
        let mut state = lock(&self.state);
        if let Some(reason) = &state.tally.closed {
            return Err(Refused::Closed(reason.clone()));
        }
        state.emitted += 1;
        Ok(state.emitted)
    }

    fn closed(&self) -> Refused {
        Refused::Closed(self.tally().closed.unwrap_or_else(|| "its writer has ended".into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An event as it is sent.
fn write(kind: &str, data: &impl Serialize) -> Result<String, Refused> {
    #[derive(Serialize)]
    struct Event<'a> {
        id: Uuid,
        ts: Timestamp,
        #[serde(rename = "type")]
        kind: &'a str,
        data: &'a RawValue,
    }
    let invalid = |error: &dyn std::fmt::Display| Refused::Invalid(error.to_string());
    Kind::new(kind).map_err(|error| invalid(&error))?;
    let data = serde_json::value::to_raw_value(data).map_err(|error| invalid(&error))?;
    if !data.get().starts_with('{') {
        return Err(Refused::Invalid("data: expected a JSON object".into()));
    }
    let event = Event { id: Uuid::now_v7(), ts: Timestamp::now(), kind, data: &data };
    // A line is a line; between the tokens of JSON a blank is as good.
    let json = serde_json::to_string(&event).map_err(|error| invalid(&error))?.replace(['\n', '\r'], " ");
    match json.len() <= MAX_EVENT_BYTES {
        true => Ok(json),
        false => Err(Refused::Invalid(format!("data: expected an event of at most {MAX_EVENT_BYTES} bytes"))),
    }
}

/// How much room a line takes.
fn weight(json: &str) -> u32 {
    u32::try_from(json.len().min(MAX_WAITING_BYTES)).unwrap_or(u32::MAX)
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait after a failure: as long as was asked for, else longer each time.
fn wait(backoff: &mut Backoff, error: &Error) -> Duration {
    let own = backoff.next(rand::random());
    match error {
        Error::Refused { retry_after: Some(after), .. } => own.max(*after),
        _ => own,
    }
}

/// The task that sends.
struct Sender {
    client: Client,
    session: StreamId,
    backoff: Backoff,
    heartbeat: Duration,
    state: Shared,
}

/// Lines that are sent in one request.
#[derive(Default)]
struct Batch {
    numbers: Vec<u64>,
    lines: Vec<String>,
    rooms: Vec<OwnedSemaphorePermit>,
    bytes: usize,
    flush: Option<oneshot::Sender<()>>,
}

impl Batch {
    /// Whether nothing more goes into it.
    fn is_full(&self) -> bool {
        self.flush.is_some() || self.lines.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    fn push(&mut self, item: Item) {
        match item {
            Item::Flush(done) => self.flush = Some(done),
            Item::Line { number, json, _room: room } => {
                self.bytes += json.len();
                self.numbers.push(number);
                self.lines.push(json);
                self.rooms.push(room);
            }
        }
    }
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Item>) {
        loop {
            let first = match timeout(self.heartbeat, waiting.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) => {
                    if let Err(error) = self.client.heartbeat(&self.session).await {
                        tracing::debug!(session = %self.session, %error, "a heartbeat was not heard");
                    }
                    continue;
                }
            };
            let mut batch = Batch::default();
            batch.push(first);
            while !batch.is_full()
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            if !batch.lines.is_empty() {
                self.send(&batch).await;
            }
            if let Some(done) = batch.flush {
                let _nobody_waits = done.send(());
            }
            let closed = lock(&self.state).tally.closed.clone();
            if let Some(reason) = closed {
                return self.refuse(waiting, &reason).await;
            }
        }
    }

    /// Tells that what waits will not be sent.
    async fn refuse(&self, mut waiting: mpsc::Receiver<Item>, reason: &str) {
        waiting.close();
        while let Some(item) = waiting.recv().await {
            let mut left = Batch::default();
            left.push(item);
            self.count(&left, left.lines.iter().map(|_| Err(reason.to_owned())));
            if let Some(done) = left.flush {
                let _nobody_waits = done.send(());
            }
        }
    }

    /// Sends a batch until it is answered for.
    async fn send(&mut self, batch: &Batch) {
        let key = Uuid::now_v7();
        loop {
            match self.client.send_lines(&self.session, &batch.lines, key).await {
                Ok(answers) => {
                    self.backoff.reset();
                    let later = answers.iter().find(|line| line.later).map(|line| line.answer.clone());
                    match later {
                        None if answers.len() == batch.lines.len() => {
                            return self.count(batch, answers.into_iter().map(|line| line.answer));
                        }
                        // What was stored gets the same answer again.
                        Some(Err(reason)) => self.away(reason),
                        _ => self.away("the answer broke off".into()),
                    }
                    sleep(self.backoff.next(rand::random())).await;
                }
                Err(error) if error.is_retryable() => {
                    self.away(error.to_string());
                    sleep(wait(&mut self.backoff, &error)).await;
                }
                Err(error) => {
                    self.count(batch, batch.lines.iter().map(|_| Err(error.to_string())));
                    lock(&self.state).tally.closed = Some(error.to_string());
                    return;
                }
            }
        }
    }

    fn away(&self, reason: String) {
        let mut state = lock(&self.state);
        if state.tally.waits_for.is_none() {
            tracing::warn!(session = %self.session, "events wait, and are sent again: {reason}");
        }
        state.tally.waits_for = Some(reason);
    }

    fn count(&self, batch: &Batch, answers: impl Iterator<Item = Result<u64, String>>) {
        let mut state = lock(&self.state);
        state.tally.waits_for = None;
        for (number, answer) in batch.numbers.iter().zip(answers) {
            match answer {
                Ok(_) => state.tally.stored += 1,
                Err(reason) => {
                    state.tally.refused += 1;
                    if state.refusals.len() < MAX_REFUSALS {
                        state.refusals.push(Refusal { number: *number, reason });
                    }
                }
            }
        }
    }
}
