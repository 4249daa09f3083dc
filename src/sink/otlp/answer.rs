//! What a receiver's answer means, by the OTLP specification. Pure.
//!
//! | gRPC | HTTP | meaning |
//! |---|---|---|
//! | OK | 2xx | taken, but for what a partial success rejects |
//! | CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, RESOURCE_EXHAUSTED | 408, 429, 502, 503, 504 | later; after as long as RetryInfo or Retry-After says |
//! | a message that is larger than the receiver takes | 413 | in smaller requests |
//! | UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, NOT_FOUND | 401, 403, 404, 405, 406, 407, 415, 3xx | a person has to change something |
//! | any other | any other | these records are refused |

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::cause::{chain, is_tls};
use crate::event::Timestamp;

/// A receiver that asks for more patience gets no more than this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// So many characters of what a receiver said are kept.
const MAX_MESSAGE: usize = 1000;

/// The receiver took the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// So many records of it were rejected for good; as the receiver counts, which may be wrong.
    pub rejected: i64,
    /// Why; with nothing rejected, a warning.
    pub message: String,
}

/// The receiver did not take the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fail {
    /// It may, later.
    #[error("{message}")]
    Later {
        /// What it said.
        message: String,
        /// When to come back, where it said so: more than nothing, at most 5 minutes.
        after: Option<Duration>,
    },
    /// Not until a person changes something.
    #[error("{0}")]
    Wrong(String),
    /// It takes smaller ones.
    #[error("{0}")]
    TooLarge(String),
    /// Never, because of what is in it.
    #[error("{0}")]
    Refused(String),
}

fn later(message: impl Into<String>) -> Fail {
    Fail::Later { message: message.into(), after: None }
}

pub(super) fn too_slow(timeout: Duration) -> Fail {
    later(format!("no answer within {} ms", timeout.as_millis()))
}

pub(super) fn not_understood() -> Fail {
    later("the client could not read the answer")
}

/// Reads the body of an answer that says that the request was taken.
pub(super) fn of_protobuf(body: Bytes) -> Result<Answer, Fail> {
    // The answers of all three signals have the same fields under the same numbers.
    let answer = ExportLogsServiceResponse::decode(body);
    let answer = answer.map_err(|error| later(format!("an answer that is not OTLP ({error})")))?;
    let partial = answer.partial_success.unwrap_or_default();
    Ok(Answer { rejected: partial.rejected_log_records, message: shortened(&partial.error_message) })
}

/// What a status that is not OK means.
pub(super) fn of_status(status: &Status) -> Fail {
    if std::error::Error::source(status).is_some() {
        return of_transport(status);
    }
    let message = format!("{} ({:?})", shortened(status.message()), status.code());
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    // Who says when to come back means the same request, whatever the words are.
    if too_large(status) && delay.is_none() {
        return Fail::TooLarge(message);
    }
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::ResourceExhausted => Fail::Later { message, after: delay.and_then(wait) },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
            Fail::Wrong(message)
        }
        _ => Fail::Refused(message),
    }
}

/// The two codes that say so; the words are those of grpc-go, gRPC's C core, grpc-java and tonic.
fn too_large(status: &Status) -> bool {
    let said = status.message().to_ascii_lowercase();
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
        && ["larger than max", "exceeds maximum size", "too large"].iter().any(|words| said.contains(words))
}

/// What an error on the way to the receiver means.
pub(super) fn of_transport(error: &(dyn std::error::Error + 'static)) -> Fail {
    let message = shortened(&chain(error));
    // An alert of the receiver comes without its type.
    if is_tls(error) || message.contains("received fatal alert") {
        return Fail::Wrong(message);
    }
    later(message)
}

/// What an HTTP answer means.
pub(super) fn of_http(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Answer, Fail> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if status.is_success() {
        return if kind.starts_with("application/json") { of_json(&body) } else { of_protobuf(body) };
    }
    let message = said(status, kind, &body);
    Err(match status.as_u16() {
        408 | 429 | 502 | 503 | 504 => {
            let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value, Timestamp::now()));
            Fail::Later { message, after: after.and_then(wait) }
        }
        413 => Fail::TooLarge(message),
        300..=399 | 401 | 403..=407 | 415 => Fail::Wrong(message),
        _ => Fail::Refused(message),
    })
}

/// Some receivers answer in JSON, whatever they were asked in.
fn of_json(body: &[u8]) -> Result<Answer, Fail> {
    let answer: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| later(format!("an answer that is not OTLP ({error})")))?;
    let partial = &answer["partialSuccess"];
    let counts = ["rejectedLogRecords", "rejectedSpans", "rejectedDataPoints"].map(|name| &partial[name]);
    // 64 bits are text in protobuf's JSON.
    let count = |value: &serde_json::Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let message = shortened(partial["errorMessage"].as_str().unwrap_or_default());
    Ok(Answer { rejected: counts.into_iter().find_map(count).unwrap_or_default(), message })
}

/// What the body of an answer says: a `google.rpc.Status` by the specification, text by most proxies.
fn said(status: StatusCode, kind: &str, body: &[u8]) -> String {
    let protobuf = kind.starts_with("application/x-protobuf");
    let text = match tonic_types::Status::decode(body) {
        Ok(decoded) if protobuf => decoded.message,
        _ => String::from_utf8_lossy(body).trim().to_owned(),
    };
    if text.is_empty() { format!("HTTP {status}") } else { format!("{} (HTTP {status})", shortened(&text)) }
}

