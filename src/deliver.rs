//! Delivery: the one loop that moves events from the log to a sink.
//!
//! It reads from the cursor by pages, hands what the sink wants to it, and moves the cursor on the sink's own
//! confirmation, never before. All waiting is here: exponential backoff with full jitter, what a destination
//! said about when to come back, and a breaker that leaves a dead one alone. What is refused for good becomes
//! a dead letter, durably, before the cursor moves over it. One delivery waits for no other.

mod breaker;
mod cursor;
mod page;
mod remember;
mod reset;
mod retry;
mod status;
mod wait;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::breaker::Breaker;
use self::page::{Page, Pages};
use self::remember::Saved;
use self::reset::Resets;
use crate::backoff::Backoff;
use crate::dead_letter::{self, DeadLetter};
use crate::event::{Logged, Offset, Timestamp};
use crate::sink::{self, Cursor, Refused, Sent, Sink};
use crate::store::{self, Store, Write};

pub use breaker::Circuit;
pub use cursor::release_others;
pub use reset::{From, Reset, reset, reset_running};
pub use status::{Failure, Handle, State, Status, at_rest};

/// So many letters, at most, are written in one go: with events of 64 KiB, 2 MiB, beside what was sent.
const LETTERS: usize = 32;

/// At the end of the delivery the last events are tried for so long.
const FINISH: Duration = Duration::from_secs(3);

/// How a delivery behaves; the defaults are right for every sink.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether pruning waits for this sink.
    pub required: bool,
    /// Whether a person may have everything sent again ([`reset()`]).
    pub resettable: bool,
    /// Where everything was sent, more events are waited for so long once there is one, to go with it.
    pub gather: Duration,
    /// A call of the sink is given up after this.
    pub call_timeout: Duration,
    /// The first wait after an error is at most this.
    pub backoff_first: Duration,
    /// No wait of the backoff is longer.
    pub backoff_most: Duration,
    /// The longest wait while a person has to change something.
    pub misconfigured: Duration,
    /// The breaker opens after so many failures in a row.
    pub breaker_after: u32,
    /// It is open for so long at first.
    pub breaker_first: Duration,
    /// And never longer than this.
    pub breaker_most: Duration,
    /// Retries of dead letters are looked for this often, where nobody told of one.
    pub look_for_retries: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            required: true,
            resettable: false,
            gather: Duration::ZERO,
            call_timeout: Duration::from_secs(60),
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(30),
            misconfigured: Duration::from_secs(30),
            breaker_after: 5,
            breaker_first: Duration::from_secs(5),
            breaker_most: Duration::from_secs(60),
            look_for_retries: Duration::from_secs(5),
        }
    }
}

/// One delivery: its sink, its cursor and all its waiting.
pub struct Delivery<S> {
    name: Arc<str>,
    sink: S,
    store: Store,
    settings: Settings,
    pages: Pages,
    cursor: Option<Cursor>,
    remembered: Saved,
    resets: Resets,
    /// The first event that waits for a destination that is away, once it was looked for.
    waits_at: Option<Offset>,
    /// Whether the sink was resumed since its last error.
    ready: bool,
    backoff: Backoff,
    breaker: Breaker,
    /// When retries were last looked for; `None`: to be done now.
    looked: Option<Instant>,
    nudge: Arc<Notify>,
    status: watch::Sender<Status>,
    shutdown: CancellationToken,
}

/// Why a turn did not get on.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Sink(#[from] sink::Error),
    #[error("the store: {0}")]
    Store(#[from] store::Error),
}

/// What comes after a turn.
enum Next {
    Turn,
    Idle,
}

impl<S: Sink> Delivery<S> {
    /// A delivery that does not run yet, and the handle to it. `name` is the key of its cursor.
    pub fn new(name: &str, sink: S, store: Store, settings: Settings) -> (Self, Handle) {
        let name: Arc<str> = name.into();
        let (status, watched) = watch::channel(Status::new(Arc::clone(&name), settings.required));
        let nudge = Arc::new(Notify::new());
        let resets = Resets::default();
        let handle = Handle {
            store: store.clone(),
            status: watched,
            nudge: Arc::clone(&nudge),
            resets: settings.resettable.then(|| resets.clone()),
        };
        let delivery = Self {
            name,
            sink,
            pages: Pages::new(&store),
            store,
            cursor: None,
            remembered: Saved::default(),
            resets,
            waits_at: None,
            ready: false,
            backoff: Backoff::new(settings.backoff_first, settings.backoff_most),
            breaker: Breaker::new(settings.breaker_after, settings.breaker_first, settings.breaker_most),
            settings,
            looked: None,
            nudge,
            status,
            shutdown: CancellationToken::new(),
        };
        (delivery, handle)
    }

