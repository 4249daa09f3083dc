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

/// The fields of such bodies that are told by name.
const FIELDS: [&str; 9] =
    ["id", "traceparent", "ts", "metadata", "status", "exit_code", "error", "counts", "reason"];

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
    parse(&text(headers, body).await?).map_err(Into::into)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Invalid::new("body", text, "a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let field = FIELDS.into_iter().find(|field| path.split('.').next() == Some(field));
        Invalid::new(field.unwrap_or("body"), "", format!("what this route takes ({})", error.inner()))
    })?;
    json.end().map_err(|error| Invalid::new("body", "", format!("one JSON object ({error})")))?;
    Ok(read)
}

fn wrong(expected: &str) -> Error {
    Invalid::new("body", "", expected).into()
}

#[cfg(test)]
mod tests {
    use super::super::manage::Begin;
    use super::*;
    use crate::session::End;

    fn check<T: DeserializeOwned>(text: &str, field: &str) {
        let read: Result<T, Invalid> = parse(text);
        assert_eq!(read.err().map_or("none", |invalid| invalid.field), field, "{text}");
    }

    #[test]
    fn what_is_wrong_in_a_body_is_told_by_its_field() {
        check::<Begin>(r#"{"id":"a","metadata":{"a":1}}"#, "none");
        check::<Begin>(r#"{"id":7}"#, "id");
        check::<Begin>(r#"{"ts":7}"#, "ts");
        check::<Begin>(r#"{"meta":{}}"#, "body");
        check::<Begin>(r#"{"id":"a"} x"#, "body");
        check::<Begin>(r#"["a",null,null,null]"#, "body");
        check::<Begin>("", "body");
        check::<End>(r#"{"status":"completed","counts":{"a":1}}"#, "none");
        check::<End>(r#"{"status":"great"}"#, "status");
        check::<End>(r#"{"status":"failed","exit_code":"3"}"#, "exit_code");
        check::<End>(r#"{"status":"failed","counts":{"a":"b"}}"#, "counts");
        check::<End>(r#"["completed"]"#, "body");
    }
}