/// Seconds, or a date.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(date.as_millisecond() - now.as_millis()).ok().map(Duration::from_millis)
}

fn wait(asked: Duration) -> Option<Duration> {
    (!asked.is_zero()).then(|| asked.min(LONGEST_WAIT))
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
    use tonic_types::ErrorDetails;

    fn http(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Answer, Fail> {
        let pairs = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        });
        let status = StatusCode::from_u16(status).expect("a status");
        of_http(status, &pairs.collect(), Bytes::copy_from_slice(body.as_bytes()))
    }

    fn kind(fail: &Fail) -> &'static str {
        match fail {
            Fail::Later { after: None, .. } => "later",
            Fail::Later { .. } => "after",
            Fail::Wrong(_) => "wrong",
            Fail::TooLarge(_) => "too large",
            Fail::Refused(_) => "refused",
        }
    }

    #[test]
    fn each_grpc_code_has_its_meaning() {
        let expected = [
            (1, "later"),
            (2, "refused"),
            (3, "refused"),
            (4, "later"),
            (5, "wrong"),
            (6, "refused"),
            (7, "wrong"),
            (8, "later"),
            (9, "refused"),
            (10, "later"),
            (11, "later"),
            (12, "wrong"),
            (13, "refused"),
            (14, "later"),
            (15, "later"),
            (16, "wrong"),
        ];
        for (code, meaning) in expected {
            let fail = of_status(&Status::new(Code::from_i32(code), "said"));
            assert_eq!(kind(&fail), meaning, "{code}");
            assert!(fail.to_string().contains("said"), "{fail}");
        }
    }

    #[test]
    fn a_message_that_is_larger_than_the_receiver_takes_is_told_from_a_quota() {
        for said in [
            "grpc: received message larger than max (5000000 vs. 4194304)",
            "gRPC message exceeds maximum size 4194304: 5000000",
            "Received message larger than max (5 vs. 4)",
        ] {
            assert_eq!(kind(&of_status(&Status::resource_exhausted(said))), "too large", "{said}");
        }
        let said = "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes";
        assert_eq!(kind(&of_status(&Status::out_of_range(said))), "too large");
        assert_eq!(kind(&of_status(&Status::unavailable("the queue is too large"))), "later");
        assert_eq!(kind(&of_status(&Status::resource_exhausted("quota"))), "later");
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        let quota = Status::with_error_details(Code::ResourceExhausted, "request rate too large", details);
        assert_eq!(kind(&of_status(&quota)), "after");
    }

    #[test]
    fn retry_info_says_when_to_come_back() {
        let after = |delay| {
            let details = ErrorDetails::with_retry_info(delay);
            match of_status(&Status::with_error_details(Code::ResourceExhausted, "slow down", details)) {
                Fail::Later { after, .. } => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after(Some(Duration::from_millis(1500))), Some(Duration::from_millis(1500)));
        assert_eq!(after(Some(Duration::from_secs(86_400))), Some(LONGEST_WAIT));
        assert_eq!((after(Some(Duration::ZERO)), after(None)), (None, None));
    }

    #[test]
    fn each_http_status_has_its_meaning() {
        let meaning = |status| kind(&http(status, &[], "said").expect_err("not taken"));
        for status in [408, 429, 502, 503, 504] {
            assert_eq!(meaning(status), "later", "{status}");
        }
        for status in [301, 307, 401, 403, 404, 405, 407, 415] {
            assert_eq!(meaning(status), "wrong", "{status}");
        }
        for status in [400, 409, 422, 500, 501] {
            assert_eq!(meaning(status), "refused", "{status}");
        }
        assert_eq!(meaning(413), "too large");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |value: &str| match http(503, &[("retry-after", value)], "") {
            Err(Fail::Later { after, .. }) => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("99999"), Some(LONGEST_WAIT));
        for nothing in ["0", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(after(nothing), None, "{nothing}");
        }
        let now = Timestamp::from_millis(1_445_412_450_000);
        let date = HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(retry_after(&date, now), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_the_body_says_is_read() {
        let said = |headers: &[(&'static str, &str)], body| http(400, headers, body).expect_err("400").to_string();
        assert_eq!(said(&[], "bad things"), "bad things (HTTP 400 Bad Request)");
        assert_eq!(said(&[], ""), "HTTP 400 Bad Request");
        let status = tonic_types::Status { code: 3, message: "field 7".into(), details: Vec::new() };
        let body = String::from_utf8(status.encode_to_vec()).expect("it is text by chance");
        assert!(said(&[("content-type", "application/x-protobuf")], &body).starts_with("field 7 (HTTP 400"));
    }

    #[test]
    fn a_partial_success_is_read_however_it_is_written() {
        let answer = |rejected, message: &str| Ok(Answer { rejected, message: message.into() });
        let partial = ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "no".into() };
        let body = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(of_protobuf(body.into()), answer(3, "no"));
        assert_eq!(of_protobuf(Bytes::new()), answer(0, ""));
        let json = [("content-type", "application/json; charset=utf-8")];
        let body = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}"#;
        assert_eq!(http(200, &json, body), answer(2, "no"));
        assert_eq!(http(200, &json, "{}"), answer(0, ""));
        for strange in [http(200, &[], "<html>"), http(200, &json, "<html>")] {
            assert_eq!(kind(&strange.expect_err("not OTLP")), "later");
        }
    }
}