    /// Runs until `shutdown`, then finishes the call that it is in: at most [`Settings::call_timeout`], so
    /// whoever drains puts a deadline on it. A delivery that keeps up sends what was committed last, too. It may be
    /// dropped at any time; nothing confirmed is lost.
    pub async fn run(mut self, shutdown: CancellationToken) {
        self.shutdown = shutdown;
        let mut durable = self.store.durable();
        while !self.shutdown.is_cancelled() {
            match self.turn().await {
                Ok(Next::Turn) => {}
                Ok(Next::Idle) => self.idle(&mut durable).await,
                Err(stuck) => self.wait_after(&stuck).await,
            }
        }
        self.finish().await;
        self.stop();
    }

    /// Sends what is left where that is a page at most and nothing is wrong: others wait for the end of a session that
    /// ends with its daemon. It is tried once, and not for long.
    async fn finish(&mut self) {
        let left = self.store.range().end.saturating_sub(self.offset());
        if self.ready && left > 0 && left <= page::MAX_EVENTS as u64 {
            self.shutdown = CancellationToken::new();
            match timeout(FINISH, self.turn()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::info!(sink = %self.name, %error, "the last events are sent at the next start")
                }
                Err(_) => {
                    tracing::info!(sink = %self.name, "no answer: the last events are sent at the next start")
                }
            }
        }
    }

    /// One step: resume, a retry, or a page.
    async fn turn(&mut self) -> Result<Next, Stuck> {
        self.breaker.try_again();
        let cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => cursor::load(&self.store, &self.name, &self.settings)?,
        };
        self.cursor = Some(cursor);
        self.take_reset()?;
        self.bring_up().await?;
        if self.shutdown.is_cancelled() {
            return Ok(Next::Turn);
        }
        let cursor = self.cursor.clone().unwrap_or_default();
        if !self.ready
            && let Err(stuck) = self.resume(cursor).await
        {
            self.pass_over().await?;
            return Err(stuck);
        }
        if self.should_look() {
            self.redeliver().await?;
        }
        let offset = self.offset();
        let mut page = self.pages.read(offset).await?;
        if page.end == offset {
            // Reached, and nothing to try it with: that must do.
            self.breaker.succeeded();
            // Where retries were found, there may be more.
            return Ok(if self.looked.is_none() { Next::Turn } else { Next::Idle });
        }
        page.events.retain(|logged| self.sink.wants(&logged.event));
        self.pages.read_ahead(page.end);
        self.show(|status| status.state = State::Delivering);
        self.deliver(&page).await?;
        Ok(Next::Turn)
    }

    async fn resume(&mut self, at: Cursor) -> Result<(), Stuck> {
        let resumed = match timeout(self.settings.call_timeout, self.sink.resume(&at)).await {
            Ok(resumed) => resumed?,
            Err(_) => return Err(self.timed_out().into()),
        };
        if resumed.offset > at.offset {
            let message = format!("the sink would skip events {} to {}", at.offset, resumed.offset);
            return Err(sink::Error::Misconfigured(message).into());
        }
        if resumed != at {
            // Durably: a mark made now is what a crash in the middle of the first batch is healed by.
            self.store.put_durable(&[cursor::write(&self.name, &resumed, &self.settings)])?;
        }
        if resumed.offset != at.offset {
            self.remembered.lost();
        }
        self.cursor = Some(resumed);
        self.ready = true;
        self.looked = None;
        self.bring_up().await
    }

    /// Moves the cursor over what does not go to a destination that is away, up to the first event that does:
    /// pruning need not wait for the rest.
    async fn pass_over(&mut self) -> Result<(), store::Error> {
        while self.waits_at != Some(self.offset()) && !self.shutdown.is_cancelled() {
            let from = self.offset();
            let page = self.pages.read(from).await?;
            self.waits_at =
                page.events.iter().find(|logged| self.sink.wants(&logged.event)).map(|logged| logged.offset);
            let offset = self.waits_at.unwrap_or(page.end);
            if offset == from {
                break;
            }
            let mark = self.cursor.take().unwrap_or_default().mark;
            self.save(Cursor { offset, mark })?;
        }
        Ok(())
    }

    /// Delivers a page, in as many calls as it takes.
    async fn deliver(&mut self, page: &Page) -> Result<(), Stuck> {
        let mut rest = page.events.as_slice();
        if !rest.is_empty() {
            self.remembered.ahead();
        }
        while !rest.is_empty() {
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            let batch = if self.breaker.circuit() == Circuit::HalfOpen { &rest[..1] } else { rest };
            let sent = self.send(batch).await;
            let settled = sent.settled;
            rest = &rest[settled..];
            let end = rest.first().map_or(page.end, |next| next.offset);
            if settled > 0 {
                self.settle(&batch[..settled], &sent, end).await?;
            }
            match sent.error {
                Some(error) => return Err(error.into()),
                None if settled == 0 => {
                    self.ready = false;
                    return Err(sink::Error::Retryable("nothing was settled, and no error told".into()).into());
                }
                None => {}
            }
        }
        if self.offset() < page.end {
            // Nothing but events that do not go there: no call, but the cursor moves all the same.
            let mark = self.cursor.take().unwrap_or_default().mark;
            self.save(Cursor { offset: page.end, mark })?;
        }
        self.remember()?;
        Ok(())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        let call = timeout(self.settings.call_timeout, self.sink.send(batch));
        let sent = call.await.unwrap_or_else(|_| Sent { error: Some(self.timed_out()), ..Sent::default() });
        self.checked(sent, batch.len())
    }

    /// What a sink answered to so many events, as far as it can be true.
    fn checked(&mut self, mut sent: Sent, events: usize) -> Sent {
        self.ready = sent.error.is_none();
        sent.settled = sent.settled.min(events);
        sent.refused.retain(|refused| refused.index < sent.settled);
        sent
    }

    fn timed_out(&self) -> sink::Error {
        sink::Error::Retryable(format!("no answer within {} s", self.settings.call_timeout.as_secs()))
    }

    /// Keeps the refused events, then moves the cursor to `end`.
    async fn settle(&mut self, batch: &[Logged], sent: &Sent, end: Offset) -> Result<(), Stuck> {
        self.breaker.succeeded();
        self.backoff.reset();
        for refused in sent.refused.chunks(LETTERS) {
            let last = refused.last().map_or(0, |last| last.index);
            // The mark stands for the whole batch, so it waits for the end of it.
            let mark = self.cursor.as_ref().map(|cursor| cursor.mark.clone()).unwrap_or_default();
            let cursor = Cursor { offset: batch[last].offset + 1, mark };
            let mut writes = vec![cursor::write(&self.name, &cursor, &self.settings)];
            writes.extend(refused.iter().map(|refused| dead_letter::keep(&self.letter(batch, refused))));
            self.write(&writes).await?;
            self.cursor = Some(cursor);
        }
        if let Some(first) = sent.refused.first() {
            // Once for all of them: who reads the log may be slow, and the letters have the rest.
            tracing::warn!(sink = %self.name, events = sent.refused.len(), "dead letters; the first: {}", first.reason);
        }
        let (refused, settled) = (sent.refused.len() as u64, batch.len() as u64);
        self.show(|status| {
            status.delivered += settled - refused.min(settled);
            status.dead_lettered += refused;
            status.failures = 0;
        });
        self.save(Cursor { offset: end, mark: sent.mark.clone() })?;
        Ok(())
    }

    fn letter(&self, batch: &[Logged], refused: &Refused) -> DeadLetter {
        let Logged { offset, event } = batch[refused.index].clone();
        tracing::debug!(sink = %self.name, offset, id = %event.id, reason = refused.reason, "a dead letter");
        DeadLetter {
            id: Uuid::now_v7(),
            kind: dead_letter::Kind::Delivery,
            sink: Some(self.name.to_string()),
            offset: Some(offset),
            event: Arc::unwrap_or_clone(event),
            reason: refused.reason.clone(),
            sent: refused.sent.clone(),
            time: Timestamp::now(),
            attempts: 1,
            retrying: false,
        }
    }

    /// Writes durably, and tries until it is written: the destination's answer cannot be asked for again.
    async fn write(&mut self, writes: &[Write]) -> Result<(), Stuck> {
        loop {
            match self.store.put_durable(writes) {
                Ok(()) => return Ok(()),
                Err(error) if self.shutdown.is_cancelled() => return Err(error.into()),
                Err(error) => self.wait_after(&error.into()).await,
            }
        }
    }

    fn save(&mut self, cursor: Cursor) -> Result<(), store::Error> {
        let write = cursor::write(&self.name, &cursor, &self.settings);
        self.cursor = Some(cursor);
        self.show(|_| {});
        self.store.put(&[write])
    }

    fn offset(&self) -> Offset {
        self.cursor.as_ref().map_or(0, |cursor| cursor.offset)
    }

    fn show(&self, change: impl FnOnce(&mut Status)) {
        let (offset, breaker) = (self.offset(), self.breaker.circuit());
        self.status.send_modify(|status| {
            (status.offset, status.breaker) = (offset, breaker);
            change(status);
        });
    }

    fn stop(&mut self) {
        if let Err(error) = self.save_memory() {
            tracing::warn!(sink = %self.name, %error, "what the sink remembers was not saved: it is read again");
        }
        if let Some(cursor) = &self.cursor {
            let write = cursor::write(&self.name, cursor, &self.settings);
            if let Err(error) = self.store.put_durable(&[write]) {
                tracing::warn!(sink = %self.name, %error, "the cursor was not saved: some events are sent again");
            }
        }
        self.show(|status| status.state = State::Stopped);
    }
}
