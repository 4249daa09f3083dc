//! The event: one fact, the unit of everything that Watchpost does.
//!
//! Everything in here is pure. [`Draft`] is what a sender hands in, [`Event`] is what the store made of
//! it, with its place in its stream. What a sender wrote into `data` is kept as the bytes it wrote.

mod draft;
mod fields;
pub mod id;
pub mod input;
pub mod process;
mod publish;
pub mod session;
pub mod severity;
pub mod source;
pub mod subject;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod trace;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

pub use draft::{Draft, Invalid};
pub use fields::Fields;
pub use id::{Class, SenderId, StreamId};
pub use input::Input;
pub use severity::Severity;
pub use subject::{Pattern, Subject};
pub use time::Timestamp;
pub use trace::Traceparent;

/// The most bytes that one event may have as JSON.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The most observers that one event may have come through: the bound on the only loop there is.
pub const MAX_HOPS: u8 = 8;

/// An event's place in the store-wide log: 0, 1, 2… in the order of commit.
pub type Offset = u64;

/// One committed event.
///
/// Its serde form is the canonical one, of the store's export and of `sessions`; what is published to
/// NATS and over HTTP is [`Event::published`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same id everywhere: CloudEvents `id`, `Nats-Msg-Id`, Elasticsearch `_id`, `webhook-id`.
    pub id: Uuid,
    /// When it happened, by the sender's clock. `since` and `until` mean this.
    pub ts: Timestamp,
    /// When it was committed; never runs backwards along the log.
    pub observed: Timestamp,
    /// The stream that it belongs to.
    pub session: StreamId,
    /// 1, 2, 3… in that stream, without a gap.
    pub seq: u64,
    /// snake_case; the catalog is open, so a reader must let an unknown type pass.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its NATS subject.
    pub subject: Subject,
    /// How loud it is.
    pub severity: Severity,
    /// Who and what it comes from.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// Joins events across streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The trace that the sender was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// How many observers it came through.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u8,
    /// The payload: a JSON object, byte for byte as it came.
    pub data: Data,
}

fn is_zero(hops: &u8) -> bool {
    *hops == 0
}

/// An event with its place in the store-wide log; cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Its place.
    pub offset: Offset,
    /// The event, which all who read it at the end of the log have in common.
    pub event: Arc<Event>,
}

/// Who and what an event comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The hub that took it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_id: Option<Arc<str>>,
    /// The source's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// The service that it is about or that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Arc<str>>,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
}

impl Origin {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The W3C trace context that a sender gave: lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
}

/// An event type: snake_case, 1 to 64 of `a-z 0-9 _ . -`, beginning with a letter.
///
/// Dots and dashes are let through for other people's types; ours have none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Kind(Arc<str>);

impl Kind {
    /// Checks and takes a type.
    pub fn new(kind: impl AsRef<str>) -> Result<Self, Invalid> {
        let kind = kind.as_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        if kind.len() > 64 || !kind.starts_with(|c: char| c.is_ascii_lowercase()) || !kind.chars().all(plain) {
            return Err(Invalid::new("type", kind, "1 to 64 of a-z, 0-9, `_`, `.`, `-`, beginning with a letter"));
        }
        Ok(Self(kind.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Kind {
    type Error = Invalid;
    fn try_from(kind: String) -> Result<Self, Invalid> {
        Self::new(kind)
    }
}

/// A payload: one JSON object, kept as the bytes in which it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
pub struct Data(Arc<RawValue>);

impl Data {
    /// Takes JSON text, which must be one object.
    pub fn parse(json: String) -> Result<Self, Invalid> {
        let raw =
            RawValue::from_string(json).map_err(|e| Invalid::new("data", "", format!("a JSON object ({e})")))?;
        Self::try_from(raw)
    }

    /// Makes the payload from a typed value.
    pub fn from_value(value: &impl Serialize) -> Result<Self, Invalid> {
        let raw = serde_json::value::to_raw_value(value);
        Self::try_from(raw.map_err(|e| Invalid::new("data", "", format!("a JSON object ({e})")))?)
    }

    /// The object's JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a type; whatever the type does not know is passed over.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl TryFrom<Box<RawValue>> for Data {
    type Error = Invalid;
    fn try_from(raw: Box<RawValue>) -> Result<Self, Invalid> {
        if !raw.get().starts_with('{') {
            return Err(Invalid::new("data", raw.get(), "a JSON object"));
        }
        Ok(Self(raw.into()))
    }
}

#[cfg(test)]
mod tests;
