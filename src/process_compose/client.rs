//! The client: one request, one bounded answer.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::snapshot::{Info, Process, Project, parse_processes};
use super::{Error, Frames, Graph, frames, parse_graph};
use crate::cause::root;
use crate::config::{Endpoint, Secret};

/// The most bytes that an answer may have.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// The header that carries the token.
pub(super) const TOKEN_HEADER: &str = "x-pc-token-key";

/// A handle to one process-compose; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    endpoint: Endpoint,
    token: Option<Secret>,
    timeout: Duration,
}

impl Client {
    /// Makes one; connects to nothing yet. `timeout` bounds each request with its whole body.
    pub fn new(endpoint: &Endpoint, token: Option<&Secret>, timeout: Duration) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4);
        let base = match endpoint {
            Endpoint::Url(url) => url.as_str(),
            Endpoint::Socket(path) => {
                builder = builder.unix_socket(path.clone());
                "http://localhost"
            }
        };
        let parsed = Url::parse(base).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let base = parsed.ok_or_else(|| Error::Endpoint(base.to_owned()))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| Error::Endpoint("a token with characters that no header can carry".into()))?;
            value.set_sensitive(true);
            headers.insert(TOKEN_HEADER, value);
        }
        let http = builder.default_headers(headers).build().map_err(|e| Error::Endpoint(root(&e)))?;
        Ok(Self { http, base, endpoint: endpoint.clone(), token: token.cloned(), timeout })
    }

    /// Every process, in no order.
    pub async fn processes(&self) -> Result<Vec<Process>, Error> {
        self.get(&["processes"], parse_processes).await
    }

    /// The supervisor and its project.
    pub async fn project(&self) -> Result<Project, Error> {
        self.get(&["project", "state"], json).await
    }

    /// What `processes` leaves out about one of them.
    pub async fn info(&self, name: &str) -> Result<Info, Error> {
        self.get(&["process", "info", name], json).await
    }

    /// What waits for what; old versions have none, which is `NotProcessCompose`.
    pub async fn graph(&self) -> Result<Graph, Error> {
        self.get(&["graph"], parse_graph).await
    }

    /// Opens the stream of state changes; before v1.110 there is none, which is `NotProcessCompose`.
    pub async fn frames(&self) -> Result<Frames, Error> {
        let url = self.url(&["process", "states", "ws"]);
        self.in_time(frames::open(&self.endpoint, url, self.token.as_ref())).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn get<T>(&self, path: &[&str], parse: fn(&[u8]) -> serde_json::Result<T>) -> Result<T, Error> {
        let body = self.in_time(self.request(Method::GET, self.url(path))).await?;
        parse(&body).map_err(|e| Error::NotProcessCompose(no_json(&body, &e)))
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = Error::Timeout(self.timeout.as_millis());
        tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(late))
    }

    async fn request(&self, method: Method, url: Url) -> Result<Vec<u8>, Error> {
        let request = self.http.request(method, url);
        let response = request.send().await.map_err(|e| Error::Unreachable(root(&e)))?;
        let status = response.status();
        let body = read(response).await?;
        check(status, &body)?;
        Ok(body)
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body)
}

/// Reads a body up to the limit, however long it says it is.
async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Error::Unreachable(root(&e)))? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Error::TooLarge(MAX_BODY_BYTES));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a status means.
pub(super) fn check(status: StatusCode, body: &[u8]) -> Result<(), Error> {
    match status.as_u16() {
        200..=299 => Ok(()),
        401 => Err(Error::Unauthorized),
        400 => Err(Error::BadRequest(message(body))),
        status @ 500..=599 => Err(Error::Server { status, message: message(body) }),
        status => Err(Error::NotProcessCompose(format!("it answers {status}"))),
    }
}

/// The message of an error answer, `{"error": …}`, else the start of its text.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
    }
    serde_json::from_slice::<Answer>(body).map_or_else(|_| start(body), |answer| answer.error)
}

fn no_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = start(body);
    if text.starts_with('<') { format!("a page that begins with {text:?}") } else { error.to_string() }
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(240)]).trim().chars().take(60).collect()
}
