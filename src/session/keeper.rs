//! The keeper: interrupts the sessions whose writer is gone, and does what has to be done from time to time.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::large::Large;
use super::registry::{self, Held};
use super::{Error, Sessions, idempotency, is_running};
use crate::event::session::{SessionInterrupted, draft, kind};
use crate::event::{Data, Draft, StreamId, Timestamp};
use crate::ingest;
use crate::store::{Refused, Submission};

/// Silence is noticed at most so late.
const LATEST: Duration = Duration::from_secs(5);
/// So many sessions are marked side by side, so that they share a commit.
const AT_ONCE: usize = 256;
/// So often a session is tried to be marked while others write to it.
const ATTEMPTS: usize = 5;
/// Old keys are looked for this often.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Large sessions are looked at no more often than that, which is at each tick. The less there is to read for one
/// snapshot, the less of it is in sled's cache at once.
const LOOK_EVERY: Duration = Duration::from_secs(4);

/// Why a session is interrupted: the writer in a process is gone, or nothing was heard of it for so many ms.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    WriterGone,
    Idle(u64),
}

/// Keeps the sessions of a [`Sessions`]; it must run as long as that is used.
pub struct Keeper {
    sessions: Sessions,
    forgotten: Instant,
    looked: Instant,
    large: Large,
    /// The look at large sessions that is going on, apart, as it may take seconds.
    looking: Option<JoinHandle<Large>>,
}

impl Keeper {
    pub(super) fn new(sessions: Sessions) -> Self {
        let now = Instant::now();
        Self { sessions, forgotten: now, looked: now, large: Large::default(), looking: None }
    }

    /// Runs until `stop`; what failed is tried again at the next turn.
    pub async fn run(mut self, stop: CancellationToken) {
        let idle = self.sessions.settings().idle;
        let mut ticks = interval((idle / 20).clamp(Duration::from_millis(10), LATEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let inner = self.sessions.inner.clone();
            tokio::select! {
                () = stop.cancelled() => break,
                () = inner.gone.notified() => {}
                _ = ticks.tick() => {}
            }
            self.turn().await;
        }
        // Whoever went in the last moment.
        self.mark_all_gone().await;
        if let Some(looking) = self.looking.take() {
            // What it did is in the store.
            let _large = looking.await;
        }
    }

    /// One look at everything.
    pub(super) async fn turn(&mut self) {
        self.mark_all_gone().await;
        self.mark_silent().await;
        self.keep_snapshots().await;
        if self.forgotten.elapsed() >= FORGET_EVERY {
            self.forgotten = Instant::now();
            self.forget_keys().await;
        }
    }

    async fn mark_all_gone(&self) {
        let mark = async |id: StreamId| {
            if let Err(error) = mark_gone(&self.sessions, &id).await {
                tracing::warn!(session = %id, %error, "a session whose writer is gone is not yet marked as interrupted");
            }
        };
        stream::iter(self.sessions.inner.registry.gone()).for_each_concurrent(AT_ONCE, mark).await;
    }

    async fn mark_silent(&self) {
        let silent = self.sessions.inner.registry.silent(self.sessions.settings().idle);
        let mark = async |(id, last)| self.mark_one_silent(id, last).await;
        stream::iter(silent).for_each_concurrent(AT_ONCE, mark).await;
    }

    async fn mark_one_silent(&self, id: StreamId, last: Instant) {
        let registry = &self.sessions.inner.registry;
        // While others were marked, it may have been heard of.
        if registry.held(&id) != Some(Held::Remote(last)) {
            return;
        }
        let idle = Reason::Idle(u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX));
        match mark(&self.sessions, &id, Held::Remote(last), idle).await {
            Ok(true) => {}
            Ok(false) => registry.touch(&id),
            Err(error) => tracing::warn!(session = %id, %error, "a silent session is not yet interrupted"),
        }
    }

    /// Lets large sessions have their snapshots.
    async fn keep_snapshots(&mut self) {
        if let Some(done) = self.looking.take_if(|looking| looking.is_finished()) {
            self.large = done.await.unwrap_or_else(|error| {
                tracing::error!(%error, "saving snapshots of sessions");
                Large::default()
            });
        }
        if self.looking.is_some() || self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let (mut large, store) = (std::mem::take(&mut self.large), self.sessions.store().clone());
        let written = self.sessions.inner.registry.ids();
        self.looking = Some(spawn_blocking(move || {
            if let Err(error) = large.turn(&store, written) {
                tracing::warn!(%error, "the snapshots of large sessions are not saved");
            }
            large
        }));
    }

    async fn forget_keys(&self) {
        let store = self.sessions.store().clone();
        let forget = spawn_blocking(move || idempotency::forget(&store, Timestamp::now())).await;
        match forget {
            Ok(Ok(0)) => {}
            Ok(Ok(keys)) => tracing::debug!(keys, "old idempotency keys are forgotten"),
            Ok(Err(error)) => tracing::warn!(%error, "old idempotency keys are not forgotten yet"),
            Err(error) => tracing::error!(%error, "forgetting idempotency keys"),
        }
    }
}

/// Interrupts a session whose writer in a process is gone, behind everything that the writer has sent.
pub(super) async fn mark_gone(sessions: &Sessions, id: &StreamId) -> Result<(), Error> {
    let mut marked = Ok(false);
    for _ in 0..ATTEMPTS {
        sessions.inner.ingest.flush().await?;
        marked = mark(sessions, id, Held::Gone, Reason::WriterGone).await;
        if !matches!(marked, Ok(false)) {
            break;
        }
    }
    marked.map(|_| ())
}

/// Interrupts a session, unless an event came in between: then that one wins, and the answer is `false`.
pub(super) async fn mark(sessions: &Sessions, id: &StreamId, held: Held, reason: Reason) -> Result<bool, Error> {
    let inner = &sessions.inner;
    let gone = (held == Held::Gone).then(|| registry::writer(id, None));
    let mut submission = Submission { writes: gone.into_iter().collect(), ..Submission::default() };
    if let Some(session) = inner.store.session(id)?.filter(is_running) {
        submission.drafts.push(reason.draft(id)?);
        submission.expected_last_seq = Some((id.clone(), session.events));
    }
    match inner.ingest.submit(submission).await {
        Ok(_) => inner.registry.interrupted(id, held),
        Err(ingest::Error::Refused(Refused::Moved { .. })) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

impl Reason {
    fn draft(self, id: &StreamId) -> Result<Draft, Error> {
        let (reason, idle_ms) = match self {
            Self::WriterGone => ("writer_gone", None),
            Self::Idle(ms) => ("idle", Some(ms)),
        };
        let data = Data::from_value(&SessionInterrupted { reason: Some(reason.into()), idle_ms })?;
        Ok(draft(id, kind::SESSION_INTERRUPTED, data)?)
    }
}
