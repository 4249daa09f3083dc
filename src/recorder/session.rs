//! A session that a program records.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::{End, Error};
use crate::backoff::Backoff;
use crate::client::sessions::Writer;
use crate::event::StreamId;
use crate::session;

/// The waits between two attempts to end a session, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A session that this program records; any number of threads may emit.
///
/// Dropped without [`Session::end`] it is left behind: interrupted at once where the store is in this process, after
/// the daemon's `session.idle` where it is not.
pub struct Session(Kind);

enum Kind {
    Here(session::Session),
    Away(Writer),
}

/// What became of the events so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many are durable.
    pub taken: u64,
    /// How many were not taken.
    pub missed: u64,
    /// The first of those, each told once by a daemon, at each call by a store in this process.
    pub first_missed: Vec<Missed>,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its place among the events emitted, from 1.
    pub number: u64,
    /// Why.
    pub reason: String,
}

impl Session {
    pub(super) fn here(session: session::Session) -> Self {
        Self(Kind::Here(session))
    }

    pub(super) fn away(writer: Writer) -> Self {
        Self(Kind::Away(writer))
    }

    /// Its id.
    pub fn id(&self) -> &StreamId {
        match &self.0 {
            Kind::Here(session) => session.id(),
            Kind::Away(writer) => writer.id(),
        }
    }

    /// The W3C trace context of what it calls: `TRACEPARENT` for a child.
    pub fn traceparent(&self) -> String {
        match &self.0 {
            Kind::Here(session) => session.traceparent().to_string(),
            Kind::Away(writer) => writer.traceparent().to_owned(),
        }
    }

    /// Takes an event, with the present time; waits only while too many wait to be stored or sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what no event can be; [`Error::Closed`], [`Error::Session`] where the session takes no
    /// more. What is refused later stands in the [`Report`].
    pub async fn emit(&self, kind: &str, data: &impl Serialize) -> Result<(), Error> {
        match &self.0 {
            Kind::Here(session) => Ok(session.emit(kind, data).await.map(|_| ())?),
            Kind::Away(writer) => Ok(writer.emit(kind, data).await?),
        }
    }

    /// Takes an event, or says at once that too many wait.
    ///
    /// # Errors
    /// As [`Session::emit`], and [`Error::Full`].
    pub fn try_emit(&self, kind: &str, data: &impl Serialize) -> Result<(), Error> {
        match &self.0 {
            Kind::Here(session) => Ok(session.try_emit(kind, data).map(|_| ())?),
            Kind::Away(writer) => Ok(writer.try_emit(kind, data)?),
        }
    }

    /// Waits until everything emitted before is durable or refused; a daemon that is away is waited for.
    ///
    /// # Errors
    /// [`Error::Session`] where the recorder was closed.
    pub async fn flush(&self) -> Result<Report, Error> {
        match &self.0 {
            Kind::Here(session) => drop(session.flush().await?),
            Kind::Away(writer) => drop(writer.flush().await),
        }
        Ok(self.report())
    }

    /// What became of the events so far.
    pub fn report(&self) -> Report {
        match &self.0 {
            Kind::Here(session) => {
                let account = session.account();
                let missed = account.first_missed.into_iter();
                let missed = missed.map(|m| Missed { number: m.index + 1, reason: m.error.to_string() });
                Report { taken: account.taken, missed: account.missed, first_missed: missed.collect() }
            }
            Kind::Away(writer) => {
                let (tally, refusals) = (writer.tally(), writer.take_refusals().into_iter());
                let missed = refusals.map(|r| Missed { number: r.number, reason: r.reason });
                Report { taken: tally.stored, missed: tally.refused, first_missed: missed.collect() }
            }
        }
    }

    /// Ends it, behind everything emitted before; a store that takes nothing, or a daemon that is away, is waited
    /// for. Answers the seq of `session_ended`.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Daemon`] where it has ended otherwise.
    pub async fn end(self, end: End) -> Result<u64, Error> {
        let session = match self.0 {
            Kind::Here(session) => session,
            Kind::Away(writer) => return Ok(writer.end(&end).await?.seq),
        };
        let mut backoff = Backoff::new(WAITS.0, WAITS.1);
        loop {
            match session.end(end.clone()).await {
                Err(error) if error.is_retryable() => sleep(backoff.next(rand::random())).await,
                ended => return Ok(ended?.seq),
            }
        }
    }
}
