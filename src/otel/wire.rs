//! Log records and spans as OTLP's protobuf, written by hand.
//!
//! A record or a span is appended as an element of its list, with its key and length, so that what was appended
//! behind each other is such a list too, and its bytes are what it adds to a request. Two requests behind each
//! other are one request.
//!
//! Fields stand in the order of their numbers, and none that has its default is written, so that the bytes are
//! those that any encoder makes (opentelemetry-proto 1.x: `logs/v1/logs.proto`, `trace/v1/trace.proto`,
//! `common/v1/common.proto`).

mod log;
mod proto;
mod request;
mod span;
#[cfg(test)]
mod tests;
mod value;

pub use log::log_record;
pub use request::{SCOPE, VERSION, logs_request, spans_request};
pub use span::span;

/// The flags of a trace that is recorded, as W3C has them.
const SAMPLED: u32 = 1;
