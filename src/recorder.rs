//! Recording sessions from a Rust program: into a store of its own, or to a daemon.
//!
//! ```text
//! Recorder::open     a store in this process; `serve` lets others read it and write to it
//! Recorder::connect  a daemon that has the store
//!     └─ start ─► Session: emit … flush ─► end
//! ```
//! ```
//! # use watchpost::config;
//! use serde_json::json;
//! use watchpost::recorder::{End, Recorder, Start};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let store = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
//! # let store = config::Store { unsafe_fs: true, min_free: 0, ..store };
//! let recorder = Recorder::open(store, config::Session::default()).await?;
//! let session = recorder.start(Start::new(&json!({ "command": "generate" }))?).await?;
//! session.emit("generation_started", &json!({ "total_nodes": 1, "total_levels": 1 })).await?;
//! session.emit("node_generation_completed", &json!({ "level_index": 0, "node_id": "a" })).await?;
//! let report = session.flush().await?;
//! assert_eq!((report.taken, report.missed), (2, 0));
//! session.end(End::completed()).await?;
//! recorder.close().await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod error;
mod session;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Listener, Parts};
use crate::client::{Client, sessions};
use crate::config;
use crate::ingest::{Ingest, Ingestor};
use crate::session::Sessions;
use crate::store::Store;
use crate::telemetry::Telemetry;

pub use crate::session::{End, Start, Verdict};
pub use error::Error;
pub use session::{Missed, Report, Session};

/// Where sessions are recorded.
pub struct Recorder {
    place: Place,
}

enum Place {
    Here(Box<Here>),
    Daemon(Client),
}

/// A store in this process, with everything that runs over it.
struct Here {
    store: Store,
    ingest: Ingest,
    ingestor: Ingestor,
    sessions: Sessions,
    keeper: JoinHandle<()>,
    served: Vec<JoinHandle<std::io::Result<()>>>,
    stop_serving: CancellationToken,
    stop: CancellationToken,
}

impl Recorder {
    /// Opens the store, and makes it where there is none; no other process may hold it. Sessions that an earlier
    /// process left behind are interrupted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open(store: config::Store, settings: config::Session) -> Result<Self, Error> {
        let opened = blocking(move || {
            let store = Store::open(&store)?;
            let (ingest, ingestor) = Ingest::start_with(&store, settings.ingest_failed_after)?;
            let (sessions, keeper) = Sessions::start(store.clone(), ingest.clone(), settings)?;
            Ok::<_, Error>((store, ingest, ingestor, sessions, keeper))
        });
        let (store, ingest, ingestor, sessions, keeper) = opened.await??;
        let (stop, stop_serving) = (CancellationToken::new(), CancellationToken::new());
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        let here = Here { store, ingest, ingestor, sessions, keeper, served: Vec::new(), stop_serving, stop };
        Ok(Self { place: Place::Here(Box::new(here)) })
    }

    /// Records at the daemon with that URL: `http://HOST:PORT`, or `unix:` and the path of a socket. Nothing is asked
    /// before the first session.
    ///
    /// # Errors
    /// [`Error::Daemon`].
    pub fn connect(url: &str, token: Option<config::Secret>) -> Result<Self, Error> {
        Ok(Self { place: Place::Daemon(Client::new(url, token)?) })
    }

    /// Begins a session, or takes up the one with its id, where that was begun alike. A daemon takes no
    /// `idempotency_key` from here.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Daemon`].
    pub async fn start(&self, start: Start) -> Result<Session, Error> {
        match &self.place {
            Place::Here(here) => Ok(Session::here(here.sessions.open(start).await?)),
            Place::Daemon(client) => {
                let Start { id, metadata, traceparent, ts, idempotency_key } = start;
                if idempotency_key.is_some() {
                    return Err(Error::Invalid(
                        "idempotency_key: give the session an id of your own instead".into(),
                    ));
                }
                let traceparent = traceparent.map(|traceparent| traceparent.to_string());
                let start = sessions::Start { id, ts, traceparent, metadata };
                let settings = sessions::Settings::default();
                Ok(Session::away(sessions::Writer::start(client.clone(), start, settings).await?))
            }
        }
    }

    /// Serves the API over the store of this process, for whoever reads or records there; answers the URL, or
    /// nothing where the settings say so.
    ///
    /// # Errors
    /// [`Error::Listen`]; [`Error::Elsewhere`] where a daemon has the store: it serves by itself.
    pub async fn serve(&mut self, settings: config::Api) -> Result<Option<String>, Error> {
        let Place::Here(here) = &mut self.place else { return Err(Error::Elsewhere) };
        let Some(listener) = Listener::bind(&settings.listen).await.map_err(Error::Listen)? else {
            return Ok(None);
        };
        let url = listener.url();
        let telemetry = Telemetry::local();
        telemetry.observe(&here.store, &here.ingest, &[], None);
        let parts = Parts {
            store: here.store.clone(),
            ingest: here.ingest.clone(),
            sessions: here.sessions.clone(),
            settings,
            prefixes: config::Settings::default().subject_prefixes(),
            sources: Vec::new(),
            sinks: Vec::new(),
            telemetry,
        };
        here.served.push(tokio::spawn(api::serve(listener, parts, here.stop_serving.clone())));
        Ok(Some(url))
    }

    /// The store of this process.
    pub fn store(&self) -> Option<&Store> {
        match &self.place {
            Place::Here(here) => Some(&here.store),
            Place::Daemon(_) => None,
        }
    }

    /// Stops serving, makes everything durable, and closes the store. Sessions that have not ended are interrupted,
    /// now where they were dropped, else when the store is opened again; one that is still held keeps the store
    /// locked.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub async fn close(self) -> Result<(), Error> {
        let Place::Here(here) = self.place else { return Ok(()) };
        let Here { store, ingest, ingestor, sessions, keeper, served, stop_serving, stop } = *here;
        stop_serving.cancel();
        for served in served {
            served.await.map_err(|error| Error::Failed(error.to_string()))?.map_err(Error::Listen)?;
        }
        stop.cancel();
        keeper.await.map_err(|error| Error::Failed(error.to_string()))?;
        blocking(move || ingestor.drain()).await?.map_err(Error::Failed)?;
        drop((store, ingest, sessions));
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Failed(error.to_string()))
}
