//! The fold that goes along with the log: which span an event belongs to, and which spans it ends.

use std::sync::Arc;

use super::{Resource, Span, SpanId, TraceId};
use crate::event::Event;

/// What an event belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// What is observed.
    pub resource: Arc<Resource>,
    /// The trace, where there is one.
    pub trace_id: Option<TraceId>,
    /// The span that the event opened, ended or happened in.
    pub span_id: Option<SpanId>,
}

/// What an event told the fold.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What it belongs to.
    pub context: Context,
    /// The spans that it ended, parents behind their children.
    pub spans: Vec<Span>,
}

/// The open spans of every stream.
#[derive(Debug, Default)]
pub struct Tracker {}

impl Tracker {
    /// Takes one event, in the order of the log.
    pub fn apply(&mut self, event: &Event) -> Told {
        let resource =
            Arc::new(Resource { service_name: event.session.as_str().to_owned().into(), ..Resource::default() });
        Told { context: Context { resource, trace_id: None, span_id: None }, spans: Vec::new() }
    }

    /// Back to the start of the log: everything is forgotten.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes one saved record, in any order.
    ///
    /// # Errors
    /// Another version made it, or it is damaged; then the log has to be taken in from its start.
    pub fn restore(&mut self, _key: &str, _value: &[u8]) -> Result<(), String> {
        Err("no record is known yet".into())
    }

    /// The records that have changed since the last call, `None` for one that is gone: one a stream, by its id,
    /// of at most 1 MiB.
    pub fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        Vec::new()
    }
}
