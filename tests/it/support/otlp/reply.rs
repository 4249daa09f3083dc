//! What the receiver does with a request.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use watchpost::config::Protocol;

use super::Body;

/// What it does with a request, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// Which of the records it takes.
    takes: Takes,
    /// It answers after so long.
    pub(super) delay: Duration,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone)]
enum Takes {
    All,
    None,
    But(Vec<String>),
}

/// What it says.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// OK, with so many rejected.
    Partial(i64, &'static str),
    /// A gRPC status, with RetryInfo.
    Grpc(i32, String, Option<Duration>),
    /// An HTTP status, with headers.
    Http(u16, Vec<(&'static str, String)>, &'static str),
    /// Nothing, ever.
    Silence,
    /// The connection breaks.
    Cut,
}

impl Reply {
    /// It takes everything.
    pub(crate) fn take() -> Self {
        Self { takes: Takes::All, delay: Duration::ZERO, answer: Answer::Partial(0, "") }
    }

    /// It takes nothing.
    pub(crate) fn refuse(answer: Answer) -> Self {
        Self { takes: Takes::None, delay: Duration::ZERO, answer }
    }

    /// It says another thing.
    pub(crate) fn say(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// It rejects these, and says how many.
    pub(crate) fn reject(ids: &[String], message: &'static str) -> Self {
        let rejected = i64::try_from(ids.len()).expect("few");
        Self { takes: Takes::But(ids.to_vec()), ..Self::take().say(Answer::Partial(rejected, message)) }
    }

    /// After so long.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub(super) fn takes(&self, id: &str) -> bool {
        match &self.takes {
            Takes::All => true,
            Takes::None => false,
            Takes::But(ids) => !ids.iter().any(|rejected| rejected == id),
        }
    }
}

/// The code of a gRPC status without RetryInfo.
impl From<i32> for Answer {
    fn from(code: i32) -> Self {
        Self::Grpc(code, "said the receiver".into(), None)
    }
}

/// An HTTP status.
impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::Http(status, Vec::new(), "said the receiver")
    }
}

pub(super) fn empty() -> Body {
    Full::default().boxed()
}

impl Answer {
    pub(super) fn write(self, protocol: Protocol) -> Response<Body> {
        match self {
            Self::Partial(rejected, message) => {
                let partial =
                    ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.into() };
                let partial_success = (partial != ExportLogsPartialSuccess::default()).then_some(partial);
                let body = ExportLogsServiceResponse { partial_success }.encode_to_vec();
                if protocol == Protocol::Grpc { message_and_ok(&body) } else { protobuf(body) }
            }
            Self::Grpc(code, message, delay) => status(code, &message, delay),
            Self::Http(status, headers, body) => http(status, headers, body),
            Self::Silence | Self::Cut => Response::new(empty()),
        }
    }
}

fn protobuf(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

fn http(status: u16, headers: Vec<(&'static str, String)>, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().expect("a value"));
    }
    response
}

fn message_and_ok(message: &[u8]) -> Response<Body> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("short"));
    frame.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames: [Result<Frame<Bytes>, Infallible>; 2] =
        [Ok(Frame::data(frame.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn status(code: i32, message: &str, delay: Option<Duration>) -> Response<Body> {
    let details = ErrorDetails::with_retry_info(delay);
    let details = Status::with_error_details(Code::from_i32(code), message, details).details().to_vec();
    let mut response = Response::new(empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", code.into());
    headers.insert("grpc-message", message.parse().expect("a value"));
    if delay.is_some() {
        headers.insert("grpc-status-details-bin", STANDARD_NO_PAD.encode(details).parse().expect("a value"));
    }
    response
}
