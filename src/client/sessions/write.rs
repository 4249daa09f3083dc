//! The requests that write to a session, each once: who repeats them is above.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde::Deserialize;
use uuid::Uuid;

use super::super::{ANSWER, Client, Error, Failed, Reader};
use crate::api;
use crate::api::sessions::manage::Prunable;
use crate::config;
use crate::event::{Offset, StreamId, Timestamp};
use crate::ingest::Ingest;
use crate::session::{End, Sessions};
use crate::source::spool::Start;
use crate::store::{SessionInfo, Store};

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Started {
    /// Its id.
    pub id: StreamId,
    /// The trace context for what it calls.
    pub traceparent: String,
}

/// What is answered for an event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Its place in the session.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// Its place in the log.
    pub offset: Offset,
    /// Whether it was there already.
    pub duplicate: bool,
}

/// What is answered for one of several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place among the lines that were sent, from 1.
    pub number: u64,
    /// Its seq, or what is wrong with it.
    pub answer: Result<u64, String>,
    /// Whether it must be sent again, and all that comes behind it.
    pub later: bool,
}

impl Client {
    /// Begins a session. Sent again with the same id it gets the first answer.
    ///
    /// # Errors
    /// As every request: nobody answers, or the daemon says no.
    pub async fn start_session(&self, start: &Start) -> Result<Started, Error> {
        self.answer(self.request(Method::POST, "/api/sessions").json(start)).await
    }

    /// Sends one event, as JSON; answered when it is durable.
    ///
    /// # Errors
    /// As every request; the status is 409 where the session has ended.
    pub async fn send_event(&self, session: &StreamId, event: &str) -> Result<Answer, Error> {
        let request = self.request(Method::POST, &format!("/api/sessions/{session}/events"));
        self.answer(request.header(header::CONTENT_TYPE, "application/json").body(event.to_owned())).await
    }

    /// Sends events, one JSON object a line; answered in their order when all are durable, with fewer answers than
    /// lines where the answer broke off. Sent again with the same `key` and the same lines, nothing is stored twice.
    ///
    /// # Errors
    /// As every request: then any number of them may be stored.
    pub async fn send_lines(&self, session: &StreamId, lines: &[String], key: Uuid) -> Result<Vec<Line>, Error> {
        let body = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        let request = self.request(Method::POST, &format!("/api/sessions/{session}/events")).body(body);
        let request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
        let request = request.header("idempotency-key", key.to_string()).timeout(ANSWER);
        let response = self.accept(request.send().await.map_err(|error| self.unreachable(&error))?).await?;
        let answers = self.bytes(response).await?;
        let answers = serde_json::Deserializer::from_slice(&answers).into_iter::<Told>();
        // One that broke off is as good as none.
        let whole = answers.take_while(|answer| !answer.as_ref().is_err_and(serde_json::Error::is_eof));
        whole.map(|answer| Ok(answer.map_err(|error| self.malformed(error))?.into())).collect()
    }

    /// Says that the writer of a session is still there.
    ///
    /// # Errors
    /// As every request.
    pub async fn heartbeat(&self, session: &StreamId) -> Result<(), Error> {
        self.answer(self.request(Method::POST, &format!("/api/sessions/{session}/heartbeat"))).await
    }

    /// Ends a session. It may be sent again.
    ///
    /// # Errors
    /// As every request.
    pub async fn end_session(&self, session: &StreamId, end: &End) -> Result<Answer, Error> {
        self.answer(self.request(Method::POST, &format!("/api/sessions/{session}/end")).json(end)).await
    }

    /// Ends a session that nobody will resume, in the name of a person.
    ///
    /// # Errors
    /// As every request.
    pub async fn close_session(&self, session: &StreamId, end: &End) -> Result<Answer, Error> {
        self.answer(self.request(Method::POST, &format!("/api/sessions/{session}/close")).json(end)).await
    }

    /// Removes the sessions that have been kept long enough, or with `dry_run` only tells which.
    ///
    /// # Errors
    /// As every request.
    pub async fn prune_sessions(&self, dry_run: bool) -> Result<Vec<SessionInfo>, Error> {
        let path = format!("/api/sessions/prune?dry_run={dry_run}");
        let Prunable { sessions } = self.send(Method::POST, &path).await?;
        Ok(sessions)
    }

    async fn answer<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let sent = request.timeout(ANSWER).send().await.map_err(|error| self.unreachable(&error))?;
        self.read(self.accept(sent).await?).await
    }
}

impl Reader {
    /// Ends a session in the name of a person, at the daemon or in the store.
    ///
    /// # Errors
    /// As [`Client::close_session`].
    pub async fn close_session(&self, session: &StreamId, end: End) -> Result<(), Failed> {
        match self {
            Self::Daemon(client) => Ok(client.close_session(session, &end).await.map(|_| ())?),
            Self::Store { store, .. } => {
                let close = async |ingest: Ingest| {
                    let (sessions, _) = Sessions::start(store.clone(), ingest, config::Session::default())?;
                    Ok(sessions.close(session, end).await.map(|_| ()).map_err(api::Error::from)?)
                };
                writing(store, close).await
            }
        }
    }

    /// Removes sessions, as [`Client::prune_sessions`] does, at the daemon or in the store.
    ///
    /// # Errors
    /// As [`Client::prune_sessions`].
    pub async fn prune_sessions(&self, dry_run: bool) -> Result<Vec<SessionInfo>, Failed> {
        match self {
            Self::Daemon(client) => Ok(client.prune_sessions(dry_run).await?),
            Self::Store { store, .. } => {
                let sessions = store.prunable(Timestamp::now())?;
                if !dry_run {
                    let prune = async |ingest: Ingest| {
                        let pruned = ingest.prune().await.map(|_| ()).map_err(crate::session::Error::from);
                        Ok(pruned.map_err(api::Error::from)?)
                    };
                    writing(store, prune).await?;
                }
                Ok(sessions)
            }
        }
    }
}

/// Writes to a store that no daemon holds, and waits until that is done with.
async fn writing(store: &Store, write: impl AsyncFnOnce(Ingest) -> Result<(), Failed>) -> Result<(), Failed> {
    let (ingest, ingestor) = Ingest::start(store)?;
    let written = write(ingest).await;
    let drained = tokio::task::spawn_blocking(move || ingestor.drain()).await;
    let problem = drained.unwrap_or_else(|error| Err(error.to_string())).err();
    match problem {
        Some(problem) if written.is_ok() => Err(crate::store::Error::Io(problem).into()),
        _ => written,
    }
}

/// A line of the answer to lines.
#[derive(Deserialize)]
struct Told {
    line: u64,
    seq: Option<u64>,
    error: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    status: u16,
}

impl From<Told> for Line {
    fn from(Told { line, seq, error }: Told) -> Self {
        let later = error.as_ref().is_some_and(|error| error.status == StatusCode::SERVICE_UNAVAILABLE.as_u16());
        let wrong = error.map_or_else(|| "no answer".to_owned(), |error| error.message);
        Self { number: line, answer: seq.ok_or(wrong), later }
    }
}
