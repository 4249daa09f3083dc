//! `POST /api/sessions/{id}/events`: one event, several, or as many as there are.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::{self, Content};
use super::lines;
use crate::api::{Error, Inner, Shared};
use crate::event::{Draft, Input, Invalid, MAX_EVENT_BYTES, SenderId, StreamId};
use crate::session;
use crate::store::{MAX_BATCH_EVENTS, Receipt};

/// What became of one event.
pub(super) type Fate = Result<Receipt, Error>;

/// The session that is written to, and what its events without an id are known by.
#[derive(Debug, Clone)]
pub(super) struct To {
    pub(super) session: StreamId,
    pub(super) key: Option<String>,
}

pub(in crate::api) async fn emit(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let to = To { session: StreamId::new(id)?, key: super::key(&headers)? };
    let content = body::content(&headers)?;
    if shared.store.head(&to.session)?.is_none() {
        return Err(session::Error::NotFound(to.session).into());
    }
    if content == Content::Lines {
        return lines::emit(&shared, to, body).await;
    }
    let text = body::text(&headers, body).await?;
    match text.trim_ascii_start().starts_with('[') {
        true => several(&shared, &to, &text).await,
        false => one(&shared, &to, &text).await,
    }
}

async fn one(shared: &Inner, to: &To, text: &str) -> Result<Response, Error> {
    let draft = to.draft(text, 1)?;
    take(shared, to, 1)?;
    let fate = append(shared, to, vec![Ok(draft)]).await.pop();
    let receipt = fate.unwrap_or_else(|| Err(session::Error::NotFound(to.session.clone()).into()))?;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(receipt)).into_response())
}

async fn several(shared: &Inner, to: &To, text: &str) -> Result<Response, Error> {
    let array = |error: serde_json::Error| Invalid::new("body", "", format!("an array of events ({error})"));
    let texts: Vec<&RawValue> = serde_json::from_str(text).map_err(array)?;
    if texts.len() > MAX_BATCH_EVENTS {
        let message =
            format!("expected at most {MAX_BATCH_EVENTS} events in an array; JSON lines have no such limit");
        return Err(Error::field(StatusCode::PAYLOAD_TOO_LARGE, "body", message));
    }
    take(shared, to, texts.len())?;
    let drafts = (1..).zip(texts).map(|(number, text)| to.draft(text.get(), number)).collect();
    let fates = append(shared, to, drafts).await;
    // With nothing taken, for a reason that passes, it is the whole request that is sent again.
    if let Some(Err(error)) = fates.first().filter(|_| fates.iter().all(is_retryable)) {
        return Err(error.clone());
    }
    let answers: Vec<Value> = fates.iter().map(|fate| answer(None, fate)).collect();
    Ok(Json(answers).into_response())
}

/// Counts events against the rate of their session.
pub(super) fn take(shared: &Inner, to: &To, events: usize) -> Result<(), Error> {
    let told = |wait| Error::too_fast(wait, "more events a second than one session may send (session.max_rate)");
    shared.rates.take(&to.session, events).map_err(told)
}

impl To {
    /// The draft of an event of a request, by its number there, from 1.
    pub(super) fn draft(&self, text: &str, number: u64) -> Result<Draft, Error> {
        let fallback = self.key.as_ref().map(|key| SenderId::new(format!("{key}/{number}"))).transpose()?;
        Input::parse(text).and_then(|input| input.into_draft(&self.session, fallback)).map_err(|invalid| {
            let too_large = text.len() > MAX_EVENT_BYTES;
            let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            Error::field(status, invalid.field, invalid.to_string())
        })
    }
}

/// Stores the events of a request that are some, and tells in their order what became of each.
pub(super) async fn append(shared: &Inner, to: &To, drafts: Vec<Result<Draft, Error>>) -> Vec<Fate> {
    let (mut good, mut fates) = (Vec::new(), Vec::with_capacity(drafts.len()));
    for draft in drafts {
        fates.push(draft.map(|draft| good.push(draft)));
    }
    let mut answers = shared.sessions.append(&to.session, good).await.into_iter();
    let mut next = |()| answers.next().map_or_else(|| Err(lost()), |answer| Ok(answer?));
    fates.into_iter().map(|fate| fate.and_then(&mut next)).collect()
}

fn lost() -> Error {
    Error::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "it is unknown whether it was stored; send it again with the same id",
    )
}

/// Whether it was not stored, or not known to be, and may be with the next try.
pub(super) fn is_retryable(fate: &Fate) -> bool {
    fate.as_ref().is_err_and(|error| error.status == StatusCode::SERVICE_UNAVAILABLE)
}

/// What became of an event, as JSON; with the number of its line where it had one.
pub(super) fn answer(line: Option<u64>, fate: &Fate) -> Value {
    let mut answer = match fate {
        Ok(receipt) => json!(receipt),
        Err(error) => {
            let mut told = error.json();
            told["status"] = error.status.as_u16().into();
            json!({ "error": told })
        }
    };
    if let Some(line) = line {
        answer["line"] = line.into();
    }
    answer
}

/// What is answered to a line that is stored.
pub(super) fn stored(line: u64, seq: u64, duplicate: bool) -> String {
    let duplicate = if duplicate { ",\"duplicate\":true" } else { "" };
    format!("{{\"line\":{line},\"seq\":{seq}{duplicate}}}\n")
}
