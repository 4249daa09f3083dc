//! `GET /api/streams/{id}`: a stream of any class as a whole: from which seq on it is still there, where its next
//! event goes, and its status. 404 for one that never was, or that was a session and is pruned.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::{Error, Shared};
use crate::event::StreamId;
use crate::store::StreamInfo;

pub(super) async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<StreamInfo>, Error> {
    let id = StreamId::new(id)?;
    let found = shared.store.head(&id)?;
    found.map(Json).ok_or_else(|| Error::field(StatusCode::NOT_FOUND, "id", format!("there is no stream {id}")))
}
