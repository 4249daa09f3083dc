//! A client of the daemon's API, over TCP or a unix socket.

mod follow;
mod reader;
pub mod sessions;
mod sse;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::api::events::{Page, Row};
use crate::api::filter::Filter;
use crate::cause;
use crate::config::Secret;
use crate::deliver::Status;
use crate::event::{Event, Logged, Offset, StreamId};
use crate::store::StreamInfo;

pub use follow::{Follow, Followed};
pub use reader::{Failed, Reader};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take, but for those that never end.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the answer to whether anybody is there may take.
const GREETING: Duration = Duration::from_secs(5);
/// The most bytes of an answer: a page of 1,000 events of 64 KiB, and some more.
const MAX_ANSWER: usize = 80 << 20;

/// Why the API did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("no daemon answers at {url}: {message}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        message: String,
    },
    /// The daemon said no.
    #[error("the daemon at {url} refused ({status}): {message}")]
    Refused {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
        /// When it may be asked again, where it said so.
        retry_after: Option<Duration>,
    },
    /// What answers there is no daemon, or one of another version.
    #[error("what answers at {url} is no watchpost that this one understands: {message}")]
    Malformed {
        /// Where.
        url: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// Whether the same request may go well later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => [408, 429, 502, 503, 504].contains(status),
            Self::Malformed { .. } => false,
        }
    }
}

/// The client; a cheap handle.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// What requests go to; for a socket, any name will do.
    base: String,
    /// What the user knows it by.
    url: String,
    token: Option<Secret>,
}

impl Client {
    /// A client of the daemon at `http://HOST:PORT` or `unix:PATH`.
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, Error> {
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy();
        let (builder, base) = match url.strip_prefix("unix:") {
            Some(path) => (builder.unix_socket(path), "http://localhost".to_owned()),
            None => (builder, url.trim_end_matches('/').to_owned()),
        };
        let http = builder
            .build()
            .map_err(|error| Error::Unreachable { url: url.into(), message: cause::below(&error) })?;
        Ok(Self { http, base, url: url.into(), token })
    }

    /// Where the daemon is, as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks whether a daemon is there, and where its log ends. One whose store takes no events, as with a full
    /// disk, answers too: what it has can be read.
    pub async fn end(&self) -> Result<Offset, Error> {
        #[derive(Deserialize)]
        struct Health {
            next_offset: Offset,
        }
        let sent = self.request(Method::GET, "/api/health").timeout(GREETING).send().await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        let response = match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => response,
            _ => self.accept(response).await?,
        };
        self.read(response).await.map(|health: Health| health.next_offset)
    }

    /// A page of events.
    pub async fn events(&self, filter: &Filter) -> Result<Page, Error> {
        let response = self.ask(Method::GET, &format!("/api/events?{}", filter.to_query())).await?;
        let link = response.headers().get(header::LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| linked(link, "after"));
        let rows: Vec<Box<RawValue>> = self.read(response).await?;
        let events: Result<Vec<Row>, Error> = rows.iter().map(|row| self.row(row.get())).collect();
        Ok(Page { events: events?, next })
    }

    /// The event with that id.
    pub async fn event(&self, id: Uuid) -> Result<Option<Row>, Error> {
        let row: Option<Box<RawValue>> = self.find(&format!("/api/events/{id}")).await?;
        row.map(|row| self.row(row.get())).transpose()
    }

    /// A stream as a whole; nothing where there is no such stream.
    pub async fn stream(&self, id: &StreamId) -> Result<Option<StreamInfo>, Error> {
        self.find(&format!("/api/streams/{id}")).await
    }

    /// How the sinks fare.
    pub async fn sinks(&self) -> Result<Vec<Status>, Error> {
        self.get("/api/sinks").await
    }

    /// Follows events as they come; goes on by itself when the daemon was away.
    pub fn follow(&self, filter: &Filter) -> Follow {
        Follow::new(self.clone(), format!("/api/events/sse?{}", filter.to_query()))
    }

    /// What a route answers, as a type.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.read(self.ask(Method::GET, path).await?).await
    }

    /// Asks, and reads the answer as a type.
    pub async fn send<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        self.read(self.ask(method, path).await?).await
    }

    /// What a route answers; nothing where it knows of no such thing.
    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn row(&self, row: &str) -> Result<Row, Error> {
        #[derive(Deserialize)]
        struct Place {
            offset: Offset,
        }
        let place: Place = serde_json::from_str(row).map_err(|error| self.malformed(error))?;
        let event = Event::from_published(row).map_err(|error| self.malformed(error))?;
        Ok(Row { logged: Logged { offset: place.offset, event: Arc::new(event) }, json: row.to_owned() })
    }

    fn malformed(&self, error: impl std::fmt::Display) -> Error {
        Error::Malformed { url: self.url.clone(), message: error.to_string() }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), message: cause::below(error) }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Response, Error> {
        let sent = self.request(method, path).timeout(ANSWER).send().await;
        self.accept(sent.map_err(|error| self.unreachable(&error))?).await
    }

    /// Lets a good answer pass, and tells of any other.
    async fn accept(&self, response: Response) -> Result<Response, Error> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        #[derive(Deserialize)]
        struct Body {
            error: Told,
        }
        #[derive(Deserialize)]
        struct Told {
            message: String,
        }
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
        let retry_after = retry_after.and_then(|after| after.parse().ok()).map(Duration::from_secs);
        let body = self.bytes(response).await?;
        let message = match serde_json::from_slice(&body) {
            Ok(Body { error: Told { message } }) => message,
            // A proxy with no daemon behind it, at present.
            Err(_) if matches!(status.as_u16(), 502..=504) => format!("HTTP status {status}"),
            Err(_) => return Err(self.malformed(format!("HTTP status {status}"))),
        };
        Err(Error::Refused { url: self.url.clone(), status: status.as_u16(), message, retry_after })
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Error> {
        let empty = response.status() == StatusCode::NO_CONTENT;
        let body = self.bytes(response).await?;
        let body: &[u8] = if empty { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|error| self.malformed(error))
    }

    async fn bytes(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(self.malformed("an answer without end"));
            }
        }
        Ok(body)
    }
}

/// A parameter of the next page, from a `Link` header.
fn linked<T: FromStr>(link: &str, parameter: &str) -> Option<T> {
    let url = link.split(',').find(|link| link.contains("rel=\"next\""))?;
    let query = url.split_once('<')?.1.split_once('>')?.0.split_once('?')?.1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == parameter)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_from_the_link() {
        assert_eq!(linked("</api/events?limit=5&after=17>; rel=\"next\"", "after"), Some(17));
        assert_eq!(linked::<u64>("</api/events?after=17>; rel=\"prev\"", "after"), None);
        assert_eq!(linked::<u64>("", "after"), None);
    }
}
