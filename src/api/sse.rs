//! `GET /api/events/sse`: events as they come.
//!
//! Each has its offset as its id, so that a reader that was cut off goes on behind it by `Last-Event-ID`; the
//! first message is such an id alone, for the reader that is cut off before any event came.
//! Where events that it has not seen were trimmed in the meantime, an event `gap` says so first.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::events::Row;
use super::filter::{Begin, Filter};
use super::follow::Follower;
use super::{Error, Shared};
use crate::event::{Invalid, Offset};

/// A comment is sent when nothing else was for so long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After an error of the store a follower looks again so much later.
const AGAIN: Duration = Duration::from_millis(500);

struct Reader {
    follower: Follower,
    /// What is sent before the first event.
    first: VecDeque<Event>,
    shutdown: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

pub(super) async fn follow(
    State(shared): State<Shared>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let filter = Filter::parse(&query.unwrap_or_default())?;
    if filter.newest_first || filter.after.is_some() {
        return Err(Invalid::new(
            "query",
            "",
            "neither `order` nor `after`: a follower goes forward, `from` a place",
        )
        .into());
    }
    let range = shared.store.range();
    let from = match last_event_id(&headers)? {
        Some(id) => id.saturating_add(1),
        None => match filter.from {
            Some(Begin::Offset(offset)) => offset,
            Some(Begin::Start) => range.start,
            Some(Begin::Now) | None => range.end,
        },
    };
    if from > range.end {
        // Another log than the one that it comes from, as after a restore: better told than waited for.
        let expected = format!("a place in this log, which ends at {}", range.end);
        return Err(Invalid::new("from", &from.to_string(), expected).into());
    }
    let mut query = filter.query(&shared.prefixes)?;
    query.after = from.max(range.start).checked_sub(1);
    let place = query.after.map(|last| Event::default().id(last.to_string()));
    let gap = (from < range.start).then(|| gap(from, range.start));
    let reader = Reader {
        follower: Follower::new(shared.store.clone(), query),
        first: place.into_iter().chain(gap).collect(),
        shutdown: shared.shutdown.clone(),
        _seat: seat(&shared.followers)?,
    };
    let stream = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        loop {
            let next = tokio::select! {
                next = self.follower.next() => next,
                () = self.shutdown.cancelled() => return None,
            };
            match next {
                Ok(logged) => {
                    let row = Row::new(logged?);
                    return Some(Event::default().id(row.logged.offset.to_string()).data(row.json));
                }
                Err(error) => {
                    tracing::warn!("a follower waits for the store: {error}");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

fn seat(followers: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    let seat = Arc::clone(followers).try_acquire_owned();
    seat.map_err(|_| Error::new(StatusCode::SERVICE_UNAVAILABLE, "there are as many followers as there may be"))
}

fn gap(from: Offset, first: Offset) -> Event {
    Event::default().event("gap").data(serde_json::json!({ "from": from, "until": first }).to_string())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Offset>, Invalid> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let text = id.to_str().unwrap_or_default();
    text.parse()
        .map(Some)
        .map_err(|_| Invalid::new("Last-Event-ID", text, "the id of an event that this stream sent"))
}
