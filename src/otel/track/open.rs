//! Spans that are open, and how one ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attributes::Set;
use crate::event::Timestamp;
use crate::otel::span::{Link, Role, Span, SpanEvent, SpanKind, Status};
use crate::otel::{Attribute, Resource, SpanId, TraceId, Value, names};
use std::sync::Arc;

/// The most spans that a stream may have open; then the oldest is closed, the segment's root excepted.
pub const MAX_OPEN: usize = 10_000;
/// The most bytes that they may take, about.
const MAX_BYTES: usize = 4 << 20;
/// The most events that are kept within one span; the log records have them all.
const MAX_EVENTS: usize = 128;

/// How what a span stands for ended: the value of `watchpost.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Completed,
    Failed,
    Skipped,
    /// Nobody saw its end.
    Interrupted,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The end of a span.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) status: Status,
    pub(super) attributes: Set,
}

impl End {
    pub(super) fn new(at: Timestamp, outcome: Outcome) -> Self {
        Self { at, outcome, status: Status::Unset, attributes: Set::default() }
    }

    /// A failure. What is said of it may be missing.
    pub(super) fn failed(at: Timestamp, error: Option<&str>, error_type: Option<&str>) -> Self {
        // `_OTHER` is the conventions' word for a class that is not known.
        let class = error_type.unwrap_or("_OTHER");
        Self {
            status: Status::Error(super::attributes::short(error.unwrap_or(class)).to_owned()),
            attributes: Set::default().text(names::ERROR_TYPE, Some(class)),
            ..Self::new(at, Outcome::Failed)
        }
    }

    /// With more about it.
    pub(super) fn with(self, attributes: Set) -> Self {
        Self { attributes: self.attributes.and(attributes), ..self }
    }
}

/// Where a span that is open is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Of {
    /// Nowhere else.
    Root,
    /// By its plan.
    Generation(String),
    /// By its plan and index.
    Level(Option<String>, u64),
    /// By its id, and the plan that it belongs to.
    Node(String, Option<String>),
    /// By the request's id.
    Request(String),
}

/// A span that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) role: Role,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) start: Timestamp,
    pub(super) attributes: Set,
    pub(super) events: Vec<SpanEvent>,
    pub(super) links: Vec<Link>,
    pub(super) of: Of,
}

impl Open {
    pub(super) fn new(role: Role, start: Timestamp, name: impl Into<String>, of: Of) -> Self {
        Self {
            role,
            span_id: SpanId([0; 8]),
            parent: None,
            name: name.into(),
            kind: SpanKind::Internal,
            start,
            attributes: Set::default(),
            events: Vec::new(),
            links: Vec::new(),
            of,
        }
    }

    pub(super) fn close(self, trace_id: TraceId, resource: &Arc<Resource>, end: End) -> Span {
        let mut attributes = self.attributes;
        attributes.merge(end.attributes);
        Span {
            role: self.role,
            trace_id,
            span_id: self.span_id,
            parent: self.parent,
            name: self.name,
            kind: self.kind,
            start: self.start,
            end: end.at.max(self.start),
            attributes: attributes.with(names::OUTCOME, end.outcome.as_str()).0,
            events: self.events,
            links: self.links,
            status: end.status,
            resource: resource.clone(),
        }
    }

    /// Notes what happened in it, while there is room.
    pub(super) fn happened(&mut self, event: SpanEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }

    /// About the bytes that it takes.
    fn bytes(&self) -> usize {
        let of = match &self.of {
            Of::Root => 0,
            Of::Generation(id) | Of::Request(id) => 2 * id.len(),
            Of::Level(plan, _) => 2 * plan.as_ref().map_or(0, String::len),
            Of::Node(id, plan) => 2 * id.len() + plan.as_ref().map_or(0, String::len),
        };
        let events: usize = self.events.iter().map(event_bytes).sum();
        let links: usize = self.links.iter().map(|link| 32 + list_bytes(&link.attributes)).sum();
        200 + self.name.len() + of + list_bytes(&self.attributes.0) + events + links
    }
}

fn event_bytes(event: &SpanEvent) -> usize {
    48 + event.name.len() + list_bytes(&event.attributes)
}

fn list_bytes(attributes: &[Attribute<'static>]) -> usize {
    let value = |value: &Value<'_>| match value {
        Value::Text(text) => text.len(),
        Value::Texts(texts) => texts.iter().map(|text| 4 + text.len()).sum(),
        _ => 10,
    };
    attributes.iter().map(|(name, of)| 8 + name.len() + value(of)).sum()
}

/// By the seq of the event that opened it, and its role: oldest first, parents before their children.
pub(super) type Key = (u64, Role);

/// The open spans of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Opens {
    by_key: BTreeMap<Key, Open>,
    bytes: usize,
}

impl Opens {
    pub(super) fn get(&self, key: Key) -> Option<&Open> {
        self.by_key.get(&key)
    }

    pub(super) fn insert(&mut self, key: Key, open: Open) {
        self.bytes += open.bytes();
        self.remove(key);
        self.by_key.insert(key, open);
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Open> {
        let open = self.by_key.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(open.bytes());
        Some(open)
    }

    /// Changes one in place.
    pub(super) fn edit(&mut self, key: Key, edit: impl FnOnce(&mut Open)) {
        if let Some(open) = self.by_key.get_mut(&key) {
            let before = open.bytes();
            edit(open);
            self.bytes = (self.bytes + open.bytes()).saturating_sub(before);
        }
    }

    /// Notes what happened in one, while there is room in it.
    pub(super) fn happened(&mut self, key: Key, event: SpanEvent) {
        self.edit(key, |open| open.happened(event));
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<Key> {
        self.by_key.keys().next_back().copied()
    }

    /// The oldest that has to go, as there are too many.
    pub(super) fn too_many(&self) -> Option<Key> {
        let full = self.by_key.len() > MAX_OPEN || self.bytes > MAX_BYTES;
        full.then(|| self.by_key.keys().find(|(_, role)| *role != Role::Session).copied()).flatten()
    }
}
