//! Events to send.

use uuid::Uuid;
use watchpost::event::{Data, Event, Kind, Logged, Offset, Origin, Severity, StreamId, Subject, Timestamp};

/// A process event at an offset: its id is told by the offset, so that a test can tell it again.
pub(crate) fn logged(offset: Offset) -> Logged {
    of("web", "status_changed", offset)
}

/// The same, of a process and a type of one's own.
pub(crate) fn of(process: &str, kind: &str, offset: Offset) -> Logged {
    let kind = Kind::new(kind).expect("a type");
    let data = format!(r#"{{"process":"{process}","namespace":"default","n":{offset}}}"#);
    let event = Event {
        id: id(offset),
        ts: Timestamp::now(),
        observed: Timestamp::now(),
        session: StreamId::new("proc-main-1").expect("an id"),
        seq: offset + 1,
        subject: Subject::process("core.process", "default", process, &kind).expect("a subject"),
        kind,
        severity: Severity::Info,
        origin: Origin::default(),
        correlation_id: None,
        trace: None,
        hops: 0,
        data: Data::parse(data).expect("an object"),
    };
    Logged { offset, event: event.into() }
}

/// The id of the event at an offset.
pub(crate) fn id(offset: Offset) -> Uuid {
    Uuid::from_u128(0x7000_8000_0000_0000_0000 + u128::from(offset))
}

/// So many of them, from an offset on.
pub(crate) fn run(from: Offset, count: u64) -> Vec<Logged> {
    (from..from + count).map(logged).collect()
}
