//! Log records and spans as OTLP's protobuf, written by hand.
//!
//! A record or a span is appended as an element of its list, with its tag and length, so that what was appended
//! behind each other is such a list too, and its bytes are what it adds to a request. Two requests behind each
//! other are one request.

use super::{Record, Resource, Span};

/// Appends a record, as an element of `ScopeLogs.log_records`.
pub fn log_record(record: &Record<'_>, out: &mut Vec<u8>) {
    let _ = (record, out);
}

/// Appends a span, as an element of `ScopeSpans.spans`.
pub fn span(span: &Span, out: &mut Vec<u8>) {
    let _ = (span, out);
}

/// Appends an `ExportLogsServiceRequest` of what [`log_record`] wrote, grouped by resource in the order in which
/// each first comes; one resource's records stay in their order.
pub fn logs_request<'a>(records: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    request(records, out);
}

/// The same for an `ExportTraceServiceRequest` of what [`span`] wrote.
pub fn spans_request<'a>(spans: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    request(spans, out);
}

fn request<'a>(items: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    for (resource, bytes) in items {
        let _ = resource;
        out.extend_from_slice(bytes);
    }
}
