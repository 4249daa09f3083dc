//! Events for tests.

use uuid::Uuid;

use super::{Data, Event, Kind, Origin, Severity, StreamId, Subject, Timestamp};

/// The first event of a stream, at the time 0 and without an id, with an empty payload. A test that cares about
/// more says so: `Event { seq: 2, ..event("proc-main-1", "started") }`.
pub(crate) fn event(stream: &str, kind: &str) -> Event {
    Event {
        id: Uuid::nil(),
        ts: Timestamp::default(),
        observed: Timestamp::default(),
        session: StreamId::new(stream).expect("an id"),
        seq: 1,
        kind: Kind::new(kind).expect("a type"),
        subject: subject("core.test"),
        severity: Severity::Info,
        origin: Origin::default(),
        correlation_id: None,
        trace: None,
        hops: 0,
        data: data("{}"),
    }
}

/// A payload.
pub(crate) fn data(json: impl Into<String>) -> Data {
    Data::parse(json.into()).expect("an object")
}

/// A subject.
pub(crate) fn subject(subject: &str) -> Subject {
    Subject::parse(subject).expect("a subject")
}

/// The source `main`, and nothing else.
pub(crate) fn from_main() -> Origin {
    Origin { source: Some("main".into()), ..Origin::default() }
}
