//! `GET /api/health`: how everything fares, with the reasons where something does not; and `GET /health`, the
//! same without them and without a token.
//!
//! Both answer 200 as long as events are taken; 503 says that the store refuses them. A sink or a source that
//! is down is `degraded`, which no restart of the daemon would mend.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::watch;

use super::Shared;
use crate::deliver::Handle;
use crate::event::{Offset, Timestamp};
use crate::source::process_compose::Status;
use crate::store::Health;

/// How everything fares.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    status: &'static str,
    reasons: Vec<String>,
    version: &'static str,
    started: Timestamp,
    first_offset: Offset,
    next_offset: Offset,
    store: Health,
    sinks: Vec<Sink>,
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Serialize)]
struct Sink {
    name: String,
    /// `up`; `down` when its last try failed; `unknown`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    lag_events: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Source {
    name: String,
    /// `starting`, `up`, `failing`, `down` or `unauthorized`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn whole(State(shared): State<Shared>) -> (StatusCode, Json<Report>) {
    let report = report(&shared);
    (status(&report), Json(report))
}

pub(super) async fn bare(State(shared): State<Shared>) -> (StatusCode, Json<serde_json::Value>) {
    let report = report(&shared);
    (status(&report), Json(serde_json::json!({ "status": report.status })))
}

fn status(report: &Report) -> StatusCode {
    if report.store == Health::Ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn report(shared: &Shared) -> Report {
    let health = shared.store.health();
    let mut reasons = Vec::new();
    if let Health::Full(reason) | Health::Recovering(reason) = &health {
        reasons.push(format!("store: {reason}"));
    }
    let sources: Vec<Source> = shared.sources.iter().map(source).collect();
    for source in &sources {
        reasons.extend(source.error.iter().map(|error| format!("source {}: {error}", source.name)));
    }
    let sinks: Vec<Sink> = shared.sinks.iter().map(sink).collect();
    for sink in sinks.iter().filter(|sink| sink.state != "up") {
        reasons.push(format!("sink {}: {}", sink.name, sink.error.as_deref().unwrap_or("down")));
    }
    let range = shared.store.range();
    Report {
        status: if reasons.is_empty() { "ok" } else { "degraded" },
        reasons,
        version: env!("CARGO_PKG_VERSION"),
        started: shared.started,
        first_offset: range.start,
        next_offset: range.end,
        store: health,
        sinks,
        sources,
    }
}

fn sink(handle: &Handle) -> Sink {
    match handle.status() {
        Ok(status) => Sink {
            name: status.sink.to_string(),
            state: if status.failures > 0 { "down" } else { "up" },
            error: status.last_error.filter(|_| status.failures > 0).map(|error| error.message),
            lag_events: status.lag_events,
        },
        Err(error) => {
            let name = handle.watch().borrow().sink.to_string();
            Sink { name, state: "unknown", error: Some(error.to_string()), lag_events: 0 }
        }
    }
}

fn source((name, status): &(String, watch::Receiver<Status>)) -> Source {
    let (state, error) = match &*status.borrow() {
        Status::Starting => ("starting", None),
        Status::Up => ("up", None),
        Status::Failing(error) => ("failing", Some(error.clone())),
        Status::Down(error) => ("down", Some(error.clone())),
        Status::Unauthorized(error) => ("unauthorized", Some(error.clone())),
    };
    Source { name: name.clone(), state, error }
}
