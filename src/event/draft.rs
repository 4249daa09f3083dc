//! What a sender hands in, and what is wrong with it.

use std::fmt;

use uuid::Uuid;

use super::{
    Data, Event, Kind, MAX_EVENT_BYTES, MAX_HOPS, Origin, SenderId, Severity, StreamId, Subject, Timestamp, Trace,
};

/// A field that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field's name, as it stands in the event's JSON.
    pub field: &'static str,
    /// What was found, cut to 80 characters.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Invalid {
    /// Names the field, what stood there and what should have.
    pub fn new(field: &'static str, found: &str, expected: impl Into<String>) -> Self {
        Self { field, found: found.chars().take(80).collect(), expected: expected.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.field, self.expected)?;
        if !self.found.is_empty() {
            write!(f, ", found {:?}", self.found)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// An event that has no place in its stream yet: what a sender hands to ingest.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The sender's id; without one the event gets a UUIDv7 and repeats are not noticed.
    pub id: Option<SenderId>,
    /// When it happened; without it, the time of commit.
    pub ts: Option<Timestamp>,
    /// The stream that it belongs to.
    pub session: StreamId,
    /// Its type.
    pub kind: Kind,
    /// Its subject.
    pub subject: Subject,
    /// How loud it is.
    pub severity: Severity,
    /// Who and what it comes from.
    pub origin: Origin,
    /// Joins events across streams.
    pub correlation_id: Option<Uuid>,
    /// The trace that the sender was in.
    pub trace: Option<Trace>,
    /// How many observers it came through.
    pub hops: u8,
    /// The payload.
    pub data: Data,
}

impl Draft {
    /// A draft with nothing but what every event must have.
    pub fn new(session: StreamId, kind: Kind, subject: Subject, severity: Severity, data: Data) -> Self {
        Self {
            id: None,
            ts: None,
            session,
            kind,
            subject,
            severity,
            origin: Origin::default(),
            correlation_id: None,
            trace: None,
            hops: 0,
            data,
        }
    }

    /// Checks what the types of the fields do not: the size and the number of hops.
    pub fn validate(&self) -> Result<(), Invalid> {
        let bytes = self.size();
        if bytes > MAX_EVENT_BYTES {
            let expected = format!("an event of at most {MAX_EVENT_BYTES} bytes as JSON, this one has {bytes}");
            return Err(Invalid::new("data", "", expected));
        }
        if self.hops > MAX_HOPS {
            return Err(Invalid::new("hops", &self.hops.to_string(), format!("at most {MAX_HOPS}")));
        }
        Ok(())
    }

    /// About how many bytes it has as JSON: the payload and the strings, and 300 for the rest.
    pub fn size(&self) -> usize {
        let origin = &self.origin;
        let names = [&origin.hub_id, &origin.source, &origin.service, &origin.host, &origin.user];
        let origin: usize = names.into_iter().flatten().map(|name| name.len()).sum();
        300 + self.data.get().len() + self.subject.as_str().len() + self.session.as_str().len() + origin
    }

    /// The first field in which it differs from the event that was stored under its id.
    pub(crate) fn differs(&self, event: &Event) -> Option<&'static str> {
        let checks = [
            ("type", self.kind == event.kind),
            ("subject", self.subject == event.subject),
            ("severity", self.severity == event.severity),
            ("ts", self.ts.is_none_or(|ts| ts == event.ts)),
            ("origin", self.origin == event.origin),
            ("hops", self.hops == event.hops),
            ("correlation_id", self.correlation_id == event.correlation_id),
            ("trace", self.trace == event.trace),
            ("data", self.data == event.data || same_json(self.data.get(), event.data.get())),
        ];
        checks.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }
}

fn same_json(a: &str, b: &str) -> bool {
    let parse = serde_json::from_str::<serde_json::Value>;
    matches!((parse(a), parse(b)), (Ok(a), Ok(b)) if a == b)
}
