//! What is known of each type.

use schemars::Schema;
use serde::Serialize;
use serde_json::Value;

use super::table::TYPES;
use super::{Read, SessionEnded, kind, read};
use crate::event::{Data, Draft, Invalid, Kind, Severity, StreamId, Subject};

/// What every payload can do, whatever its fields: made by `payload!`.
pub(super) trait Known {
    const ABOUT: &'static str;
    fn schema() -> Schema;
    fn known(data: &str) -> Read<Value>;
}

/// A group of types: who writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The session as a whole.
    Session,
    /// Context generate.
    ContextGenerate,
    /// The orchestrator.
    Orchestrator,
    /// The queue.
    Queue,
    /// The provider.
    Provider,
    /// The scanner.
    Scanner,
    /// The watcher.
    Watcher,
}

impl Group {
    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Session => "Session",
            Self::ContextGenerate => "Context generate",
            Self::Orchestrator => "Orchestrator",
            Self::Queue => "Queue",
            Self::Provider => "Provider",
            Self::Scanner => "Scanner",
            Self::Watcher => "Watcher",
        }
    }
}

/// A type of the catalog.
#[derive(Debug)]
pub struct Type {
    /// Its name, one of [`kind`].
    pub name: &'static str,
    /// The group that it belongs to.
    pub group: Group,
    /// What it says, in one sentence.
    pub about: &'static str,
    /// How loud it is where its sender does not say.
    pub severity: Severity,
    /// What it becomes in OpenTelemetry.
    pub telemetry: &'static str,
    /// A payload with every known field, as JSON.
    pub example: &'static str,
    schema: fn() -> Schema,
    known: fn(&str) -> Read<Value>,
}

impl Type {
    /// The type whose payload is `T`.
    pub(super) const fn of<T: Known>(
        name: &'static str,
        group: Group,
        severity: Severity,
        telemetry: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, group, about: T::ABOUT, severity, telemetry, example, schema: T::schema, known: T::known }
    }

    /// The known fields of a payload, and the names of those that have the wrong type.
    pub fn known(&self, data: &str) -> Read<Value> {
        (self.known)(data)
    }

    /// The schema of its payload, under the name of the struct.
    pub(super) fn bare_schema(&self) -> Schema {
        (self.schema)()
    }
}

/// All types, in the order of the document.
pub fn types() -> &'static [Type] {
    &TYPES
}

/// The type of that name; none for one that only its sender knows.
pub fn find(kind: &str) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.name == kind)
}

/// How loud an event is whose sender did not say: what the catalog says, `error` for a session that ended in
/// failure, `info` for an unknown type.
pub fn severity(kind: &str, data: &str) -> Severity {
    let failed = || read::<SessionEnded>(data).value.status.is_some_and(|status| &*status == "failed");
    match find(kind) {
        Some(_) if kind == kind::SESSION_ENDED && failed() => Severity::Error,
        Some(known) => known.severity.clone(),
        None => Severity::Info,
    }
}

/// A draft of an event of a session, as severe as the catalog has it.
pub fn draft(id: &StreamId, kind: &str, data: Data) -> Result<Draft, Invalid> {
    let (severity, kind) = (severity(kind, data.get()), Kind::new(kind)?);
    let subject = Subject::session(id, &kind)?;
    Ok(Draft::new(id.clone(), kind, subject, severity, data))
}
