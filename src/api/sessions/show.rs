//! `GET /api/sessions/{id}`: one session.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::find;
use crate::api::{Error, Shared};

pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    Path(wanted): Path<String>,
) -> Result<Response, Error> {
    let session = find(&shared.store, &wanted)?;
    Ok(axum::Json(serde_json::json!({ "session": session })).into_response())
}
