//! Ids: of streams, and of events.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Invalid;

/// What kind of stream an event belongs to; the id of the stream tells it by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// One life of a supervisor: `proc-{source}-{start}`.
    Process,
    /// How a source itself fares: `source-{source}`.
    Source,
    /// One session of work, under its own id.
    Session,
    /// A domain of a hub: `hub-{domain}`.
    Hub,
    /// What an observer did: `observer-{name}`.
    Observer,
}

/// The id of a stream: 1 to 128 of `A-Z a-z 0-9 _ - =`, beginning with a letter or a digit.
///
/// That makes it safe as a part of a key, as one token of a subject and in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Checks and takes an id.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Invalid> {
        let id = id.as_ref();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-=".contains(&b);
        if id.len() > 128 || !id.starts_with(|c: char| c.is_ascii_alphanumeric()) || !id.bytes().all(plain) {
            let rule = "1 to 128 of A-Z, a-z, 0-9, `_`, `-`, `=`, beginning with a letter or a digit";
            return Err(Invalid::new("session", id, rule));
        }
        Ok(Self(id.into()))
    }

    /// The stream of one life of a supervisor, told by its start time.
    pub fn process(source: &str, started: super::Timestamp) -> Result<Self, Invalid> {
        Self::new(format!("proc-{source}-{}", started.as_millis()))
    }

    /// The stream that tells how a source itself fares.
    pub fn source(source: &str) -> Result<Self, Invalid> {
        Self::new(format!("source-{source}"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of stream that it names.
    pub fn class(&self) -> Class {
        match self.0.split_once('-') {
            Some(("proc", _)) => Class::Process,
            Some(("source", _)) => Class::Source,
            Some(("hub", _)) => Class::Hub,
            Some(("observer", _)) => Class::Observer,
            _ => Class::Session,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StreamId {
    type Error = Invalid;
    fn try_from(id: String) -> Result<Self, Invalid> {
        Self::new(id)
    }
}

/// The namespace of ids made from senders' ids: UUIDv5 of the URL namespace and `urn:watchpost:stream`.
const NAMESPACE: Uuid = Uuid::from_u128(0x08238777_4041_567d_9e02_4d6b60154a0a);

/// The id that a sender gave to an event: a UUID, or 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SenderId(Arc<str>);

impl SenderId {
    /// Checks and takes an id.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Invalid> {
        let id = id.as_ref();
        if id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new("id", id, "a UUID, or 1 to 128 visible ASCII characters"));
        }
        Ok(Self(id.into()))
    }

    /// The event's id: the sender's own where it is a UUID, else UUIDv5 of (stream, id), so that the same
    /// id in the same stream is the same event wherever it is worked out.
    pub fn event_id(&self, stream: &StreamId) -> Uuid {
        Uuid::try_parse(&self.0)
            .unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, format!("{stream}\0{}", self.0).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_class_is_told_by_its_id() {
        let class = |id: &str| StreamId::new(id).map(|id| id.class());
        assert_eq!(class("proc-main-1700000000000"), Ok(Class::Process));
        assert_eq!(class("source-main"), Ok(Class::Source));
        assert_eq!(class("hub-project"), Ok(Class::Hub));
        assert_eq!(class("observer-restarts"), Ok(Class::Observer));
        assert_eq!(class("01JD"), Ok(Class::Session));
        assert_eq!(class("proc"), Ok(Class::Session));
    }

    #[test]
    fn an_id_that_would_break_a_key_or_a_subject_is_refused() {
        for id in ["", "-a", "a:b", "a.b", "a b", "a*", "a>", "é", &"x".repeat(129)] {
            let error = StreamId::new(id).expect_err(id).to_string();
            assert!(error.contains("session"), "{error}");
        }
    }

    #[test]
    fn a_senders_uuid_is_kept_and_any_other_id_is_hashed_with_its_stream() {
        let (a, b) = (StreamId::new("a").expect("a"), StreamId::new("b").expect("b"));
        let uuid = "018f3c5e-7b1a-7c3d-9e4f-0123456789ab";
        let given = SenderId::new(uuid).expect("a UUID");
        assert_eq!(given.event_id(&a).to_string(), uuid);
        let own = SenderId::new("build-17").expect("visible ASCII");
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:watchpost:stream"));
        assert_eq!(own.event_id(&a), own.event_id(&a));
        assert_ne!(own.event_id(&a), own.event_id(&b));
        for id in ["", "a b", "é", &"x".repeat(129)] {
            assert!(SenderId::new(id).is_err(), "{id}");
        }
    }
}
