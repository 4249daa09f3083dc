//! Which session: an id, the beginning of one, or `latest`.

use axum::http::StatusCode;

use crate::api::Error;
use crate::event::StreamId;
use crate::store::{SessionInfo, Store};

/// So many of the ids that begin alike are told.
const TOLD: usize = 5;

/// The session that is meant by its id, by the beginning of its id where no other begins so, or by `latest`.
///
/// # Errors
/// 404 where there is none; 409 where several begin so, some of which are named.
pub fn find(store: &Store, wanted: &str) -> Result<SessionInfo, Error> {
    let none = || Error::field(StatusCode::NOT_FOUND, "session", format!("there is no session {wanted}"));
    if let Ok(id) = StreamId::new(wanted)
        && let Some(session) = store.session(&id)?
    {
        return Ok(session);
    }
    if wanted == "latest" {
        return store.latest_session()?.ok_or_else(none);
    }
    let found = store.find_sessions(wanted)?;
    match found.as_slice() {
        [] => Err(none()),
        [id] => store.session(id)?.ok_or_else(none),
        several => Err(Error::field(StatusCode::CONFLICT, "session", ambiguous(wanted, several))),
    }
}

fn ambiguous(wanted: &str, several: &[StreamId]) -> String {
    let told: Vec<&str> = several.iter().take(TOLD).map(StreamId::as_str).collect();
    let more = if several.len() > TOLD { ", …" } else { "" };
    format!("several sessions begin with {wanted}: {}{more}", told.join(", "))
}
