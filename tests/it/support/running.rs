//! A source that runs.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::config::{Endpoint, ProcessCompose};
use watchpost::source::process_compose::{Source, Status};

use super::log::Log;

/// Those of a source that polls fast.
pub(crate) fn settings(url: &str) -> ProcessCompose {
    ProcessCompose {
        endpoint: Endpoint::Url(url.into()),
        poll_interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        sample_interval: None,
        ..ProcessCompose::default()
    }
}

/// A source that runs, until it is dropped or stopped.
pub(crate) struct Running {
    pub(crate) status: tokio::sync::watch::Receiver<Status>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(log: &Log, settings: ProcessCompose) -> Self {
        let source = Source::new(settings, log.store.clone(), log.ingest.clone()).expect("a source");
        let (status, shutdown) = (source.status(), CancellationToken::new());
        let run = source.run(shutdown.clone());
        let task = tokio::spawn(async move { run.await.expect("it ends well") });
        Self { status, shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic");
    }
}
