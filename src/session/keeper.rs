//! The keeper: interrupts the sessions whose writer is gone, and does what has to be done from time to time.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::registry::{self, Held};
use super::{Error, Sessions, end, idempotency};
use crate::event::{Data, Severity, StreamId, Timestamp};
use crate::ingest;
use crate::store::{Refused, Status, Submission};

/// The type of the event by which a session is interrupted.
pub(super) const INTERRUPTED: &str = "session_interrupted";

/// Silence is noticed at most so late.
const LATEST: Duration = Duration::from_secs(15);
/// Old keys are looked for this often.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Why a session is interrupted.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    WriterGone,
    Idle,
}

/// Keeps the sessions of a [`Sessions`]; it must run as long as that is used.
pub struct Keeper {
    sessions: Sessions,
    forgotten: Instant,
}

impl Keeper {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, forgotten: Instant::now() }
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
    }

    /// One look at everything.
    pub(super) async fn turn(&mut self) {
        self.mark_all_gone().await;
        self.mark_silent().await;
        if self.forgotten.elapsed() >= FORGET_EVERY {
            self.forgotten = Instant::now();
            self.forget_keys().await;
        }
    }

    async fn mark_all_gone(&self) {
        for id in self.sessions.inner.registry.gone() {
            if let Err(error) = mark_gone(&self.sessions, &id).await {
                tracing::warn!(session = %id, %error, "a session whose writer is gone is not yet marked as interrupted");
            }
        }
    }

    async fn mark_silent(&self) {
        let idle = self.sessions.settings().idle;
        for (id, last) in self.sessions.inner.registry.silent(idle) {
            let idle_ms = u64::try_from(last.elapsed().as_millis()).ok();
            if let Err(error) = mark(&self.sessions, &id, Held::Remote(last), Reason::Idle, idle_ms).await {
                tracing::warn!(session = %id, %error, "a silent session is not yet marked as interrupted");
            }
        }
    }

    async fn forget_keys(&self) {
        let store = self.sessions.store().clone();
        let forget = tokio::task::spawn_blocking(move || idempotency::forget(&store, Timestamp::now())).await;
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
    sessions.inner.ingest.flush().await?;
    mark(sessions, id, Held::Gone, Reason::WriterGone, None).await
}

/// Interrupts a session unless an event came in between: then that one wins.
async fn mark(
    sessions: &Sessions,
    id: &StreamId,
    held: Held,
    reason: Reason,
    idle_ms: Option<u64>,
) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Interrupted {
        reason: Reason,
        #[serde(skip_serializing_if = "Option::is_none")]
        idle_ms: Option<u64>,
    }
    let inner = &sessions.inner;
    let gone = (held == Held::Gone).then(|| registry::writer(id, None));
    let (mut drafts, mut expected_last_seq) = (Vec::new(), None);
    if let Some(session) = inner.store.session(id)?.filter(|session| session.status == Status::Active) {
        drafts.push(end::draft(
            id,
            INTERRUPTED,
            Severity::Warning,
            Data::from_value(&Interrupted { reason, idle_ms })?,
        )?);
        expected_last_seq = Some((id.clone(), session.events));
    }
    let submission = Submission { drafts, writes: gone.into_iter().collect(), expected_last_seq };
    match inner.ingest.submit(submission).await {
        Ok(_) => inner.registry.interrupted(id, held),
        Err(ingest::Error::Refused(Refused::Moved { .. })) if held != Held::Gone => inner.registry.touch(id),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
