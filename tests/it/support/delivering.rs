//! A delivery that runs.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::deliver::{Delivery, Handle, Settings};
use watchpost::event::Offset;
use watchpost::sink::Sink;
use watchpost::store::Store;

use super::wait;

/// A delivery, until it is stopped or crashes.
pub(crate) struct Delivering {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Delivering {
    /// Delivers, and waits only for short times.
    pub(crate) fn start(name: &str, sink: impl Sink, store: &Store) -> Self {
        let settings = Settings {
            resettable: true,
            backoff_first: Duration::from_millis(2),
            backoff_most: Duration::from_millis(20),
            misconfigured: Duration::from_millis(20),
            breaker_first: Duration::from_millis(20),
            breaker_most: Duration::from_millis(20),
            ..Settings::default()
        };
        let (delivery, handle) = Delivery::new(name, sink, store.clone(), settings);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(delivery.run(shutdown.clone()));
        Self { handle, shutdown, task }
    }

    /// The first event that is not settled.
    pub(crate) fn offset(&self) -> Offset {
        self.handle.watch().borrow().offset
    }

    /// Waits until the log is delivered to its end.
    pub(crate) async fn drained(&self) {
        let end =
            self.handle.status().expect("readable").offset + self.handle.status().expect("readable").lag_events;
        wait::until("all to be delivered", async || (self.offset() >= end).then_some(())).await;
    }

    /// Ends it in the middle of whatever it does, as a crash would.
    pub(crate) async fn crash(self) {
        self.task.abort();
        // It may have ended before.
        let _ended = self.task.await;
    }

    /// Ends it as a daemon does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic");
    }
}
