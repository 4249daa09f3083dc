//! Sessions: the service through which every writer of a session goes, in this process or over the API.
//!
//! ```text
//! begin ─► append, heartbeat … ─► end        each event by ingest, with its own fate
//!              └─ silence ─► Keeper: session_interrupted ─► append: session_resumed, a new segment
//! ```
//! The rules of a session's life are the store's ([`store::Refused`]); here stands who writes to which session
//! and since when nobody did. A writer in this process is a [`Session`]: when it is dropped without an end, its
//! session is interrupted at once. A remote one is gone after `session.idle` with neither event nor heartbeat, a
//! clock that begins anew when the process starts.

mod end;
mod error;
pub mod follow;
mod idempotency;
mod keeper;
mod large;
mod local;
mod registry;
pub mod replay;
mod start;
pub mod tail;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::config;
use crate::event::session::kind;
use crate::event::{Class, Draft, Invalid, StreamId};
use crate::ingest::{self, Ingest, Order};
use crate::store::{self, Receipt, SessionInfo, Status, Store, Submission, Tree, Write};

pub use end::{End, Verdict};
pub use error::Error;
pub use keeper::Keeper;
pub use local::Session;
pub use start::{Begun, Start};

use registry::{Held, Registry};

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    ingest: Ingest,
    settings: config::Session,
    registry: Registry,
    keys: idempotency::Turns,
    /// Wakes the keeper for a writer in this process that is gone.
    gone: Notify,
}

impl Sessions {
    /// The service over a store and its ingest, and the keeper that must run beside it.
    ///
    /// Sessions whose writer was in a process that is gone are interrupted as soon as the keeper runs; the
    /// clock of every other active session begins now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn start(store: Store, ingest: Ingest, settings: config::Session) -> Result<(Self, Keeper), store::Error> {
        let registry = Registry::load(&store)?;
        let (keys, gone) = (idempotency::Turns::default(), Notify::new());
        let sessions = Self { inner: Arc::new(Inner { store, ingest, settings, registry, keys, gone }) };
        let keeper = Keeper::new(sessions.clone());
        Ok((sessions, keeper))
    }

    /// Begins a session. The same [`Start`] again gets the first answer, by its own id or by its key.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id, or the key, stands for a session that was begun otherwise.
    pub async fn begin(&self, start: Start) -> Result<Begun, Error> {
        let sessions = self.clone();
        to_the_end(async move { sessions.begin_as(start, None).await }).await
    }

    /// Begins a session, or takes up one that nobody in this process writes to, with a writer in this process.
    ///
    /// # Errors
    /// As [`Sessions::begin`]; [`Error::Ended`]; [`Error::Conflict`] when this process writes to it already.
    pub async fn open(&self, start: Start) -> Result<Session, Error> {
        let sessions = self.clone();
        to_the_end(async move { local::open(&sessions, start).await }).await
    }

    /// Adds events to a session: in order, each with its own fate. Behind one that has to be sent again nothing is
    /// stored, so that sending them all again keeps the order.
    ///
    /// Dropped while it waits, what was put on the bus before is stored all the same. An event for a session that
    /// has ended is kept as a dead letter, and counted.
    pub async fn append(&self, id: &StreamId, drafts: Vec<Draft>) -> Vec<Result<Receipt, Error>> {
        if let Err(error) = self.reach(id).await {
            return drafts.iter().map(|_| Err(error.clone())).collect();
        }
        let (mut sent, order) = (Vec::with_capacity(drafts.len()), Order::default());
        for draft in drafts {
            let ends = draft.kind.as_str() == kind::SESSION_ENDED;
            let pending = match check(id, &draft) {
                Ok(()) => {
                    let submission = Submission::events(vec![draft]);
                    self.inner.ingest.send_in_order(submission, &order).await.map_err(Error::from)
                }
                Err(error) => Err(error.into()),
            };
            if pending.is_ok() {
                // Before the answer, for which perhaps nobody waits.
                self.inner.registry.touch(id);
            }
            sent.push((pending, ends));
        }
        let mut answers = Vec::with_capacity(sent.len());
        for (pending, ends) in sent {
            let answer = match pending {
                Ok(pending) => one(pending.wait().await),
                Err(error) => Err(error),
            };
            let over = matches!(answer, Err(Error::Ended(_) | Error::NotFound(_)));
            if over || ends && answer.is_ok() {
                self.inner.registry.release(id);
            }
            answers.push(answer);
        }
        answers
    }

    /// Tells that the writer of a session is there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ended`]. An interrupted session is resumed by its next event, not by this.
    pub fn heartbeat(&self, id: &StreamId) -> Result<(), Error> {
        if self.inner.registry.refresh(id) {
            return Ok(());
        }
        match self.inner.store.session(id)? {
            None => Err(Error::NotFound(id.clone())),
            Some(session) if session.end.is_some() => Err(Error::Ended(id.clone())),
            Some(_) => Ok(()),
        }
    }

    /// Ends a session; the same end again gets the first answer.
    ///
    /// # Errors
    /// [`Error::Ended`] when it has ended otherwise.
    pub async fn end(&self, id: &StreamId, end: End) -> Result<Receipt, Error> {
        self.end_as(id, end, false).await
    }

    /// Ends a session that nobody will resume, as a person wants it.
    ///
    /// # Errors
    /// [`Error::Ended`] when it has ended otherwise.
    pub async fn close(&self, id: &StreamId, end: End) -> Result<Receipt, Error> {
        self.end_as(id, end, true).await
    }

    /// How many events came after their session had ended, since the process started.
    pub fn late(&self) -> u64 {
        self.inner.ingest.late()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The settings.
    pub fn settings(&self) -> &config::Session {
        &self.inner.settings
    }

    async fn end_as(&self, id: &StreamId, end: End, closed: bool) -> Result<Receipt, Error> {
        let (sessions, id) = (self.clone(), id.clone());
        to_the_end(async move { sessions.finish(&id, &end, closed).await }).await
    }

    async fn finish(&self, id: &StreamId, end: &End, closed: bool) -> Result<Receipt, Error> {
        self.reach(id).await?;
        let draft = end.draft(id, closed)?;
        let writes = match self.inner.registry.is_local(id) {
            true => vec![Write::remove(Tree::Writers, id.as_str())],
            false => Vec::new(),
        };
        let submission = Submission { drafts: vec![draft], writes, ..Submission::default() };
        match one(self.inner.ingest.submit(submission).await) {
            Ok(receipt) => {
                self.inner.registry.release(id);
                Ok(receipt)
            }
            Err(Error::Conflict { .. }) => Err(Error::Ended(id.clone())),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a session is there, and that a writer that is gone has been told of before another one
    /// writes.
    async fn reach(&self, id: &StreamId) -> Result<(), Error> {
        match self.inner.registry.held(id) {
            Some(Held::Gone) => keeper::mark_gone(self, id).await,
            Some(_) => {
                self.inner.registry.refresh(id);
                Ok(())
            }
            None => self.inner.store.session(id)?.map(|_| ()).ok_or_else(|| Error::NotFound(id.clone())),
        }
    }
}

/// Does something to its end, also when nobody waits for it any more: what is known here of who writes to a session
/// must not stop half-way.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime stops.
        Err(_) => Err(ingest::Error::Closed.into()),
    }
}

