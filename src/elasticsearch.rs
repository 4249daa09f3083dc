//! Elasticsearch: a connection, the setup of what documents need there, and searching.
//!
//! It is spoken to through the transport of its own client, with plain `application/json`: without a version in
//! the media type servers of 8.x and of 9.x answer alike. (The client's typed functions would do the same, but
//! for a bulk body of ready bytes and for the errors as the server words them the transport is the shorter way.)

mod credential;
mod listing;
mod search;
mod setup;
mod template;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde_json::Value;

use crate::cause::{chain, is_tls};
use crate::config::{self, ElasticsearchAuth, without_password};

pub(crate) use credential::Credential;
pub use listing::Listing;
pub use search::Search;
pub use setup::{Kept, Setup, setup};
pub use template::{PATTERN, template};

/// The most characters of an answer that is not understood that an error shows.
const SHOWN: usize = 200;

/// Why Elasticsearch did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answers, or it cannot just now; another time it may.
    #[error("Elasticsearch at {url}: {message}")]
    Unavailable {
        /// Where.
        url: String,
        /// What happened.
        message: String,
    },
    /// A person has to change something: a password, a permission, a certificate, a URL.
    #[error("Elasticsearch at {url}: {message}")]
    Misconfigured {
        /// Where.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// The request has more bytes than are taken there.
    #[error("the request is larger than Elasticsearch takes")]
    TooLarge,
    /// It does not do that.
    #[error("Elasticsearch refuses: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its word for the error, such as `index_not_found_exception`; empty where it has none.
        kind: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether it knows us, and does not let us.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Misconfigured { message, .. } if message.starts_with("403 "))
    }

    /// Whether it says that it cannot just now, as of an index that is just being made.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Unavailable { message, .. } if message.starts_with("503 "))
    }
}

/// A way to one Elasticsearch; cheap to clone. Nothing is sent before the first request.
#[derive(Clone)]
pub struct Connection {
    transport: Transport,
    /// What it is called in errors.
    url: String,
    credential: Credential,
    timeout: Duration,
}

