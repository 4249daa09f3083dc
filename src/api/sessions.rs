//! `/api/sessions`: recording sessions from any language, and reading them.
//!
//! | route | what |
//! |---|---|
//! | `POST /api/sessions` | begins one: `{"id"?, "traceparent"?, "ts"?, "metadata"?}`; 201 with its id and traceparent, 200 where it is a repetition |
//! | `POST /api/sessions/{id}/events` | one event (201 with its receipt), an array (200 with what became of each), or JSON lines, answered line by line |
//! | `POST /api/sessions/{id}/heartbeat` | tells that the writer is there: 204 |
//! | `POST /api/sessions/{id}/end`, `/close` | ends it: `{"status", "exit_code"?, "error"?, "counts"?}`; `close` is for a person |
//! | `POST /api/sessions/prune?dry_run=` | takes what is too old or too much; answers which sessions |
//! | `GET /api/sessions?status=&since=&until=&command=&limit=&after=` | a JSON array, the newest first; the next page in `Link` |
//! | `GET /api/sessions/{id}?until_seq=` | one, with its state and its rates |
//! | `GET /api/sessions/{id}/events?from_seq=&limit=` | its events; the next page in `Link` |
//!
//! Each `GET` follows where `Accept: text/event-stream` is sent, and takes the beginning of an id, or `latest`, for
//! an id. A repetition is known by the ids of the events, or by `Idempotency-Key`: then event `i` of a request, from
//! 1, which has no id of its own, has the id `{key}/{i}`.

mod answers;
pub mod body;
mod emit;
mod events;
mod find;
mod lines;
pub mod list;
pub mod manage;
mod rate;
mod show;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};

use super::{Error, Shared};
use crate::event::Invalid;
use crate::ingest;
use crate::session;

pub use find::find;
pub(super) use rate::Rates;
pub use show::present;

/// The most characters of an `Idempotency-Key`, so that it makes an id with the number of any line.
const MAX_KEY: usize = 100;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/sessions", get(list::list).post(manage::begin))
        .route("/api/sessions/{id}", get(show::show).post(manage::act))
        .route("/api/sessions/{id}/events", get(events::list).post(emit::emit))
        .route("/api/sessions/{id}/heartbeat", post(manage::heartbeat))
        .route("/api/sessions/{id}/end", post(manage::end))
        .route("/api/sessions/{id}/close", post(manage::close))
}

/// Whether the caller wants to follow.
fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.flat_map(|accept| accept.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// The key by which a request is told from its repetition.
fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = format!("1 to {MAX_KEY} visible ASCII characters");
        return Err(Invalid::new("Idempotency-Key", key, expected).into());
    }
    Ok(Some(key.into()))
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        use session::Error as Session;
        let message = error.to_string();
        match error {
            Session::NotFound(_) => Self::field(StatusCode::NOT_FOUND, "session", message),
            Session::Ended(_) => Self::field(StatusCode::CONFLICT, "session", message),
            Session::Conflict { field, .. } => Self::field(StatusCode::CONFLICT, field, message),
            Session::Invalid(invalid) => invalid.into(),
            Session::Store(error) => error.into(),
            Session::Ingest(ingest::Error::TooLarge(invalid)) => {
                Self::field(StatusCode::PAYLOAD_TOO_LARGE, invalid.field, message)
            }
            Session::Ingest(ingest::Error::Refused(_)) => Self::new(StatusCode::CONFLICT, message),
            Session::Ingest(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
        }
    }
}
