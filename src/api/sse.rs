//! `GET /api/events/sse`: events as they come.
//!
//! What all streams of server-sent events have in common stands here too.
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
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::events::Row;
use super::filter::{Begin, Filter};
use super::follow::Follower;
use super::{Error, Shared};
use crate::event::{Invalid, Offset};
use crate::store;

/// A comment is sent when nothing else was for so long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After an error of the store a follower looks again so much later.
const AGAIN: Duration = Duration::from_millis(500);

/// What a stream of server-sent events is read from.
pub(super) trait Source: Send + 'static {
    /// The next message; `None` ends the stream. After an error it is asked again.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, store::Error>> + Send;
}

/// One answer that is such a stream.
struct Answer<S> {
    source: S,
    /// What is sent before anything that the source gives.
    first: VecDeque<Event>,
    shutdown: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

/// Answers with what `first` has and then what the source gives, until it ends or the API does.
///
/// # Errors
/// There are as many followers as there may be.
pub(super) fn answer(
    shared: &Shared,
    first: impl IntoIterator<Item = Event>,
    source: impl Source,
) -> Result<Response, Error> {
    let answer = Answer {
        source,
        first: first.into_iter().collect(),
        shutdown: shared.shutdown.clone(),
        _seat: seat(&shared.followers)?,
    };
    let stream = stream::unfold(answer, |mut answer| async move {
        let event = answer.next().await?;
        Some((Ok::<Event, Infallible>(event), answer))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

pub(super) async fn follow(
    State(shared): State<Shared>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
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
    let follower = Follower::new(shared.store.clone(), query);
    answer(&shared, place.into_iter().chain(gap), follower)
}

impl Source for Follower {
    async fn next(&mut self) -> Result<Option<Event>, store::Error> {
        let row = Follower::next(self).await?.map(Row::new);
        Ok(row.map(|row| Event::default().id(row.logged.offset.to_string()).data(row.json)))
    }
}

impl<S: Source> Answer<S> {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        loop {
            let next = tokio::select! {
                next = self.source.next() => next,
                () = self.shutdown.cancelled() => return None,
            };
            match next {
                Ok(event) => return event,
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

/// Where a reader that was cut off goes on: the id of the last message that it has seen.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Invalid> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let text = id.to_str().unwrap_or_default();
    text.parse()
        .map(Some)
        .map_err(|_| Invalid::new("Last-Event-ID", text, "the id of an event that this stream sent"))
}
