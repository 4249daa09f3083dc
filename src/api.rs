//! The HTTP API, for readers of the log and for operators. Everything but `/health` and `/metrics`
//! stands under `/api/`.
//!
//! | route | answer |
//! |---|---|
//! | `GET /api/events` | a JSON array of events; the next page in `Link: rel="next"` |
//! | `GET /api/events/{id}` | one event |
//! | `GET /api/events/sse` | events as they come, as server-sent events |
//! | `GET /api/processes` | every process, as the fold of the log has it |
//! | `GET /api/sinks` | how far each sink is, and how it fares |
//! | `/api/dead-letters…` | what was given up on; see [`dead_letters`] |
//! | `GET /api/health`, `GET /health` | how everything fares |
//! | `GET /metrics` | Watchpost's own metrics, for Prometheus (text format 0.0.4) |
//! | `/api/sessions…` | recording and reading sessions; see [`sessions`] |
//!
//! Each of its readers reads the store by itself, so a slow one delays nobody.

pub mod dead_letters;
mod error;
pub mod events;
pub mod filter;
mod follow;
mod guard;
mod health;
mod measure;
mod processes;
mod server;
pub mod sessions;
pub mod sinks;
mod sse;
mod streams;

use std::io;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::deliver;
use crate::event::Timestamp;
use crate::ingest::Ingest;
use crate::session::Sessions;
use crate::session::tail::Tail;
use crate::source::process_compose::Status;
use crate::store::Store;
use crate::telemetry::Telemetry;

pub use error::Error;
pub use follow::Follower;
pub use server::Listener;

/// The most followers at one time.
const MAX_FOLLOWERS: usize = 256;

/// What the API tells of.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The way into it, which prunes too.
    pub ingest: Ingest,
    /// The sessions.
    pub sessions: Sessions,
    /// Who may ask.
    pub settings: config::Api,
    /// What the subjects of processes begin with.
    pub prefixes: Vec<String>,
    /// The sources, each with its name.
    pub sources: Vec<(String, watch::Receiver<Status>)>,
    /// The deliveries.
    pub sinks: Vec<deliver::Handle>,
    /// Where requests are counted, and what `/metrics` shows.
    pub telemetry: Telemetry,
}

/// What every route has.
struct Inner {
    store: Store,
    ingest: Ingest,
    sessions: Sessions,
    /// What all followers of sessions have in common.
    tail: Tail,
    settings: config::Api,
    prefixes: Vec<String>,
    sources: Vec<(String, watch::Receiver<Status>)>,
    sinks: Vec<deliver::Handle>,
    telemetry: Telemetry,
    processes: processes::Cache,
    started: Timestamp,
    followers: Arc<Semaphore>,
    /// How fast each session may send.
    rates: sessions::Rates,
    /// Requests that send lines.
    intakes: TaskTracker,
    shutdown: CancellationToken,
}

type Shared = Arc<Inner>;

/// Serves the API until `shutdown`; then lets requests that are being answered end, for at most 2 s.
pub async fn serve(listener: Listener, parts: Parts, shutdown: CancellationToken) -> io::Result<()> {
    let Parts { store, ingest, sessions, settings, prefixes, sources, sinks, telemetry } = parts;
    let shared = Arc::new(Inner {
        tail: Tail::new(store.clone()),
        store,
        ingest,
        rates: sessions::Rates::new(sessions.settings().max_rate),
        sessions,
        settings,
        prefixes,
        sources,
        sinks,
        telemetry,
        processes: processes::Cache::default(),
        started: Timestamp::now(),
        followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        intakes: TaskTracker::new(),
        shutdown: shutdown.clone(),
    });
    let intakes = shared.intakes.clone();
    let served = server::serve(listener, router(shared), shutdown).await;
    intakes.close();
    let _forced = tokio::time::timeout(server::GRACE, intakes.wait()).await;
    served
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/api/events", get(events::list))
        .route("/api/events/sse", get(sse::follow))
        .route("/api/events/{id}", get(events::show))
        .route("/api/processes", get(processes::list))
        .route("/api/sinks", get(sinks::list))
        .route("/api/streams/{id}", get(streams::show))
        .route("/api/sinks/{name}/reset", post(sinks::reset))
        .route("/api/dead-letters", get(dead_letters::list))
        .route("/api/dead-letters/retry", post(dead_letters::retry_all))
        .route("/api/dead-letters/stats", get(dead_letters::stats))
        .route("/api/dead-letters/{id}", get(dead_letters::show).delete(dead_letters::discard))
        .route("/api/dead-letters/{id}/retry", post(dead_letters::retry))
        .route("/api/health", get(health::whole))
        .route("/health", get(health::bare))
        .route("/metrics", get(measure::metrics))
        .merge(sessions::routes())
        .fallback(|| async { Error::new(StatusCode::NOT_FOUND, "there is nothing under this path") })
        .method_not_allowed_fallback(|| async {
            Error::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), guard::check))
        .layer(middleware::from_fn_with_state(shared.clone(), measure::measure))
        .with_state(shared)
}
