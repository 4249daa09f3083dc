//! Trace context: the ids that a session's spans have, and the `traceparent` of W3C that carries them.
//!
//! Ids are worked out, not drawn, so that they are the same at every replay: a session's trace id is that of its
//! caller, else the first 16 bytes of SHA-256 over (session id, its start in ms); that of a process's run is over
//! (stream, run id), that of a project's start over (stream, `startup`); a span's id is the first 8 of SHA-256 over
//! (trace id, seq of the event that opens it, role). In a caller's trace, where other sessions may be with the same
//! seqs and roles, a session's role has its id behind it: `session/build-17`. None is ever zero.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Invalid, StreamId, Timestamp, Trace};

/// The role of the span that stands for a whole session; its event is `session_started`, seq 1.
pub const SESSION: &str = "session";

/// What a `traceparent` header has to be.
const RULE: &str =
    "a W3C traceparent such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, in lower case";

impl Trace {
    /// The trace id of a session that nobody called with one, by its start.
    pub fn of_session(session: &StreamId, start: Timestamp) -> String {
        text(&session_trace_id(session, start))
    }

    /// What `session_started` carries: the caller's trace where there is one, the session's root span, and the
    /// caller's span as its parent.
    pub fn root(session: &StreamId, start: Timestamp, caller: Option<&Traceparent>) -> Self {
        let trace_id = caller.map_or_else(|| Self::of_session(session, start), |caller| caller.trace_id.clone());
        let role = caller.map_or_else(|| SESSION.to_owned(), |_| format!("{SESSION}/{session}"));
        let span_id = Some(span_id(&trace_id, 1, &role));
        Self { trace_id, span_id, parent_id: caller.map(|caller| caller.span_id.clone()) }
    }
}

/// The trace id of a session that nobody called with one, by its start.
pub fn session_trace_id(session: &StreamId, start: Timestamp) -> [u8; 16] {
    first([session.as_str().as_bytes(), &[0], &start.as_millis().to_be_bytes()])
}

/// The trace id of one life of a process.
pub fn run_trace_id(stream: &StreamId, run: Uuid) -> [u8; 16] {
    first([stream.as_str().as_bytes(), &[0], run.as_bytes()])
}

/// The trace id of the start of a project.
pub fn startup_trace_id(stream: &StreamId) -> [u8; 16] {
    first([stream.as_str().as_bytes(), &[0], b"startup"])
}

/// The id of the span that the event with that seq opens in that role: 16 hex digits.
pub fn span_id(trace_id: &str, seq: u64, role: &str) -> String {
    text(&span_id_bytes(trace_id, seq, role))
}

/// The same as bytes.
pub fn span_id_bytes(trace_id: &str, seq: u64, role: &str) -> [u8; 8] {
    first([trace_id.as_bytes(), &seq.to_be_bytes(), role.as_bytes()])
}

/// The first bytes of a hash; never all zero.
fn first<const N: usize, const BYTES: usize>(parts: [&[u8]; N]) -> [u8; BYTES] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let mut bytes = [0; BYTES];
    bytes.copy_from_slice(&hash.finalize()[..BYTES]);
    if bytes == [0; BYTES] {
        bytes[BYTES - 1] = 1;
    }
    bytes
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A W3C trace context as the header `traceparent` and the variable `TRACEPARENT` carry it.
///
/// It is written as version 00. A later version is read by what it has in common with that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent {
    /// 32 hex digits in lower case, not all zero.
    pub trace_id: String,
    /// 16 hex digits in lower case, not all zero: the span that calls, `parent-id` in the standard.
    pub span_id: String,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl Traceparent {
    /// The context that a session's own events and its children are in: its root span.
    pub fn of(trace: &Trace, session: &StreamId, start: Timestamp) -> Self {
        let root = || Trace::root(session, start, None).span_id.unwrap_or_default();
        Self {
            trace_id: trace.trace_id.clone(),
            span_id: trace.span_id.clone().unwrap_or_else(root),
            sampled: true,
        }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for Traceparent {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        read(text).ok_or_else(|| Invalid::new("traceparent", text, RULE))
    }
}

fn read(text: &str) -> Option<Traceparent> {
    let mut parts = text.split('-');
    let (version, trace_id) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
    let (span_id, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    let known = version == "00";
    if version == "ff" || known && parts.next().is_some() || is_zero(trace_id) || is_zero(span_id) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Traceparent { trace_id: trace_id.to_owned(), span_id: span_id.to_owned(), sampled: flags & 1 == 1 })
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(plain)).then_some(text)
}

