//! A writer of a session in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::registry::{self, Held};
use super::{Begun, End, Error, Sessions, Start, check, keeper, one};
use crate::event::session::severity;
use crate::event::{Data, Draft, Kind, StreamId, Subject, Timestamp, Traceparent};
use crate::ingest::{Account, Tally};
use crate::store::{Receipt, Submission};

/// What is on its way to the disk is looked for again after so long.
const ON_ITS_WAY: Duration = Duration::from_millis(1);
/// So many types of one session are remembered with their subjects.
const MAX_NAMES: usize = 256;

/// A session that this process writes to.
///
/// Any number of threads may emit. Dropped without [`Session::end`], the session is interrupted at once.
pub struct Session {
    sessions: Sessions,
    begun: Begun,
    tally: Arc<Tally>,
    names: Mutex<HashMap<Box<str>, (Kind, Subject)>>,
    ended: AtomicBool,
}

pub(super) async fn open(sessions: &Sessions, start: Start) -> Result<Session, Error> {
    if let Some(id) = &start.id
        && sessions.inner.registry.held(id) == Some(Held::Gone)
    {
        keeper::mark_gone(sessions, id).await?;
    }
    let record = serde_json::json!({ "pid": std::process::id() }).to_string().into_bytes();
    let begun = sessions.begin_as(start, Some(record.clone())).await?;
    match begun.duplicate {
        true => take_up(sessions, &begun.id, record).await?,
        false => claim(sessions, &begun.id)?,
    }
    let (tally, names) = (Arc::default(), Mutex::default());
    Ok(Session { sessions: sessions.clone(), begun, tally, names, ended: AtomicBool::new(false) })
}

/// Notes a writer in this process, of which a session has one.
fn claim(sessions: &Sessions, id: &StreamId) -> Result<(), Error> {
    match sessions.inner.registry.claim(id) {
        true => Ok(()),
        false => {
            let message = format!("this process writes to the session {id} already");
            Err(Error::Conflict { field: "id", message })
        }
    }
}

/// Makes this process the writer of a session that is there.
async fn take_up(sessions: &Sessions, id: &StreamId, record: Vec<u8>) -> Result<(), Error> {
    let inner = &sessions.inner;
    if inner.store.session(id)?.is_none_or(|session| session.end.is_some()) {
        return Err(Error::Ended(id.clone()));
    }
    claim(sessions, id)?;
    let writes = vec![registry::writer(id, Some(record))];
    let stored = inner.ingest.submit(Submission { writes, ..Submission::default() }).await;
    if stored.is_err() {
        inner.registry.lose(id);
    }
    Ok(stored.map(|_| ())?)
}

impl Session {
    /// Its id.
    pub fn id(&self) -> &StreamId {
        &self.begun.id
    }

    /// The context that its children are in: what `TRACEPARENT` should be for them.
    pub fn traceparent(&self) -> &Traceparent {
        &self.begun.traceparent
    }

    /// Sends an event, as severe as its type is in the catalog; waits only while the bus is full, not until the event is durable. Answers which one it is,
    /// 0, 1, 2…, by which [`Session::account`] tells what was not taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what no event can be; [`Error::Ingest`] when ingest has stopped.
    pub async fn emit(&self, kind: &str, data: &impl Serialize) -> Result<u64, Error> {
        let draft = self.draft(kind, data)?;
        Ok(self.sessions.inner.ingest.post(draft, &self.tally).await?)
    }

    /// Sends an event, or says at once that the bus is full.
    ///
    /// # Errors
    /// As [`Session::emit`]; [`Error::Ingest`] with [`crate::ingest::Error::Full`].
    pub fn try_emit(&self, kind: &str, data: &impl Serialize) -> Result<u64, Error> {
        let draft = self.draft(kind, data)?;
        Ok(self.sessions.inner.ingest.try_post(draft, &self.tally)?)
    }

    /// Sends an event, and waits until it is durable.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn record(&self, kind: &str, data: &impl Serialize) -> Result<Receipt, Error> {
        let draft = self.draft(kind, data)?;
        one(self.sessions.inner.ingest.submit(Submission::events(vec![draft])).await)
    }

    /// Waits until everything that was emitted before is durable or refused, and tells how all of it fared.
    ///
    /// # Errors
    /// Ingest has stopped. That the store takes nothing stands in the account.
    pub async fn flush(&self) -> Result<Account, Error> {
        let sent = self.account().sent;
        loop {
            match self.sessions.inner.ingest.flush().await {
                Err(error) if !error.is_retryable() => return Err(error.into()),
                _ => {}
            }
            let account = self.account();
            if account.taken + account.missed >= sent {
                return Ok(account);
            }
            // What is refused is answered at once, and so overtakes what is on its way to the disk.
            sleep(ON_ITS_WAY).await;
        }
    }

    /// How what was emitted has fared so far.
    pub fn account(&self) -> Account {
        self.tally.account()
    }

    /// Ends it, behind everything that was emitted before. May be tried again where it failed; what is emitted
    /// after it is refused.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub async fn end(&self, end: End) -> Result<Receipt, Error> {
        let receipt = self.sessions.end(self.id(), end).await?;
        self.ended.store(true, Ordering::Release);
        Ok(receipt)
    }

    fn draft(&self, kind: &str, data: &impl Serialize) -> Result<Draft, Error> {
        let (kind, subject) = self.names(kind)?;
        let data = Data::from_value(data)?;
        let severity = severity(kind.as_str(), data.get());
        let mut draft = Draft::new(self.id().clone(), kind, subject, severity, data);
        draft.ts = Some(Timestamp::now());
        check(self.id(), &draft)?;
        draft.validate()?;
        Ok(draft)
    }

    /// The type and its subject, made once.
    fn names(&self, kind: &str) -> Result<(Kind, Subject), Error> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = names.get(kind) {
            return Ok(found.clone());
        }
        let known = Kind::new(kind)?;
        let subject = Subject::session(self.id(), &known)?;
        if names.len() < MAX_NAMES {
            names.insert(kind.into(), (known.clone(), subject.clone()));
        }
        Ok((known, subject))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::Acquire) {
            self.sessions.inner.registry.lose(self.id());
            self.sessions.inner.gone.notify_one();
        }
    }
}
