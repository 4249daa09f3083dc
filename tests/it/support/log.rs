//! A store in memory with its ingest, and waiting for what comes into it.

use std::sync::Arc;
use std::time::Duration;

use watchpost::event::Event;
use watchpost::event::process::ProcessData;
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::store::{Disk, Limit, Store};

/// The longest that a test waits for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A store and what writes to it.
pub(crate) struct Log {
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    ingestor: Option<Ingestor>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self::on(&Disk::default())
    }

    pub(crate) fn on(disk: &Disk) -> Self {
        let store = Store::on(disk).expect("a store");
        let (ingest, ingestor) = Ingest::start(&store).expect("an empty store");
        Self { store, ingest, ingestor: Some(ingestor) }
    }

    /// Every event so far, in the order of the log.
    pub(crate) fn events(&self) -> Vec<Event> {
        let (mut events, mut from) = (Vec::new(), 0);
        loop {
            let page = self.store.log(from, Limit::events(10_000)).expect("a log");
            let Some(last) = page.last() else { return events };
            from = last.offset + 1;
            events.extend(page.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)));
        }
    }

    /// Waits until the log is as it has to be.
    pub(crate) async fn wait(&self, what: &str, good: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let mut durable = self.store.durable();
        let work = async {
            loop {
                let events = self.events();
                if good(&events) {
                    return events;
                }
                durable.changed().await.expect("the store");
            }
        };
        let found = tokio::time::timeout(DEADLINE, work).await;
        found.unwrap_or_else(|_| panic!("{what}: {:#?}", short(&self.events())))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(ingestor) = self.ingestor.take() {
            ingestor.drain().expect("ingest ends well");
        }
    }
}

/// Events in short: `process type`, or the type alone.
pub(crate) fn short(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event.data.read::<ProcessData>() {
        Ok(data) => format!("{} {}", data.process, event.kind),
        Err(_) => event.kind.to_string(),
    };
    events.iter().map(one).collect()
}

/// How many events have that type.
pub(crate) fn count(events: &[Event], kind: &str) -> usize {
    events.iter().filter(|event| event.kind.as_str() == kind).count()
}
