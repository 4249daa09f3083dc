//! `/api/sinks`: how far each sink is, how it fares, and having everything sent again.
//!
//! | route | what |
//! |---|---|
//! | `GET /api/sinks` | how each fares |
//! | `POST /api/sinks/{name}/reset?from=` | sends again from `start`, an offset or a time on; 404 where the name means no sink that can be reset |

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::{Error, Shared};
use crate::deliver::{self, Reset, Status};
use crate::store::Store;

pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<Vec<Status>>, Error> {
    let all: Result<Vec<Status>, _> = shared.sinks.iter().map(|sink| sink.status()).collect();
    Ok(Json(all?))
}

/// The query of a reset.
#[derive(Debug, Deserialize)]
pub(super) struct Whence {
    from: Option<String>,
}

pub(super) async fn reset(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(Whence { from }): Query<Whence>,
) -> Result<Json<Vec<Reset>>, Error> {
    let from = from.unwrap_or_default().parse()?;
    some(deliver::reset_running(&shared.sinks, &name, from)?, &name).map(Json)
}

/// The same on a store that no daemon holds.
pub fn reset_at_rest(store: &Store, name: &str, from: deliver::From) -> Result<Vec<Reset>, Error> {
    some(deliver::reset(store, name, from)?, name)
}

fn some(done: Vec<Reset>, name: &str) -> Result<Vec<Reset>, Error> {
    if done.is_empty() {
        let message =
            format!("`{name}` is no sink that can be reset; those of OTLP logs and spans and of Elasticsearch can");
        return Err(Error::new(StatusCode::NOT_FOUND, message));
    }
    Ok(done)
}