/// Whether somebody is expected to write to a session: a failed commit alone does not end it.
fn is_running(session: &SessionInfo) -> bool {
    session.end.is_none() && session.status != Status::Interrupted
}

/// Whether a draft from outside may be added to a session.
fn check(id: &StreamId, draft: &Draft) -> Result<(), Invalid> {
    if draft.session != *id {
        return Err(Invalid::new("session", draft.session.as_str(), format!("{id}, which is written to")));
    }
    let ours = [kind::SESSION_STARTED, kind::SESSION_INTERRUPTED, kind::SESSION_RESUMED, kind::INGEST_FAILED];
    if ours.contains(&draft.kind.as_str()) {
        return Err(Invalid::new("type", draft.kind.as_str(), "another type: this one is written by Watchpost"));
    }
    Ok(())
}

/// Whether that can be the id of a session.
fn check_id(id: &StreamId) -> Result<(), Invalid> {
    match id.class() {
        // Who asks for the latest one means another.
        Class::Session if id.as_str() != "latest" => Ok(()),
        _ => {
            let expected = "an id that is not `latest`, and does not begin with proc-, source-, hub- or observer-";
            Err(Invalid::new("id", id.as_str(), expected))
        }
    }
}

/// The answer to the only event of a submission.
fn one(reply: Result<Vec<Receipt>, ingest::Error>) -> Result<Receipt, Error> {
    let receipt = reply?.first().copied();
    receipt.ok_or_else(|| Error::Ingest(ingest::Error::Unknown("there is no receipt".into())))
}