impl fmt::Debug for Connection {
    /// Without the client, which shows its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport: _, url, credential, timeout } = self;
        let mut shown = f.debug_struct("Connection");
        shown.field("url", url).field("credential", credential).field("timeout", timeout).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes the settings; reads the certificate.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] where the URL, the certificate or the API key is none.
    pub fn new(settings: &config::Elasticsearch) -> Result<Self, Error> {
        let shown = without_password(&settings.url);
        let wrong = |message: String| Error::Misconfigured { url: shown.clone(), message };
        let url = Url::parse(&settings.url).map_err(|error| wrong(format!("elasticsearch.url: {error}")))?;
        let credential = Credential::of(&settings.auth, &url);
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).enable_meta_header(false);
        if let Some(file) = &settings.ca_file {
            builder = builder.cert_validation(CertificateValidation::Full(certificate(file).map_err(wrong)?));
        }
        builder = match &settings.auth {
            ElasticsearchAuth::None => builder,
            ElasticsearchAuth::Basic { user, password } => {
                builder.auth(Credentials::Basic(user.clone(), password.expose().into()))
            }
            ElasticsearchAuth::ApiKey(key) => {
                // The client would panic on a key that no header can have.
                HeaderValue::try_from(key.expose())
                    .map_err(|_| wrong("elasticsearch.api_key: it is not base64".into()))?;
                builder.auth(Credentials::EncodedApiKey(key.expose().into()))
            }
        };
        let transport = builder.build().map_err(|error| wrong(chain(&error)))?;
        Ok(Self { transport, url: shown, credential, timeout: settings.timeout })
    }

    /// A request with a JSON body, or with none; the answer as JSON.
    ///
    /// # Errors
    /// All of [`Error`].
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let bytes = self.send(method, path, HeaderMap::new(), body, self.timeout).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.not_understood(&error.to_string()))
    }

    /// A bulk request: lines of actions and documents; the answer's JSON text. An item of an index that is no
    /// data stream is refused rather than have an index made.
    ///
    /// # Errors
    /// All of [`Error`], of the request as a whole.
    pub async fn bulk(&self, lines: Bytes, timeout: Duration) -> Result<Bytes, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        // Of the answer, only what an item's fate can be told by.
        let path = "_bulk?require_data_stream=true&filter_path=items.*.status,items.*.error";
        self.send(Method::Post, path, headers, Some(lines), timeout.min(self.timeout)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Bytes, Error> {
        let sent = self.transport.send(method, path, headers, None::<&()>, body, Some(timeout)).await;
        let response = sent.map_err(|error| self.lost(&error))?;
        match response.status_code().is_success() {
            true => response.bytes().await.map_err(|error| self.lost(&error)),
            false => Err(self.refused(response).await),
        }
    }

    /// What an answer that tells of no success means.
    async fn refused(&self, response: Response) -> Error {
        let status = response.status_code().as_u16();
        let text = response.text().await.unwrap_or_default();
        let (kind, reason) = reason(&text).unwrap_or_else(|| (String::new(), shortened(&text)));
        let message = format!("{status} {reason}");
        match status {
            _ if is_held_off(status, &kind) => Error::Unavailable { url: self.url.clone(), message },
            401 | 403 => {
                let message = format!("{message}: {}", self.credential.advice(status));
                Error::Misconfigured { url: self.url.clone(), message }
            }
            413 => Error::TooLarge,
            _ => Error::Refused { status, kind, reason },
        }
    }

    fn lost(&self, error: &elasticsearch::Error) -> Error {
        let (url, message) = (self.url.clone(), chain(error));
        match is_tls(error) {
            true => {
                let message = format!("{message}: check elasticsearch.url and elasticsearch.ca_file");
                Error::Misconfigured { url, message }
            }
            false => Error::Unavailable { url, message },
        }
    }

    /// Which settings say who we are.
    pub(crate) fn credential(&self) -> Credential {
        self.credential
    }

    fn not_understood(&self, message: &str) -> Error {
        let message = format!("this is not what Elasticsearch answers ({message})");
        Error::Misconfigured { url: self.url.clone(), message }
    }
}

fn certificate(file: &Path) -> Result<Certificate, String> {
    let told = |error: String| format!("elasticsearch.ca_file: {}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| told(error.to_string()))?;
    Certificate::from_pem(&pem).map_err(|error| told(chain(&error)))
}

/// Whether a status with Elasticsearch's word for it, of a request or of an item, may be another one later: a block
/// of an index or of the whole cluster is lifted some day, though with 403 it looks like a missing privilege.
pub(crate) fn is_held_off(status: u16, kind: &str) -> bool {
    matches!((status, kind), (403, "cluster_block_exception") | (408 | 429 | 500.., _))
}

/// The type and the reason in an error's JSON, the innermost cause included.
fn reason(text: &str) -> Option<(String, String)> {
    let answer: Value = serde_json::from_str(text).ok()?;
    told(answer.get("error")?)
}

/// The same of an `error` object, of an answer or of an item.
pub(crate) fn told(error: &Value) -> Option<(String, String)> {
    if let Some(text) = error.as_str() {
        return Some((String::new(), text.into()));
    }
    let kind = error.get("type")?.as_str()?.to_owned();
    let mut reason = error.get("reason").and_then(Value::as_str).unwrap_or(&kind).to_owned();
    // Where all shards say the same, one of them says why.
    let failed = error.pointer("/failed_shards/0/reason").unwrap_or(error);
    let mut next = Some(failed);
    while let Some(cause) = next {
        // The first line says it; a parser goes on with all that it would have taken.
        let line =
            cause.get("reason").and_then(Value::as_str).and_then(|text| text.lines().next()).unwrap_or_default();
        if !reason.contains(line) {
            reason = format!("{reason}: {line}");
        }
        next = cause.get("caused_by");
    }
    Some((kind, reason))
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
