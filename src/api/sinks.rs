//! `GET /api/sinks`: how far each sink is, and how it fares.

use axum::Json;
use axum::extract::State;

use super::{Error, Shared};
use crate::deliver::Status;

pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<Vec<Status>>, Error> {
    let all: Result<Vec<Status>, _> = shared.sinks.iter().map(|sink| sink.status()).collect();
    Ok(Json(all?))
}
