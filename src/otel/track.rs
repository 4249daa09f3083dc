//! The fold that goes along with the log: which span an event belongs to, and which spans it ends.
//!
//! A span is told of when it ends, once, and the same at every replay: all that it says comes from the events of its
//! stream, in the order of the log. What is left open when a session is interrupted or has ended is closed then,
//! with `watchpost.outcome` = `interrupted` and no status, as nobody saw how it went; so is what would be too much:
//! the oldest of more than [`MAX_OPEN`] spans of one stream, and all of the stream that was told of least lately
//! when there are more than [`MAX_STREAMS`].

mod attributes;
mod open;
mod project;
mod saved;
mod session;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Resource, Span, SpanId, TraceId};
use crate::event::{Class, Event, StreamId};

use project::Project;
use saved::Pieces;
use session::Session;

pub use open::MAX_OPEN;

/// The most streams that have something open.
pub const MAX_STREAMS: usize = 100_000;

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
#[derive(Debug)]
pub struct Tracker {
    streams: HashMap<StreamId, Stream>,
    /// The streams of processes, by their source.
    lives: HashMap<String, BTreeSet<StreamId>>,
    /// Counts events, so that it is known which stream was told of least lately.
    clock: u64,
    max_streams: usize,
    pieces: Pieces,
}

/// What is known of a stream.
#[derive(Debug, Serialize, Deserialize)]
struct Stream {
    told: u64,
    state: State,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Session(Box<Session>),
    Project(Box<Project>),
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            streams: HashMap::new(),
            lives: HashMap::new(),
            clock: 0,
            max_streams: MAX_STREAMS,
            pieces: Pieces::default(),
        }
    }
}

impl Tracker {
    /// Takes one event, in the order of the log.
    pub fn apply(&mut self, event: &Event) -> Told {
        let mut spans = Vec::new();
        let context = match event.session.class() {
            Class::Session | Class::Process => self.within(event, &mut spans),
            Class::Source => given(event, event.origin.source.as_deref()),
            Class::Hub => given(event, event.origin.hub_id.as_deref()),
            Class::Observer => given(event, event.session.as_str().strip_prefix("observer-")),
        };
        Told { context, spans }
    }

    /// Back to the start of the log: everything is forgotten.
    pub fn clear(&mut self) {
        *self = Self { max_streams: self.max_streams, ..Self::default() };
    }

    /// Takes one saved record, in any order.
    ///
    /// # Errors
    /// Another version made it, or it is damaged; then the log has to be taken in from its start.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let Some((id, bytes)) = self.pieces.restore(key, value)? else { return Ok(()) };
        let stream: Stream = postcard::from_bytes(&bytes).map_err(|e| format!("the record of {key}: {e}"))?;
        self.clock = self.clock.max(stream.told);
        self.add(id, stream);
        Ok(())
    }

    /// The records that have changed since the last call, `None` for one that is gone: one a stream, under its id,
    /// and more where that would be over 1 MiB.
    pub fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let streams = &self.streams;
        // There is nothing in it that could not be written: no length unknown, no value without a form.
        let bytes = |id: &StreamId| streams.get(id).map(|stream| postcard::to_allocvec(stream).unwrap_or_default());
        self.pieces.changes(bytes)
    }

    fn within(&mut self, event: &Event, spans: &mut Vec<Span>) -> Context {
        self.clock += 1;
        let told = self.clock;
        let id = &event.session;
        if !self.streams.contains_key(id) {
            if self.streams.len() >= self.max_streams {
                self.forget_one(event, spans);
            }
            let state = match id.class() {
                Class::Process => State::Project(Box::new(Project::begin(event))),
                _ => State::Session(Box::new(Session::begin(event))),
            };
            self.add(id.clone(), Stream { told, state });
        }
        self.pieces.change(id);
        let Some(stream) = self.streams.get_mut(id) else { return given(event, None) };
        stream.told = told;
        let (context, over) = match &mut stream.state {
            State::Session(session) => {
                let span_id = session.apply(event, spans);
                let (resource, trace_id) = (session.resource().clone(), Some(session.trace_id()));
                (Context { resource, trace_id, span_id }, session.is_over())
            }
            State::Project(project) => (project.apply(event, spans), project.is_over()),
        };
        if over {
            self.remove(id);
        }
        if project::is_settled(event) {
            self.end_earlier_lives(event, spans);
        }
        context
    }

    fn add(&mut self, id: StreamId, stream: Stream) {
        if let State::Project(project) = &stream.state {
            self.lives.entry(project.source().to_owned()).or_default().insert(id.clone());
        }
        self.streams.insert(id, stream);
    }

    fn remove(&mut self, id: &StreamId) -> Option<Stream> {
        let stream = self.streams.remove(id)?;
        self.pieces.change(id);
        if let State::Project(project) = &stream.state
            && let Some(lives) = self.lives.get_mut(project.source())
        {
            lives.remove(id);
            if lives.is_empty() {
                self.lives.remove(project.source());
            }
        }
        Some(stream)
    }

    /// The stream that was told of least lately makes room.
    fn forget_one(&mut self, event: &Event, spans: &mut Vec<Span>) {
        let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.told).map(|(id, _)| id.clone());
        self.end(oldest.as_ref(), event, spans);
    }

    /// What an earlier life of the same supervisor left open has no end any more.
    fn end_earlier_lives(&mut self, event: &Event, spans: &mut Vec<Span>) {
        let life = project::life(&event.session);
        let Some(source) = event.origin.source.as_deref() else { return };
        let earlier = |id: &&StreamId| project::life(id) < life;
        let earlier: Vec<StreamId> =
            self.lives.get(source).into_iter().flatten().filter(earlier).cloned().collect();
        earlier.iter().for_each(|id| self.end(Some(id), event, spans));
    }

    fn end(&mut self, id: Option<&StreamId>, event: &Event, spans: &mut Vec<Span>) {
        match id.and_then(|id| self.remove(id)).map(|stream| stream.state) {
            Some(State::Session(mut session)) => session.abandon(event.ts, spans),
            Some(State::Project(mut project)) => project.abandon(event.ts, spans),
            None => {}
        }
    }
}

/// What an event belongs to that is in no span of ours: the trace that its sender gave.
fn given(event: &Event, service: Option<&str>) -> Context {
    let service = event.origin.service.as_deref().or(service).unwrap_or("unknown_service");
    let (trace_id, span_id) = trace(event);
    let resource = Resource { service_name: service.to_owned().into(), ..Resource::default() };
    Context { resource: Arc::new(resource), trace_id, span_id }
}

/// The trace that the sender gave.
fn trace(event: &Event) -> (Option<TraceId>, Option<SpanId>) {
    let Some(trace) = &event.trace else { return (None, None) };
    (TraceId::parse(&trace.trace_id), trace.span_id.as_deref().and_then(SpanId::parse))
}

#[cfg(test)]
mod tests;
