//! Trace and span ids as OTLP has them: bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::span::Role;
use crate::event::{StreamId, Timestamp, trace};

/// A trace id; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TraceId(pub [u8; 16]);

/// A span id; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// Reads 32 hex digits; nothing where they are none, or all zero.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes(hex).map(Self)
    }

    /// That of a session that nobody called with one.
    pub fn of_session(session: &StreamId, start: Timestamp) -> Self {
        Self(trace::session_trace_id(session, start))
    }

    /// That of one life of a process.
    pub fn of_run(stream: &StreamId, run: Uuid) -> Self {
        Self(trace::run_trace_id(stream, run))
    }

    /// That of the start of a project.
    pub fn of_startup(stream: &StreamId) -> Self {
        Self(trace::startup_trace_id(stream))
    }
}

impl SpanId {
    /// That of the span which the event with that seq opens in that role.
    pub fn of(trace_id: TraceId, seq: u64, role: Role) -> Self {
        Self(trace::span_id_bytes(&trace_id.to_string(), seq, role.as_str()))
    }

    /// That of one of several spans which the same event opens in the same role: its name goes with the role.
    pub fn of_one(trace_id: TraceId, seq: u64, role: Role, name: &str) -> Self {
        Self(trace::span_id_bytes(&trace_id.to_string(), seq, &format!("{}/{name}", role.as_str())))
    }

    /// Reads 16 hex digits; nothing where they are none, or all zero.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes(hex).map(Self)
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (bytes != [0; N]).then_some(bytes)
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written_in_hex_and_never_zero() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(TraceId::parse(trace).map(|id| id.to_string()).as_deref(), Some(trace));
        assert_eq!(SpanId::parse("00f067aa0ba902b7").map(|id| id.0[1]), Some(0xf0));
        for wrong in ["", "00f067aa0ba902b", "00f067aa0ba902bg", "0000000000000000", "+1f067aa0ba902b7"] {
            assert_eq!(SpanId::parse(wrong), None, "{wrong}");
        }
    }
}
