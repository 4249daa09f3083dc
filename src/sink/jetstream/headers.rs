//! The headers of a message: CloudEvents in binary mode, what JetStream checks, and what we read back.

use async_nats::HeaderMap;
use async_nats::header::{
    HeaderName, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID,
};
use uuid::Uuid;

use crate::event::{Class, Event, Logged, Offset};

/// Names the cursor that wrote a message.
pub(super) const WRITER: HeaderName = HeaderName::from_static("Watchpost-Writer");
/// The event's offset in the log of that writer; missing on an event sent again out of its turn.
pub(super) const OFFSET: HeaderName = HeaderName::from_static("Watchpost-Offset");

/// What must be last in the stream for a message to be taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expect {
    /// A message with this sequence.
    Sequence(u64),
    /// The message with this id.
    Id(Uuid),
    /// Anything: others publish to the stream too.
    Anything,
}

/// What all messages of one connection have in common.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) writer: Uuid,
    pub(super) stream: String,
}

/// The headers of one message; `in_turn`: it has its place in the order of the log.
pub(super) fn of(logged: &Logged, stamp: &Stamp, expect: &Expect, in_turn: bool) -> HeaderMap {
    let event = &logged.event;
    let id = event.id.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, id.as_str());
    headers.insert(NATS_EXPECTED_STREAM, stamp.stream.as_str());
    match expect {
        Expect::Sequence(last) => headers.insert(NATS_EXPECTED_LAST_SEQUENCE, last.to_string()),
        Expect::Id(last) => headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, last.to_string()),
        Expect::Anything => {}
    }
    headers.insert(WRITER, stamp.writer.to_string());
    if in_turn {
        headers.insert(OFFSET, logged.offset.to_string());
    }
    cloud_event(event, id, &mut headers);
    headers
}

/// The CloudEvents 1.0 attributes, as the NATS binding has them in binary mode.
fn cloud_event(event: &Event, id: String, headers: &mut HeaderMap) {
    let name = HeaderName::from_static;
    headers.insert(name("content-type"), "application/json");
    headers.insert(name("ce-specversion"), "1.0");
    headers.insert(name("ce-id"), id);
    headers.insert(name("ce-source"), format!("urn:watchpost:stream:{}", event.session));
    headers.insert(name("ce-type"), format!("{}.{}", class(event.session.class()), event.kind));
    headers.insert(name("ce-time"), event.ts.to_string());
    headers.insert(name("ce-subject"), percent(event.subject.as_str()));
    headers.insert(name("ce-sequence"), event.seq.to_string());
    if let Some(correlation) = event.correlation_id {
        headers.insert(name("ce-correlationid"), correlation.to_string());
    }
    let trace = event.trace.as_ref();
    if let Some((trace_id, span_id)) = trace.and_then(|t| Some((&t.trace_id, t.span_id.as_ref()?))) {
        headers.insert(name("ce-traceparent"), format!("00-{trace_id}-{span_id}-01"));
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Process => "process",
        Class::Source => "source",
        Class::Session => "session",
        Class::Hub => "hub",
        Class::Observer => "observer",
    }
}

/// A subject is visible ASCII; the binding wants these two escaped beyond that.
fn percent(text: &str) -> String {
    text.replace('%', "%25").replace('"', "%22")
}

/// What a message in the stream tells of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Told {
    /// `Nats-Msg-Id`.
    pub(super) id: Option<String>,
    /// Who wrote it, where it was a sink of ours.
    pub(super) writer: Option<Uuid>,
    /// The event's offset in the writer's log.
    pub(super) offset: Option<Offset>,
}

/// Reads back what [`of`] wrote.
pub(super) fn read(headers: Option<&HeaderMap>) -> Told {
    let text = |name: HeaderName| Some(headers?.get(name)?.as_str().to_owned());
    Told {
        id: text(NATS_MESSAGE_ID),
        writer: text(WRITER).and_then(|writer| writer.parse().ok()),
        offset: text(OFFSET).and_then(|offset| offset.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Timestamp, Trace, testing};

    fn logged() -> Logged {
        let event = Event {
            id: Uuid::from_u128(1),
            observed: Timestamp::from_millis(5),
            seq: 9,
            subject: testing::subject("hub.main.50%.\"x\""),
            correlation_id: Some(Uuid::from_u128(2)),
            trace: Some(Trace { trace_id: "a".repeat(32), span_id: Some("b".repeat(16)), parent_id: None }),
            ..testing::event("hub-project", "created")
        };
        Logged { offset: 40, event: event.into() }
    }

    fn check(expect: &Expect, in_turn: bool, expected: &[(&str, &str)], missing: &[&str]) {
        let stamp = Stamp { writer: Uuid::from_u128(3), stream: "S".into() };
        let headers = of(&logged(), &stamp, expect, in_turn);
        for (name, value) in expected {
            assert_eq!(headers.get(*name).map(|value| value.as_str()), Some(*value), "{name}");
        }
        for name in missing {
            assert_eq!(headers.get(*name), None, "{name}");
        }
        let told = Told {
            id: Some(Uuid::from_u128(1).to_string()),
            writer: Some(stamp.writer),
            offset: in_turn.then_some(40),
        };
        assert_eq!(read(Some(&headers)), told);
    }

    #[test]
    fn a_message_says_what_it_is_and_what_must_be_before_it() {
        let trace = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
        let cloud_event = [
            ("ce-type", "hub.created"),
            ("ce-subject", "hub.main.50%25.%22x%22"),
            ("ce-time", "1970-01-01T00:00:00.000Z"),
            ("ce-sequence", "9"),
            ("ce-correlationid", "00000000-0000-0000-0000-000000000002"),
            ("ce-traceparent", &trace),
            ("Nats-Expected-Stream", "S"),
        ];
        let (by_id, by_sequence) = ("Nats-Expected-Last-Msg-Id", "Nats-Expected-Last-Sequence");
        check(&Expect::Anything, true, &cloud_event, &[by_id, by_sequence]);
        check(&Expect::Sequence(7), true, &[(by_sequence, "7")], &[by_id]);
        let last = Uuid::from_u128(4);
        check(&Expect::Id(last), false, &[(by_id, &last.to_string())], &[by_sequence, "Watchpost-Offset"]);
    }

    #[test]
    fn a_message_of_anybody_else_says_nothing() {
        assert_eq!(read(None), Told::default());
        let mut headers = HeaderMap::new();
        headers.insert(WRITER, "not a UUID");
        headers.insert(OFFSET, "-1");
        assert_eq!(read(Some(&headers)), Told::default());
    }
}
