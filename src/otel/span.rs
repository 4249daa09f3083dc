//! A span that has ended.

use std::sync::Arc;

use super::{Attribute, Resource, SpanId, TraceId};
use crate::event::{Timestamp, trace};

/// What a span stands for. Its name is part of the span's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One segment of a session.
    Session,
    /// The short span that names the trace of a session that still runs.
    SessionStarted,
    /// A generation: one plan that runs.
    Generation,
    /// A level.
    Level,
    /// A node's generation.
    Node,
    /// A node that was not generated: no time, and the reason.
    NodeSkipped,
    /// A request that waits in the queue.
    QueueWait,
    /// A request to a provider, all attempts together.
    Request,
    /// One attempt.
    Attempt,
    /// One life of a process.
    Run,
    /// A run from its launch until it is ready.
    RunReady,
    /// The start of a whole project.
    Startup,
    /// A process of the project that waits for what it depends on.
    StartupWait,
    /// A process of the project from its launch until those that wait for it may go on.
    StartupProcess,
}

impl Role {
    /// As it stands in the span's id.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => trace::SESSION,
            Self::SessionStarted => "session_started",
            Self::Generation => "generation",
            Self::Level => "level",
            Self::Node => "node",
            Self::NodeSkipped => "node_skipped",
            Self::QueueWait => "queue_wait",
            Self::Request => "request",
            Self::Attempt => "attempt",
            Self::Run => "run",
            Self::RunReady => "run_ready",
            Self::Startup => "startup",
            Self::StartupWait => "startup_wait",
            Self::StartupProcess => "startup_process",
        }
    }
}

/// Whom a span is between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SpanKind {
    /// Within one service.
    #[default]
    Internal,
    /// A request to another one.
    Client,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// Nothing is said, which OpenTelemetry reads as well.
    #[default]
    Unset,
    /// Expressly well.
    Ok,
    /// Failed, with a message.
    Error(String),
}

/// Something that happened at a moment within a span.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SpanEvent {
    /// When.
    pub time: Timestamp,
    /// What.
    pub name: String,
    /// More about it.
    pub attributes: Vec<Attribute<'static>>,
}

/// A span that this one has to do with, beside its parent.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// Its trace.
    pub trace_id: TraceId,
    /// It.
    pub span_id: SpanId,
    /// How they have to do with each other.
    pub attributes: Vec<Attribute<'static>>,
}

/// A span that has ended. It is never sent before, and never again with other content.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// What it stands for.
    pub role: Role,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id: by DESIGN's rule, so the same at every replay.
    pub span_id: SpanId,
    /// Its parent, which may be the caller's.
    pub parent: Option<SpanId>,
    /// What it is called, with few different values.
    pub name: String,
    /// Whom it is between.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; not before it began.
    pub end: Timestamp,
    /// More about it.
    pub attributes: Vec<Attribute<'static>>,
    /// What happened in it.
    pub events: Vec<SpanEvent>,
    /// What it has to do with.
    pub links: Vec<Link>,
    /// How it ended.
    pub status: Status,
    /// What is observed.
    pub resource: Arc<Resource>,
}
