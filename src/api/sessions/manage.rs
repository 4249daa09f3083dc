//! Beginning, ending and pruning sessions, and telling that a writer is there.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body;
use crate::api::{Error, Shared};
use crate::event::{Data, Invalid, MAX_EVENT_BYTES, StreamId, Timestamp, Traceparent, input};
use crate::session::{End, Start};
use crate::store::{Receipt, SessionInfo};

/// The body by which a session is begun.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    id: Option<String>,
    traceparent: Option<String>,
    ts: Option<String>,
    metadata: Option<Box<RawValue>>,
}

/// What was pruned, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prunable {
    /// The sessions, the oldest first.
    pub sessions: Vec<SessionInfo>,
}

pub(in crate::api) async fn begin(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let begin: Begin = body::read(&headers, body).await?;
    let begun = shared.sessions.begin(start(begin, &headers)?).await?;
    let status = if begun.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let place = [(header::LOCATION, format!("/api/sessions/{}", begun.id))];
    Ok((status, place, Json(begun)).into_response())
}

fn start(begin: Begin, headers: &HeaderMap) -> Result<Start, Error> {
    let named = |field| move |invalid: Invalid| Invalid { field, ..invalid };
    let metadata = match begin.metadata {
        Some(metadata) if metadata.get().len() > MAX_EVENT_BYTES => {
            let message = format!("expected at most {MAX_EVENT_BYTES} bytes");
            return Err(Error::field(StatusCode::PAYLOAD_TOO_LARGE, "metadata", message));
        }
        Some(metadata) => input::data(&metadata).map_err(named("metadata"))?,
        None => Data::parse("{}".into())?,
    };
    // W3C: a header that is none is passed over.
    let header = || headers.get("traceparent")?.to_str().ok()?.parse().ok();
    let traceparent: Option<Traceparent> = begin.traceparent.map(|text| text.parse()).transpose()?;
    Ok(Start {
        id: begin.id.map(StreamId::new).transpose().map_err(named("id"))?,
        metadata,
        traceparent: traceparent.or_else(header),
        ts: begin.ts.map(|ts| ts.parse::<Timestamp>()).transpose()?,
        idempotency_key: super::key(headers)?,
    })
}

pub(in crate::api) async fn heartbeat(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    shared.sessions.heartbeat(&StreamId::new(id)?)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::api) async fn end(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Error> {
    let end: End = body::read(&headers, body).await?;
    Ok(Json(shared.sessions.end(&StreamId::new(id)?, end).await?))
}

pub(in crate::api) async fn close(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Error> {
    let end: End = body::read(&headers, body).await?;
    Ok(Json(shared.sessions.close(&StreamId::new(id)?, end).await?))
}

/// `POST /api/sessions/{id}`, of which there is `prune` alone: a session may have that name.
pub(in crate::api) async fn act(
    State(shared): State<Shared>,
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Prunable>, Error> {
    if what != "prune" {
        return Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method"));
    }
    let dry_run = dry_run(&query.unwrap_or_default())?;
    let sessions = shared.store.prunable(Timestamp::now())?;
    if !dry_run {
        shared.ingest.prune().await.map_err(crate::session::Error::from)?;
    }
    Ok(Json(Prunable { sessions }))
}

fn dry_run(query: &str) -> Result<bool, Invalid> {
    let mut dry_run = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        dry_run = match (&*name, &*value) {
            ("dry_run", "true") => true,
            ("dry_run", "false") => false,
            ("dry_run", other) => return Err(Invalid::new("dry_run", other, "true or false")),
            _ => return Err(Invalid::new("query", &name, "the parameter dry_run")),
        };
    }
    Ok(dry_run)
}
