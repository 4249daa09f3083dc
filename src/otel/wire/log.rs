//! Log records.

use super::SAMPLED;
use super::proto::{BYTES, EIGHT, FOUR, VARINT, bytes, eight, key, message, number, text};
use super::value::{attribute, text_value};
use crate::otel::Record;
use crate::otel::time::nanos;

/// Of `ScopeLogs`.
const LOG_RECORDS: u8 = key(2, BYTES);

/// Fields of `LogRecord`.
const TIME: u8 = key(1, EIGHT);
const SEVERITY_NUMBER: u8 = key(2, VARINT);
const SEVERITY_TEXT: u8 = key(3, BYTES);
const BODY: u8 = key(5, BYTES);
const ATTRIBUTES: u8 = key(6, BYTES);
const FLAGS: u8 = key(8, FOUR);
const TRACE_ID: u8 = key(9, BYTES);
const SPAN_ID: u8 = key(10, BYTES);
const OBSERVED: u8 = key(11, EIGHT);
const EVENT_NAME: u8 = key(12, BYTES);

/// Appends a record, as an element of `ScopeLogs.log_records`. Nothing is allocated but room in `out`.
pub fn log_record(record: &Record<'_>, out: &mut Vec<u8>) {
    message(LOG_RECORDS, out, |out| {
        eight(TIME, nanos(record.time), out);
        number(SEVERITY_NUMBER, record.severity_number.into(), out);
        text(SEVERITY_TEXT, &record.severity_text, out);
        text_value(BODY, &record.body, out);
        for (name, value) in &record.attributes {
            attribute(ATTRIBUTES, name, value, out);
        }
        if let Some(trace_id) = record.trace_id {
            out.push(FLAGS);
            out.extend_from_slice(&SAMPLED.to_le_bytes());
            bytes(TRACE_ID, &trace_id.0, out);
        }
        if let Some(span_id) = record.span_id {
            bytes(SPAN_ID, &span_id.0, out);
        }
        eight(OBSERVED, nanos(record.observed), out);
        text(EVENT_NAME, &record.event_name, out);
    });
}
