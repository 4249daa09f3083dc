//! What goes on in the sessions that have not ended: the amounts that they hold in gauges and up-down counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::series::{Held, Values};
use super::table::{Place, Table};
use crate::event::session::{self, kind, read};
use crate::event::{Event, StreamId};
use crate::otel::names::metrics::Id;
use crate::otel::span::Role;
use crate::otel::{Resource, Span, SpanId};

/// The most sessions that are known at once; one that begins beyond that is in no gauge.
const MAX_SESSIONS: usize = 100_000;

/// The most nodes, and the most requests, of one session that are known at once.
const MAX_OPEN: usize = 10_000;

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    resource: Arc<Resource>,
    interrupted: bool,
    /// Its place among the active sessions, or the interrupted ones.
    status: Held,
    nodes: BTreeMap<SpanId, Held>,
    requests: BTreeMap<SpanId, Held>,
    /// Pending, processing.
    queue: Option<[Held; 2]>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) open: BTreeMap<StreamId, Session>,
    pub(super) changed: BTreeSet<StreamId>,
}

impl Sessions {
    /// Takes one event of a session, with the span that it belongs to.
    pub(super) fn apply(&mut self, event: &Event, place: &Place<'_>, span: Option<SpanId>, table: &mut Table) {
        let data = event.data.get();
        match event.kind.as_str() {
            kind::SESSION_STARTED => {
                table.count(place, Id::SessionStarts, &[], 1);
                self.begin(event, place, table);
            }
            kind::SESSION_INTERRUPTED => {
                table.count(place, Id::SessionEnds, &[Some("interrupted")], 1);
                self.turn(event, place, true, table);
            }
            kind::SESSION_RESUMED => self.turn(event, place, false, table),
            kind::SESSION_ENDED => {
                let status = read::<session::SessionEnded<'_>>(data).value.status;
                let outcome = if status.as_deref() == Some("failed") { "failed" } else { "completed" };
                table.count(place, Id::SessionEnds, &[Some(outcome)], 1);
                self.end(event, table);
            }
            kind::NODE_GENERATION_STARTED => {
                let data = read::<session::NodeGenerationStarted<'_>>(data).value;
                let span = span.filter(|_| data.node_id.or(data.path).is_some());
                self.open(event, span, |session, span| {
                    session.nodes.insert(span, table.hold(place, Id::NodeActive, &[], 1.0));
                });
            }
            kind::NODE_GENERATION_COMPLETED => table.count(place, Id::Nodes, &[Some("completed")], 1),
            kind::NODE_GENERATION_FAILED => table.count(place, Id::Nodes, &[Some("failed")], 1),
            kind::NODE_SKIPPED => table.count(place, Id::Nodes, &[Some("skipped")], 1),
            kind::REQUEST_DEDUPLICATED => table.count(place, Id::QueueDeduplicated, &[], 1),
            kind::QUEUE_STATS => self.queue(event, place, table),
            kind::PROVIDER_REQUEST_SENT => {
                let data = read::<session::ProviderRequestSent<'_>>(data).value;
                let values: Values<'_> = &[data.provider.as_deref(), data.model.as_deref()];
                let span = span.filter(|_| data.request_id.is_some());
                self.open(event, span, |session, span| {
                    session.requests.insert(span, table.hold(place, Id::ProviderActive, values, 1.0));
                });
            }
            kind::PROVIDER_REQUEST_RETRYING => {
                let data = read::<session::ProviderRequestRetrying<'_>>(data).value;
                let values: Values<'_> = &[data.provider.as_deref(), data.model.as_deref()];
                table.count(place, Id::ProviderRetries, values, 1);
            }
            _ => {}
        }
    }

    /// Takes a span that the event has ended.
    pub(super) fn ended(&mut self, event: &Event, span: &Span, table: &mut Table) {
        let Some(session) = self.open.get_mut(&event.session) else { return };
        let held = match span.role {
            Role::Node => session.nodes.remove(&span.span_id).map(|held| (Id::NodeActive, held)),
            Role::Request | Role::Attempt => {
                session.requests.remove(&span.span_id).map(|held| (Id::ProviderActive, held))
            }
            _ => None,
        };
        if let Some((id, held)) = held {
            table.release(id, held);
            self.changed.insert(event.session.clone());
        }
    }

    fn begin(&mut self, event: &Event, place: &Place<'_>, table: &mut Table) {
        if self.open.len() >= MAX_SESSIONS || self.open.contains_key(&event.session) {
            return;
        }
        let session = Session {
            resource: Arc::clone(place.resource),
            interrupted: false,
            status: table.hold(place, Id::SessionActive, &[], 1.0),
            nodes: BTreeMap::new(),
            requests: BTreeMap::new(),
            queue: None,
        };
        // It is shown with 0 until one is interrupted.
        table.slot(place, Id::SessionInterrupted, &[]);
        self.open.insert(event.session.clone(), session);
        self.changed.insert(event.session.clone());
    }

    fn turn(&mut self, event: &Event, place: &Place<'_>, interrupted: bool, table: &mut Table) {
        let Some(session) = self.open.get_mut(&event.session) else { return };
        if session.interrupted != interrupted {
            session.release(table);
            let id = if interrupted { Id::SessionInterrupted } else { Id::SessionActive };
            let place = Place { resource: &session.resource, ..*place };
            session.status = table.hold(&place, id, &[], 1.0);
            session.interrupted = interrupted;
            self.changed.insert(event.session.clone());
        }
    }

    fn end(&mut self, event: &Event, table: &mut Table) {
        if let Some(mut session) = self.open.remove(&event.session) {
            session.release(table);
            self.changed.insert(event.session.clone());
        }
    }

    /// Holds what the event opened a span for. What names nothing has no span of its own, so nothing would end it.
    fn open(&mut self, event: &Event, span: Option<SpanId>, with: impl FnOnce(&mut Session, SpanId)) {
        let Some(session) = self.open.get_mut(&event.session) else { return };
        let Some(span) = span else { return };
        let open = session.nodes.contains_key(&span) || session.requests.contains_key(&span);
        let full = session.nodes.len() >= MAX_OPEN || session.requests.len() >= MAX_OPEN;
        if !open && !full {
            with(session, span);
            self.changed.insert(event.session.clone());
        }
    }

    fn queue(&mut self, event: &Event, place: &Place<'_>, table: &mut Table) {
        let Some(session) = self.open.get_mut(&event.session) else { return };
        let data = read::<session::QueueStats>(event.data.get()).value;
        let depth = [("pending", data.pending), ("processing", data.processing)];
        let mut hold = |state| table.hold(place, Id::QueueDepth, &[Some(state)], 0.0);
        let held = session.queue.get_or_insert_with(|| [hold("pending"), hold("processing")]);
        for (held, (_, depth)) in held.iter_mut().zip(depth) {
            if let Some(depth) = depth {
                table.set(place, Id::QueueDepth, held, depth as f64);
            }
        }
        self.changed.insert(event.session.clone());
    }
}

impl Session {
    /// Takes everything out that it holds.
    fn release(&mut self, table: &mut Table) {
        let id = if self.interrupted { Id::SessionInterrupted } else { Id::SessionActive };
        table.release(id, self.status);
        for held in std::mem::take(&mut self.nodes).into_values() {
            table.release(Id::NodeActive, held);
        }
        for held in std::mem::take(&mut self.requests).into_values() {
            table.release(Id::ProviderActive, held);
        }
        for held in self.queue.take().into_iter().flatten() {
            table.release(Id::QueueDepth, held);
        }
    }
}
