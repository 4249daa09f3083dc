//! The daemon: builds everything from settings, owns every task, and drains in stages.
//!
//! ```text
//! sources stop → ingest flushes → deliveries and the API finish what is in flight → metrics are exported once
//! more → force → own telemetry is flushed → the store closes
//! ```
//!
//! The drain runs on every way out, that of a failed task too. What was not delivered by the deadline stays in
//! the log, and the cursors stand where the destinations have confirmed.

mod notify;
mod sinks;
mod tasks;

#[cfg(test)]
mod tests;

use std::io;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::tasks::{Stage, Tasks};
use crate::api::{self, Listener, Parts};
use crate::config::Settings;
use crate::elasticsearch;
use crate::event::Invalid;
use crate::ingest::{Ingest, Ingestor};
use crate::session::Sessions;
use crate::sink::otlp;
use crate::source;
use crate::source::process_compose::{Source, Status};
use crate::source::spool::Spool;
use crate::store::{self, Store};
use crate::telemetry::{self, Telemetry};

pub use notify::Notify;

/// Why a daemon did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A setting is not as it has to be.
    #[error(transparent)]
    Settings(#[from] Invalid),
    /// A receiver of OTLP cannot be spoken to as the settings have it.
    #[error("otlp: {0}")]
    Otlp(#[from] otlp::Invalid),
    /// Elasticsearch cannot be spoken to as the settings have it.
    #[error(transparent)]
    Elasticsearch(#[from] elasticsearch::Error),
    /// The API cannot listen.
    #[error("the API cannot listen at {at}: {error} (another daemon may run: choose another `api.listen`, or off)")]
    Listen {
        /// Where.
        at: String,
        /// Why.
        error: io::Error,
    },
    /// A source cannot be made.
    #[error(transparent)]
    Source(#[from] source::process_compose::Failed),
    /// A task has failed; everything was drained.
    #[error("{0}")]
    Failed(String),
    /// The drain was cut short; what was not delivered is in the log.
    #[error("the drain was forced while these were running: {0}")]
    Forced(String),
}

/// How a daemon is told to end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Drain, then end.
    pub drain: CancellationToken,
    /// End at once.
    pub force: CancellationToken,
}

/// A daemon whose tasks are running.
pub struct Daemon {
    settings: Settings,
    store: Store,
    sessions: Sessions,
    ingestor: Ingestor,
    tasks: Tasks,
    telemetry: Telemetry,
}

impl Daemon {
    /// Starts a daemon, with its own telemetry. When it returns, the daemon is ready.
    pub async fn start(settings: Settings, listener: Option<Listener>) -> Result<Self, Error> {
        let telemetry = Telemetry::start(&settings)?;
        Self::start_with(settings, listener, telemetry).await
    }

    /// The same with telemetry that was started before, which is shut down with the daemon, or here where it does
    /// not start.
    pub async fn start_with(
        settings: Settings,
        listener: Option<Listener>,
        telemetry: Telemetry,
    ) -> Result<Self, Error> {
        let started = Self::build(settings, listener, telemetry.clone()).await;
        if started.is_err() {
            telemetry.shutdown(&CancellationToken::new()).await;
        }
        started
    }

    /// Opens the store, and starts ingest, deliveries, the sources and the API, in this order.
    async fn build(settings: Settings, listener: Option<Listener>, telemetry: Telemetry) -> Result<Self, Error> {
        let place = settings.store.clone();
        let open = tokio::task::spawn_blocking(move || Store::open(&place)).await;
        let store = open.map_err(|error| Error::Failed(format!("opening the store: {error}")))??;
        let (ingest, ingestor) = Ingest::start_with(&store, settings.session.ingest_failed_after)?;
        let mut tasks = Tasks::default();
        let (sinks, exports) = sinks::start(&settings, &store, &mut tasks)?;
        let (sessions, keeper) = Sessions::start(store.clone(), ingest.clone(), settings.session.clone())?;
        tasks.spawn("sessions", Stage::Sources, |stop| async move {
            keeper.run(stop).await;
            Ok(())
        });
        let spool = Spool::new(settings.session.spool.clone(), sessions.clone());
        tasks.spawn("spool", Stage::Sources, |stop| async move {
            spool.run(stop).await;
            Ok(())
        });
        let sources = watch_supervisors(&settings, &store, &ingest, &mut tasks)?;
        telemetry.observe(&store, &ingest, &sinks, exports);
        if let Some(listener) = listener {
            let parts = Parts {
                store: store.clone(),
                ingest,
                sessions: sessions.clone(),
                settings: settings.api.clone(),
                prefixes: settings.subject_prefixes(),
                sources,
                sinks,
                telemetry: telemetry.clone(),
            };
            tasks.spawn("api", Stage::Readers, |stop| async move {
                api::serve(listener, parts, stop).await.map_err(|error| error.to_string())
            });
        }
        Ok(Self { settings, store, sessions, ingestor, tasks, telemetry })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The sessions, for who writes some in this process.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Runs until it is told to end, or until a task fails; then drains.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let failed = tokio::select! {
            () = shutdown.drain.cancelled() => None,
            () = shutdown.force.cancelled() => None,
            failure = self.tasks.failure() => Some(failure),
            () = self.ingestor.ended() => Some("a thread of ingest has ended by itself".to_owned()),
        };
        match &failed {
            Some(failure) => tracing::error!("{failure}; draining"),
            None => tracing::info!("draining"),
        }
        let telemetry = self.telemetry.clone();
        let span = tracing::debug_span!(target: telemetry::names::SPANS, "drain", otel.status_description = failed);
        let drained = self.drain(&shutdown.force).instrument(span).await;
        telemetry.shutdown(&shutdown.force).await;
        match (failed, drained) {
            (Some(failure), Err(error)) => Err(Error::Failed(format!("{failure}; {error}"))),
            (Some(failure), Ok(())) => Err(Error::Failed(failure)),
            (None, drained) => drained,
        }
    }

    /// The stages, one behind the other, until the deadline or until it is forced.
    async fn drain(self, force: &CancellationToken) -> Result<(), Error> {
        let Self { settings, store, sessions, ingestor, mut tasks, telemetry: _ } = self;
        let deadline = Instant::now() + settings.drain_deadline.0;
        let cut = async {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = force.cancelled() => {}
            }
        };
        let mut flushed = None;
        let stages = async {
            let mut failures = tasks.stop(Stage::Sources).await;
            // Not a task of its own stage: it ends when the last sender has its answer.
            let flush = tokio::task::spawn_blocking(move || ingestor.drain());
            let ended = flush.await.unwrap_or_else(|error| Err(format!("ingest: {error}")));
            failures.extend(ended.err());
            flushed = Some(());
            failures.extend(tasks.stop(Stage::Readers).await);
            failures.extend(tasks.stop(Stage::Exports).await);
            failures
        };
        let failures = tokio::select! {
            failures = stages => Some(failures),
            () = cut => None,
        };
        let running: Vec<&str> = flushed.is_none().then_some("ingest").into_iter().collect();
        let running: Vec<String> = running.into_iter().map(str::to_owned).chain(tasks.abort().await).collect();
        drop((store, sessions));
        match failures {
            None => Err(Error::Forced(running.join(", "))),
            Some(failures) if failures.is_empty() => Ok(()),
            Some(failures) => Err(Error::Failed(failures.join("; "))),
        }
    }
}

/// Binds the API's listener.
pub async fn bind(settings: &Settings) -> Result<Option<Listener>, Error> {
    let at = match &settings.api.listen {
        crate::config::Listen::Tcp(address) => address.to_string(),
        crate::config::Listen::Socket(path) => path.display().to_string(),
        crate::config::Listen::Off => return Ok(None),
    };
    Listener::bind(&settings.api.listen).await.map_err(|error| Error::Listen { at, error })
}

/// Starts the sources; answers how each fares.
fn watch_supervisors(
    settings: &Settings,
    store: &Store,
    ingest: &Ingest,
    tasks: &mut Tasks,
) -> Result<Vec<(String, watch::Receiver<Status>)>, Error> {
    let mut sources = Vec::new();
    for supervisor in &settings.process_compose {
        let name = supervisor.name.clone();
        let source = Source::new(supervisor.clone(), store.clone(), ingest.clone())?;
        sources.push((name.clone(), source.status()));
        tasks.spawn(format!("source {name}"), Stage::Sources, |stop| async move {
            source.run(stop).await.map_err(|error| error.to_string())
        });
    }
    Ok(sources)
}