/// Whether a text is an id as W3C has them: so many hex digits in lower case, not all zero.
pub(super) fn is_id(text: &str, digits: usize) -> bool {
    hex(text, digits).is_some_and(|id| !is_zero(id))
}

fn is_zero(id: &str) -> bool {
    id.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn session() -> StreamId {
        StreamId::new("build-17").expect("an id")
    }

    #[test]
    fn a_traceparent_is_read_and_written_as_w3c_has_it() {
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("fe", false)] {
            let read: Traceparent = format!("00-{TRACE}-{SPAN}-{flags}").parse().expect(flags);
            assert_eq!((read.trace_id.as_str(), read.span_id.as_str(), read.sampled), (TRACE, SPAN, sampled));
            assert_eq!(read.to_string(), format!("00-{TRACE}-{SPAN}-0{}", u8::from(sampled)));
        }
    }

    #[test]
    fn a_later_version_is_read_by_what_it_has_in_common() {
        for text in [format!("01-{TRACE}-{SPAN}-01"), format!("cc-{TRACE}-{SPAN}-01-what-ever.COMES")] {
            assert!(text.parse::<Traceparent>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused_and_the_field_named() {
        let zero = |n| "0".repeat(n);
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", zero(32)),
            format!("00-{TRACE}-{}-01", zero(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-011"),
        ] {
            let error = text.parse::<Traceparent>().expect_err(&text).to_string();
            assert!(error.starts_with("traceparent: expected"), "{error}");
        }
    }

    #[test]
    fn ids_are_the_same_at_every_replay_and_hang_on_all_they_are_made_of() {
        let start = Timestamp::from_millis(1_760_608_411_000);
        let id = Trace::of_session(&session(), start);
        // Worked out beside: sha256sum of `build-17`, a zero byte and the start as eight bytes.
        assert_eq!(id, "277a5551b668a34c806e2ccc42123f34");
        assert_ne!(id, Trace::of_session(&session(), start.plus_millis(1)));
        assert_ne!(id, Trace::of_session(&StreamId::new("build-18").expect("an id"), start));
        let span = span_id(&id, 1, SESSION);
        assert_eq!((span.len(), &span), (16, &span_id(&id, 1, SESSION)));
        for other in [span_id(&id, 2, SESSION), span_id(&id, 1, "level"), span_id(TRACE, 1, SESSION)] {
            assert_ne!(span, other);
        }
    }

    #[test]
    fn a_session_is_in_its_callers_trace() {
        let start = Timestamp::from_millis(0);
        let caller: Traceparent = format!("00-{TRACE}-{SPAN}-01").parse().expect("a context");
        let root = Trace::root(&session(), start, Some(&caller));
        assert_eq!((root.trace_id.as_str(), root.parent_id.as_deref()), (TRACE, Some(SPAN)));
        assert_eq!(root.span_id, Some(span_id(TRACE, 1, "session/build-17")));
        let child = Traceparent::of(&root, &session(), start);
        let child = Trace::root(&StreamId::new("build-18").expect("an id"), start, Some(&child));
        assert_eq!((&child.trace_id, &child.parent_id), (&root.trace_id, &root.span_id));
        assert_ne!(child.span_id, root.span_id, "a session below another one");
        let own = Trace::root(&session(), start, None);
        assert_eq!((own.trace_id, own.parent_id), (Trace::of_session(&session(), start), None));
    }
}
