//! A log that is served over HTTP, in this process.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::api::{self, Listener, Parts};
use watchpost::client::Client;
use watchpost::config::{self, Api, Listen};
use watchpost::session::Sessions;
use watchpost::source::process_compose::Status;
use watchpost::store::Store;
use watchpost::telemetry::Telemetry;

use super::history::Log;

/// What serves a log.
pub(crate) struct Serving {
    pub(crate) url: String,
    pub(crate) sessions: Sessions,
    /// What its source tells of itself.
    pub(crate) source: watch::Sender<Status>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

/// Serves a log, with one source and no sink.
pub(crate) async fn serve(log: &Log, settings: &Api, session: &config::Session) -> Serving {
    let listener = Listener::bind(&settings.listen).await.expect("it binds").expect("a listener");
    let url = listener.url();
    let shutdown = CancellationToken::new();
    let (source, status) = watch::channel(Status::Up);
    let started = Sessions::start(log.store.clone(), log.ingest.clone(), session.clone());
    let (sessions, keeper) = started.expect("a store");
    let telemetry = Telemetry::local();
    telemetry.observe(&log.store, &log.ingest, &[], None);
    let parts = Parts {
        store: log.store.clone(),
        ingest: log.ingest.clone(),
        sessions: sessions.clone(),
        settings: settings.clone(),
        prefixes: vec!["core.process".into()],
        sources: vec![("main".into(), status)],
        sinks: Vec::new(),
        telemetry,
    };
    let (serving, keeping) = (api::serve(listener, parts, shutdown.clone()), keeper.run(shutdown.clone()));
    let task = tokio::spawn(async { tokio::join!(serving, keeping).0 });
    Serving { url, sessions, source, shutdown, task }
}

/// A log of its own that is served.
pub(crate) struct Server {
    pub(crate) log: Log,
    pub(crate) url: String,
    pub(crate) sessions: Sessions,
    pub(crate) source: watch::Sender<Status>,
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// With these settings, over a store in memory.
    pub(crate) async fn start(settings: Api) -> Self {
        Self::over(Store::memory(), settings, config::Session::default()).await
    }

    /// Over that store.
    pub(crate) async fn over(store: Store, settings: Api, session: config::Session) -> Self {
        let log = Log::on(store);
        let Serving { url, sessions, source, shutdown, task } = serve(&log, &settings, &session).await;
        Self { log, url, sessions, source, shutdown, task }
    }

    /// At a free port.
    pub(crate) async fn local() -> Self {
        Self::start(loopback()).await
    }

    /// What a path answers.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("{}{path}", self.url)).await.expect("an answer")
    }

    /// The status and the JSON that a path answers.
    pub(crate) async fn json(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, None).expect("a client")
    }

    /// Stops it as a daemon does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let served = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        served.expect("it stops").expect("no panic").expect("no error");
        self.log.close();
    }
}

/// At a free port.
pub(crate) fn loopback() -> Api {
    Api { listen: Listen::Tcp(([127, 0, 0, 1], 0).into()), ..Api::default() }
}
