//! The bodies of requests: what they are, and reading the small ones.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::api::Error;
use crate::event::Invalid;

/// The most bytes of a body that is read as a whole.
pub const MAX_BODY: usize = 1 << 20;
/// How long such a body may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// One JSON value.
    Json,
    /// JSON lines.
    Lines,
    /// It does not say; an empty body need not.
    Untold,
}

/// What the headers say of the body.
///
/// # Errors
/// 415 for what is not read here: other types, and compressed ones.
pub(super) fn content(headers: &HeaderMap) -> Result<Content, Error> {
    let unsupported = |field, message| Err(Error::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, field, message));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return unsupported("Content-Encoding", "expected a body that is not compressed");
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(Content::Untold) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Content::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Content::Lines),
        _ => {
            unsupported("Content-Type", "expected application/json, or application/x-ndjson where events are sent")
        }
    }
}

/// Reads a body of JSON as text; an empty one is `{}`.
///
/// # Errors
/// 415 where it is something else, 413 where it is over [`MAX_BODY`], 408 where it takes too long, 400 where it is
/// cut off or no UTF-8.
pub(super) async fn text(headers: &HeaderMap, body: Body) -> Result<String, Error> {
    let content = content(headers)?;
    let whole = tokio::time::timeout(TIMEOUT, whole(body)).await;
    let slow = |_| Error::field(StatusCode::REQUEST_TIMEOUT, "body", "the body did not come in time");
    let bytes = whole.map_err(slow)??;
    match content {
        _ if bytes.trim_ascii().is_empty() => Ok("{}".into()),
        Content::Json => String::from_utf8(bytes).map_err(|error| wrong(&format!("UTF-8 ({error})"))),
        Content::Lines | Content::Untold => {
            let expected = "expected Content-Type: application/json";
            Err(Error::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type", expected))
        }
    }
}

async fn whole(body: Body) -> Result<Vec<u8>, Error> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| wrong(&format!("a whole body ({error})")))?;
        if bytes.len() + part.len() > MAX_BODY {
            let message = format!("expected at most {MAX_BODY} bytes; JSON lines have no such limit");
            return Err(Error::field(StatusCode::PAYLOAD_TOO_LARGE, "body", message));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Reads a body of JSON as a type.
pub(super) async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Error> {
    let text = text(headers, body).await?;
    serde_json::from_str(&text).map_err(|error| wrong(&format!("JSON as this route takes it ({error})")))
}

fn wrong(expected: &str) -> Error {
    Invalid::new("body", "", expected).into()
}
