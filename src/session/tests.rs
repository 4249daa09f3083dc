//! The life of sessions on the twin in memory, with a clock that stands still.
//!
//! The keeper is turned by hand: with a task of its own beside it, the paused clock would run whenever a test
//! waits for the threads of ingest.

mod begin;
mod keep;
mod local;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::event::{Data, Event, Kind, SenderId, Severity, Subject};
use crate::ingest::Ingestor;
use crate::store::{Disk, Limit, SessionInfo, Status};

const IDLE: Duration = Duration::from_secs(1800);

/// A store with its ingest, the sessions over it, and their keeper.
struct Bench {
    disk: Disk,
    sessions: Sessions,
    keeper: Keeper,
    ingestor: Option<Ingestor>,
}

impl Bench {
    fn new() -> Self {
        Self::on(&Disk::default())
    }

    fn on(disk: &Disk) -> Self {
        let store = Store::on(disk).expect("a good disk");
        let (ingest, ingestor) = Ingest::start(&store).expect("a good store");
        let settings = config::Session { idle: IDLE, ..config::Session::default() };
        let (sessions, keeper) = Sessions::start(store, ingest, settings).expect("a good store");
        Self { disk: disk.clone(), sessions, keeper, ingestor: Some(ingestor) }
    }

    /// Another process on the same disk, after this one has been killed.
    fn restart(mut self) -> Self {
        self.close();
        Self::on(&self.disk)
    }

    fn close(&mut self) {
        if let Some(ingestor) = self.ingestor.take() {
            ingestor.drain().expect("a quiet end");
        }
    }

    async fn begin(&self, id: &str) -> StreamId {
        let start = Start { id: Some(stream(id)), ..start() };
        self.sessions.begin(start).await.expect("begun").id
    }

    /// Adds one event, and fails where it is refused.
    async fn add(&self, id: &StreamId, kind: &str) -> Receipt {
        self.sessions.append(id, vec![event(id, kind)]).await.remove(0).expect("taken")
    }

    /// Waits until there is such a session.
    async fn stored(&self, id: &str) {
        let mut durable = self.sessions.store().durable();
        while self.sessions.store().session(&stream(id)).expect("readable").is_none() {
            durable.changed().await.expect("the store");
        }
    }

    fn info(&self, id: &StreamId) -> SessionInfo {
        self.sessions.store().session(id).expect("readable").expect("it is there")
    }

    fn events(&self, id: &StreamId) -> Vec<Event> {
        let page = self.sessions.store().stream(id, 1, Limit::events(10_000)).expect("readable");
        page.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)).collect()
    }

    fn kinds(&self, id: &StreamId) -> Vec<String> {
        self.events(id).iter().map(|event| event.kind.to_string()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.close();
    }
}

fn stream(id: &str) -> StreamId {
    StreamId::new(id).expect("an id")
}

fn start() -> Start {
    Start::new(&json!({ "command": "generate", "args": ["--all"] })).expect("an object")
}

fn event(id: &StreamId, kind: &str) -> Draft {
    let kind = Kind::new(kind).expect("a type");
    let subject = Subject::session(id, &kind).expect("a subject");
    Draft::new(id.clone(), kind, subject, Severity::Info, Data::parse("{}".into()).expect("an object"))
}

fn data(event: &Event) -> Value {
    event.data.read().expect("JSON")
}
