//! The direct Elasticsearch sink: each event as the document that the Collector's exporter makes of its log
//! record, by the same id in the same data stream, so that either way, or both, gives one document an event.
//!
//! **Once.** A document is created, never overwritten: where its id is there already (409), it counts as
//! confirmed. Elasticsearch knows an id within one backing index only. A day's data stream has one, as long as
//! nobody rolls it over; so an event that is sent again, after a crash or after weeks, meets its first copy.
//! After a rollover by hand it does not: it is created a second time, in the new backing index, with the same id.
//!
//! **Each by itself.** A bulk request is answered item by item: one that is refused becomes a dead letter, one
//! that is held off (429 of a full disk or a full queue, 403 of a write block, 5xx) is sent again later, alone;
//! its neighbours are not.

mod answer;
mod bulk;
mod document;
mod held;

use std::time::Duration;

use ::elasticsearch::http::Method;
use tokio::time::Instant;

use self::bulk::Flight;
use self::document::{Document, Fate};
use self::held::Held;
use super::{Again, Cursor, Error, Memory, Refused, Sent, Sink};
use crate::config;
use crate::elasticsearch::{self, Connection};
use crate::event::{Event, Logged};

/// How long a call may take, as the trait asks for less than 30 s.
const TIME: Duration = Duration::from_secs(25);

/// The sink.
#[derive(Debug)]
pub struct Elasticsearch {
    settings: config::Elasticsearch,
    connection: Connection,
    held: Held,
    /// The most bytes of a request: what is set, or less where the server took less.
    most_bytes: usize,
}

impl Elasticsearch {
    /// A sink that has sent nothing yet.
    ///
    /// # Errors
    /// What [`Connection::new`] finds wrong with the settings.
    pub fn new(settings: config::Elasticsearch) -> Result<Self, elasticsearch::Error> {
        let connection = Connection::new(&settings)?;
        let most_bytes = usize::try_from(settings.batch_bytes).unwrap_or(usize::MAX);
        Ok(Self { settings, connection, held: Held::default(), most_bytes })
    }
}

/// Sends those of the documents that have no fate yet.
async fn deliver(
    documents: &mut [Document],
    connection: &Connection,
    settings: &config::Elasticsearch,
    most_bytes: &mut usize,
) -> Sent {
    let mut flight = Flight {
        connection,
        until: Instant::now() + TIME,
        window: settings.window.max(1),
        most_documents: settings.batch_documents.max(1),
        most_bytes: *most_bytes,
    };
    let result = flight.run(documents).await;
    *most_bytes = flight.most_bytes;
    let settled = documents.iter().take_while(|document| document.fate.is_some()).count();
    let refused = documents[..settled].iter().enumerate().filter_map(|(index, document)| match &document.fate {
        Some(Fate::Refused(reason)) => Some(Refused { index, reason: reason.clone(), sent: document.keep() }),
        _ => None,
    });
    Sent { settled, refused: refused.collect(), error: result.err(), ..Sent::default() }
}

impl Sink for Elasticsearch {
    fn wants(&self, _event: &Event) -> bool {
        true
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        match self.connection.ask(Method::Get, "_cluster/health", None).await {
            // A key that may only write may not ask for health, and not everyone has it: the first request tells.
            Err(error) if error.is_forbidden() => Ok(at.clone()),
            Ok(_) | Err(elasticsearch::Error::Refused { .. }) => Ok(at.clone()),
            Err(error) => Err(answer::whole(error)),
        }
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        self.held.take_in(batch);
        // In place: a call that is dropped keeps what is held, and what is known of it.
        let count = batch.len().min(self.held.documents.len());
        let documents = &mut self.held.documents.make_contiguous()[..count];
        let sent = deliver(documents, &self.connection, &self.settings, &mut self.most_bytes).await;
        self.held.settle(sent.settled);
        sent
    }

    async fn send_again(&mut self, letters: &[Again]) -> Sent {
        let mut documents: Vec<Document> = letters.iter().map(Document::again).collect();
        deliver(&mut documents, &self.connection, &self.settings, &mut self.most_bytes).await
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(&mut self.held)
    }
}
