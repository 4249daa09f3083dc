//! `GET /api/events` and `GET /api/events/{id}`.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::filter::{DEFAULT_LIMIT, Filter};
use super::{Error, Shared};
use crate::event::{Invalid, Logged, Offset};
use crate::store::{self, Store};

/// How many pages of the store one page of the API may be made of, where the events asked for are rare.
const MAX_READS: usize = 16;

/// An event, and its JSON as the API gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The event with its place.
    pub logged: Logged,
    /// Its JSON: as it is published, with its offset before.
    pub json: String,
}

impl Row {
    /// Writes the JSON.
    pub fn new(logged: Logged) -> Self {
        let published = logged.event.published();
        let json = format!("{{\"offset\":{},{}", logged.offset, &published[1..]);
        Self { logged, json }
    }

    /// The event as it is published, letter by letter, also where it came from a daemon.
    pub fn published(&self) -> String {
        // Nothing but the offset stands before it.
        let rest = self.json.split_once(',').map_or("", |(_, rest)| rest);
        format!("{{{rest}")
    }
}

/// A page of events.
#[derive(Debug, Default)]
pub struct Page {
    /// The events.
    pub events: Vec<Row>,
    /// What to give as `after` for the next page; nothing when this is the last.
    pub next: Option<Offset>,
}

/// Reads a page: full, or the last one, or as far as one call may look.
pub async fn page(store: &Store, filter: &Filter, prefixes: &[String]) -> Result<Page, store::Error> {
    let mut query = filter.query(prefixes)?;
    let wanted = filter.limit.unwrap_or(DEFAULT_LIMIT);
    let mut page = Page::default();
    for _ in 0..MAX_READS {
        query.limit = wanted - page.events.len();
        let read = store.query(&query)?;
        page.events.extend(read.events.into_iter().map(Row::new));
        page.next = read.next;
        query.after = read.next;
        if page.next.is_none() || page.events.len() >= wanted {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(page)
}

pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Result<Response, Error> {
    let filter = Filter::parse(&query.unwrap_or_default())?;
    if filter.from.is_some() {
        return Err(Invalid::new(
            "from",
            "",
            "it only where events are followed; a page goes on `after` an offset",
        )
        .into());
    }
    let page = page(&shared.store, &filter, &shared.prefixes).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(link) = page.next.and_then(|next| link(&filter, next)) {
        headers.insert(header::LINK, link);
    }
    let events: Vec<&str> = page.events.iter().map(|row| row.json.as_str()).collect();
    Ok((headers, format!("[{}]", events.join(","))).into_response())
}

fn link(filter: &Filter, next: Offset) -> Option<HeaderValue> {
    let query = Filter { after: Some(next), ..filter.clone() }.to_query();
    HeaderValue::try_from(format!("</api/events?{query}>; rel=\"next\"")).ok()
}

pub(super) async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Error> {
    let id = Uuid::try_parse(&id).map_err(|_| Invalid::new("id", &id, "a UUID"))?;
    let found = shared.store.event(id)?;
    let logged =
        found.ok_or_else(|| Error::field(StatusCode::NOT_FOUND, "id", format!("there is no event {id}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], Row::new(logged).json).into_response())
}
