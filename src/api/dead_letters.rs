//! `/api/dead-letters`: what was given up on, for a person to retry or discard.
//!
//! | route | what |
//! |---|---|
//! | `GET /api/dead-letters?kind=&sink=&limit=&after=` | a JSON array, the oldest first; the next page in `Link` |
//! | `GET /api/dead-letters/stats` | how many, by kind and sink |
//! | `GET /api/dead-letters/{id}` | one |
//! | `POST /api/dead-letters/{id}/retry` | asks for one to be sent again; 409 for a late event |
//! | `POST /api/dead-letters/retry?kind=&sink=` | asks for all of them |
//! | `DELETE /api/dead-letters/{id}` | throws one away; its event stays in the log |

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Error, Shared};
use crate::dead_letter::{self, Count, DeadLetter, Filter, Kind, MAX_PAGE};
use crate::event::{Invalid, Offset, Timestamp};
use crate::store::Store;

/// The letters in a page, where nothing else is asked for.
const DEFAULT_LIMIT: usize = 100;

/// A dead letter as others read it: its event as it is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Its id.
    pub id: Uuid,
    /// What was given up on.
    pub kind: Kind,
    /// The sink that it was for; a late event was for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What the destination said, or why it was late.
    pub reason: String,
    /// When it was given up, the last time.
    pub time: Timestamp,
    /// How often it was refused.
    pub attempts: u32,
    /// Whether a retry was asked for that did not happen yet.
    pub retrying: bool,
    /// The event's place in the log; a late event has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// The event.
    pub event: Box<RawValue>,
}

impl Letter {
    fn new(letter: DeadLetter) -> Result<Self, Error> {
        let DeadLetter { id, kind, sink, offset, event, reason, time, attempts, retrying, sent: _ } = letter;
        let event = RawValue::from_string(event.published());
        let event = event.map_err(|error| Error::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(Self { id, kind, sink, reason, time, attempts, retrying, offset, event })
    }
}

/// How many letters something was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// So many.
    pub letters: u64,
}

/// A page of letters, and where the next one begins.
pub fn page(
    store: &Store,
    filter: &Filter,
    after: Option<Uuid>,
    limit: usize,
) -> Result<(Vec<Letter>, Option<Uuid>), Error> {
    let page = dead_letter::list(store, filter, after, limit)?;
    let letters: Result<Vec<Letter>, Error> = page.letters.into_iter().map(Letter::new).collect();
    Ok((letters?, page.next))
}

/// One letter.
pub fn one(store: &Store, id: Uuid) -> Result<Letter, Error> {
    Letter::new(dead_letter::show(store, id)?)
}

/// The parameters that choose letters, as the query part of a URL.
pub fn to_query(filter: &Filter, after: Option<Uuid>, limit: Option<usize>) -> String {
    let kind = filter.kind.map(|kind| kind.name().to_owned());
    let pairs = [
        ("kind", kind),
        ("sink", filter.sink.clone()),
        ("after", after.map(|id| id.to_string())),
        ("limit", limit.map(|limit| limit.to_string())),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[derive(Default)]
struct Parameters {
    filter: Filter,
    after: Option<Uuid>,
    limit: Option<usize>,
}

fn parameters(query: Option<String>) -> Result<Parameters, Invalid> {
    let mut parameters = Parameters::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "kind" => {
                let kind = value.parse().map_err(|_| Invalid::new("kind", &value, "delivery or late"));
                parameters.filter.kind = Some(kind?);
            }
            "sink" => parameters.filter.sink = Some(value.into_owned()),
            "after" => parameters.after = Some(id("after", &value)?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
                let expected = format!("a whole number from 1 to {MAX_PAGE}");
                parameters.limit = Some(limit.ok_or_else(|| Invalid::new("limit", &value, expected))?);
            }
            _ => return Err(Invalid::new("query", &name, "the parameters kind, sink, after or limit")),
        }
    }
    Ok(parameters)
}

fn id(field: &'static str, text: &str) -> Result<Uuid, Invalid> {
    Uuid::try_parse(text).map_err(|_| Invalid::new(field, text, "a UUID"))
}

pub(super) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<(HeaderMap, Json<Vec<Letter>>), Error> {
    let Parameters { filter, after, limit } = parameters(query)?;
    let (letters, next) = page(&shared.store, &filter, after, limit.unwrap_or(DEFAULT_LIMIT))?;
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = format!("</api/dead-letters?{}>; rel=\"next\"", to_query(&filter, Some(next), limit));
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (header::LINK, link)));
    }
    Ok((headers, Json(letters)))
}

pub(super) async fn stats(State(shared): State<Shared>) -> Result<Json<Vec<Count>>, Error> {
    Ok(Json(dead_letter::stats(&shared.store)?))
}

pub(super) async fn show(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<Letter>, Error> {
    Ok(Json(one(&shared.store, id("id", &text)?)?))
}

pub(super) async fn retry(
    State(shared): State<Shared>,
    Path(text): Path<String>,
) -> Result<(StatusCode, Json<Done>), Error> {
    dead_letter::retry(&shared.store, id("id", &text)?)?;
    shared.sinks.iter().for_each(|sink| sink.nudge());
    Ok((StatusCode::ACCEPTED, Json(Done { letters: 1 })))
}

pub(super) async fn retry_all(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<Done>), Error> {
    let letters = dead_letter::retry_all(&shared.store, &parameters(query)?.filter)?;
    shared.sinks.iter().for_each(|sink| sink.nudge());
    Ok((StatusCode::ACCEPTED, Json(Done { letters })))
}

pub(super) async fn discard(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<Done>, Error> {
    dead_letter::discard(&shared.store, id("id", &text)?)?;
    Ok(Json(Done { letters: 1 }))
}

impl From<dead_letter::Error> for Error {
    fn from(error: dead_letter::Error) -> Self {
        match error {
            dead_letter::Error::Late(_) => Self::field(StatusCode::CONFLICT, "id", error.to_string()),
            dead_letter::Error::NotFound(_) => Self::field(StatusCode::NOT_FOUND, "id", error.to_string()),
            dead_letter::Error::Store(error) => error.into(),
        }
    }
}
