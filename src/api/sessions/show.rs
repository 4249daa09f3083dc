//! `GET /api/sessions/{id}`: one session, its state and its rates.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::{Duration, Instant};

use super::events::seq;
use super::{find, wants_stream};
use crate::api::{Error, Shared, sse};
use crate::event::{Invalid, StreamId, Timestamp};
use crate::session::follow::Follow;
use crate::session::replay::replay;
use crate::state::session::{self, Rates, Session};
use crate::store::{self, SessionInfo, Store};

/// A state that changes is told again after so long at the soonest.
const PAUSE: Duration = Duration::from_millis(100);
/// Of its time one that tells a large state spends at most one part in so many with it.
const SHARE: u32 = 10;

/// A session as a whole.
#[derive(Serialize)]
struct Shown<'a> {
    session: &'a SessionInfo,
    state: &'a Session,
    rates: Rates,
}

impl Shown<'_> {
    fn json(session: &SessionInfo, state: &Session, now: Timestamp) -> Result<String, store::Error> {
        let shown = Shown { session, state, rates: session::rates(state, now) };
        serde_json::to_string(&shown).map_err(|error| store::Error::Corrupt(error.to_string()))
    }
}

/// The time to which a session is told: now; up to an earlier event, the time of that, as nothing is before it.
pub fn present(session: &SessionInfo, until_seq: Option<u64>) -> Timestamp {
    let earlier = until_seq.filter(|until| *until < session.events);
    earlier.map_or_else(Timestamp::now, |_| Timestamp::from_millis(0))
}

pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    Path(wanted): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let until = until_seq(&query.unwrap_or_default())?;
    let session = find(&shared.store, &wanted)?;
    if !wants_stream(&headers) {
        let state = fold(&shared.store, &session.id, until).await?;
        return Ok(json(Shown::json(&session, &state, present(&session, until))?));
    }
    if until.is_some() {
        return Err(Invalid::new("until_seq", "", "it only where nothing is followed").into());
    }
    follow(&shared, &headers, session).await
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn until_seq(query: &str) -> Result<Option<u64>, Invalid> {
    let mut until = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "until_seq" => until = Some(seq("until_seq", &value)?),
            _ => return Err(Invalid::new("query", &name, "the parameter until_seq")),
        }
    }
    Ok(until)
}

/// The state of a session, apart from those that answer: a long one takes a second.
async fn fold(store: &Store, id: &StreamId, until: Option<u64>) -> Result<Session, Error> {
    let (store, id) = (store.clone(), id.clone());
    let folded = tokio::task::spawn_blocking(move || replay(&store, &id, until)).await;
    let failed = |error: tokio::task::JoinError| Error::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    Ok(folded.map_err(failed)??)
}

/// The state as it is, then whenever it has changed; the id of a message is the seq that it stands at. The stream
/// ends with the session; who comes again then is answered 204.
async fn follow(shared: &Shared, headers: &HeaderMap, session: SessionInfo) -> Result<Response, Error> {
    if session.end.is_some() && sse::last_event_id(headers)? == Some(session.events) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let state = fold(&shared.store, &session.id, None).await?;
    let follow = shared.tail.follow(session.id.clone(), state.seq() + 1);
    let (store, id) = (shared.store.clone(), session.id);
    sse::answer(shared, None, States { store, id, follow, state, changed: true, next: Instant::now() })
}

/// The states of a session.
struct States {
    store: Store,
    id: StreamId,
    follow: Follow,
    state: Session,
    /// Whether it was not told since it changed.
    changed: bool,
    /// When it may be told again.
    next: Instant,
}

impl sse::Source for States {
    async fn next(&mut self) -> Result<Option<Event>, store::Error> {
        if !self.changed {
            let Some(logged) = self.follow.next().await? else { return Ok(None) };
            self.state.apply(&logged.event);
            self.changed = true;
        }
        tokio::time::sleep_until(self.next).await;
        while let Some(logged) = self.follow.try_next()? {
            self.state.apply(&logged.event);
            tokio::task::consume_budget().await;
        }
        let Some(session) = self.store.session(&self.id)? else { return Ok(None) };
        let began = Instant::now();
        let text = Shown::json(&session, &self.state, Timestamp::now())?;
        self.changed = false;
        self.next = Instant::now() + PAUSE.max(began.elapsed() * (SHARE - 1));
        Ok(Some(Event::default().id(self.state.seq().to_string()).data(text)))
    }
}
