//! Follows the daemon's events, over as many connections as it takes.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, Response, header};
use serde::Deserialize;

use super::sse::{Message, Parser};
use super::{Client, Error};
use crate::api::events::Row;
use crate::event::Offset;

/// The daemon sends something every 15 s; one that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// The wait before another connection is made, doubled up to the second at each failure.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// An event.
    Event(Box<Row>),
    /// Events that were not seen are not there any more.
    Gap {
        /// The first offset that is missing.
        from: Offset,
        /// The first offset that is there again.
        until: Offset,
    },
    /// The connection was lost; another one is being made.
    Lost(Error),
}

/// A follower.
pub struct Follow {
    client: Client,
    /// What is followed, without the place to go on at.
    path: String,
    last: Option<Offset>,
    connection: Option<(Response, Parser)>,
    ready: VecDeque<Message>,
    wait: Duration,
    connected_before: bool,
}

impl Follow {
    pub(super) fn new(client: Client, path: String) -> Self {
        Self {
            client,
            path,
            last: None,
            connection: None,
            ready: VecDeque::new(),
            wait: WAIT.0,
            connected_before: false,
        }
    }

    /// The next event. The first connection must be made at once, and a refusal ends it; what is lost later is
    /// told as [`Followed::Lost`] and mended. Safe to drop at any await.
    pub async fn next(&mut self) -> Result<Followed, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.last = message.id.parse().ok().or(self.last);
                if message.data.is_empty() {
                    continue;
                }
                return self.followed(&message);
            }
            let read = match &mut self.connection {
                Some(connection) => read(&self.client, connection).await,
                None => self.connect().await.map(|()| Vec::new()),
            };
            match read {
                Ok(messages) => self.ready.extend(messages),
                Err(error @ Error::Unreachable { .. }) if self.connected_before => {
                    let fresh = self.connection.take().is_some();
                    if fresh {
                        return Ok(Followed::Lost(error));
                    }
                    tokio::time::sleep(self.wait).await;
                    self.wait = (self.wait * 2).min(WAIT.1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let mut request = self.client.request(Method::GET, &self.path).header(header::ACCEPT, "text/event-stream");
        if let Some(last) = self.last {
            request = request.header("last-event-id", last.to_string());
        }
        let sent = tokio::time::timeout(super::ANSWER, request.send()).await;
        let sent = sent.map_err(|_| self.silent())?.map_err(|error| self.client.unreachable(&error))?;
        self.connection = Some((self.client.accept(sent).await?, Parser::default()));
        self.connected_before = true;
        self.wait = WAIT.0;
        Ok(())
    }

    fn silent(&self) -> Error {
        Error::Unreachable { url: self.client.url.clone(), message: "no answer".into() }
    }

    fn followed(&self, message: &Message) -> Result<Followed, Error> {
        #[derive(Deserialize)]
        struct Gap {
            from: Offset,
            until: Offset,
        }
        if message.event == "gap" {
            let gap: Gap = serde_json::from_str(&message.data).map_err(|error| self.client.malformed(error))?;
            return Ok(Followed::Gap { from: gap.from, until: gap.until });
        }
        Ok(Followed::Event(Box::new(self.client.row(&message.data)?)))
    }
}

async fn read(client: &Client, (response, parser): &mut (Response, Parser)) -> Result<Vec<Message>, Error> {
    let lost = |message: String| Error::Unreachable { url: client.url.clone(), message };
    let chunk = tokio::time::timeout(SILENCE, response.chunk()).await;
    let chunk = chunk.map_err(|_| lost("it is silent".into()))?.map_err(|error| client.unreachable(&error))?;
    let chunk = chunk.ok_or_else(|| lost("it closed the connection".into()))?;
    parser.feed(&chunk).ok_or_else(|| client.malformed("an event without end"))
}
