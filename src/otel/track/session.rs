//! The spans of one session.
//!
//! The measure for odd input is the session's fold (`state::session`): what begins anew before it has ended closes
//! what was open, an end without a beginning makes no span, what names nothing is not followed.

mod generation;
mod lifecycle;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attributes::Set;
use super::open::{End, Key, Of, Open, Opens, Outcome};
use crate::event::session::{Text, kind};
use crate::event::{Event, StreamId, Timestamp};
use crate::otel::span::{Role, Span};
use crate::otel::{Resource, SpanId, TraceId, names};
use crate::state::session::{MAX_NAME, cut};

use requests::Request;

/// The most plans whose description is kept until they begin.
const MAX_PLANS: usize = 512;

/// A session as far as its spans need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    id: StreamId,
    trace_id: TraceId,
    /// It is another's trace, where other sessions may be, too.
    called: bool,
    /// The span that called, in the same trace.
    caller: Option<SpanId>,
    resource: Arc<Resource>,
    /// What the roots of all its segments say.
    about: Set,
    name: String,
    segment: u64,
    /// The root that is open.
    root: Option<Key>,
    /// The newest root, open or not.
    last_root: Option<SpanId>,
    /// Why the segment has failed whatever its end says: its events could not be taken.
    lost: Option<String>,
    ended: bool,
    open: Opens,
    /// Plans that have not begun.
    plans: VecDeque<(String, Set)>,
    generations: BTreeMap<String, Key>,
    levels: BTreeMap<(Option<String>, u64), Key>,
    /// By id; the same id may be in several plans.
    nodes: BTreeMap<String, Vec<(Option<String>, Key)>>,
    requests: BTreeMap<String, Request>,
    /// Requests whose last attempt failed, and of which nobody knows whether there is another.
    undecided: BTreeSet<String>,
}

/// One event, and where the spans go that it ends.
pub(super) struct On<'a> {
    pub(super) seq: u64,
    pub(super) ts: Timestamp,
    pub(super) kind: &'a str,
    pub(super) data: &'a str,
    pub(super) spans: &'a mut Vec<Span>,
}

impl<'a> On<'a> {
    /// The payload; what is of a wrong type is missing.
    fn read<T: Deserialize<'a> + Default>(&self) -> T {
        crate::event::session::read(self.data).value
    }
}

impl Session {
    /// A session whose first event is this one: `session_started` wherever the log has it.
    pub(super) fn begin(event: &Event) -> Self {
        let computed = TraceId::of_session(&event.session, event.ts);
        let own = [kind::SESSION_STARTED, kind::SESSION_RESUMED].contains(&event.kind.as_str());
        let given = event.trace.as_ref().filter(|_| own);
        let service = event.origin.service.as_deref().map_or("unknown_service", |service| service);
        let trace_id = given.and_then(|trace| TraceId::parse(&trace.trace_id)).unwrap_or(computed);
        Self {
            id: event.session.clone(),
            trace_id,
            called: trace_id != computed,
            caller: None,
            resource: Arc::new(Resource { service_name: service.to_owned().into(), ..Resource::default() }),
            about: Set::default(),
            name: "session".into(),
            segment: 0,
            root: None,
            last_root: None,
            lost: None,
            ended: false,
            open: Opens::default(),
            plans: VecDeque::new(),
            generations: BTreeMap::new(),
            levels: BTreeMap::new(),
            nodes: BTreeMap::new(),
            requests: BTreeMap::new(),
            undecided: BTreeSet::new(),
        }
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub(super) fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// Whether nothing more is expected of it.
    pub(super) fn is_over(&self) -> bool {
        self.ended
    }

    /// Takes an event, and answers the span that it belongs to.
    pub(super) fn apply(&mut self, event: &Event, spans: &mut Vec<Span>) -> Option<SpanId> {
        let kind = event.kind.as_str();
        let on = &mut On { seq: event.seq, ts: event.ts, kind, data: event.data.get(), spans };
        self.ended = false;
        let span = match kind {
            kind::SESSION_STARTED => Some(self.session_started(event, on)),
            kind::SESSION_RESUMED => Some(self.session_resumed(on)),
            kind::SESSION_INTERRUPTED => self.session_interrupted(on),
            kind::SESSION_ENDED => self.session_ended(on),
            _ => self.within(on),
        };
        while let Some(key) = self.open.too_many() {
            let reason = Set::default().with(names::SESSION_REASON, "too many open spans");
            self.close(key, End::new(event.ts, Outcome::Interrupted).with(reason), on);
        }
        span
    }

    /// Closes all that is open, as nobody will tell of its end.
    pub(super) fn abandon(&mut self, at: Timestamp, spans: &mut Vec<Span>) {
        let on = &mut On { seq: 0, ts: at, kind: "", data: "{}", spans };
        self.end_segment(End::new(at, Outcome::Interrupted), "too many streams", on);
    }

    /// An event of the work itself, in a segment that is opened where none is.
    fn within(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        if self.root.is_none() {
            self.open_segment(None, on);
        }
        let span = match on.kind {
            kind::INGEST_FAILED => self.ingest_failed(on),
            kind::PLAN_CONSTRUCTED => self.plan_constructed(on),
            kind::NODE_SKIPPED => self.node_skipped(on),
            kind::GENERATION_STARTED => self.generation_started(on),
            kind::GENERATION_COMPLETED => self.generation_completed(on),
            kind::GENERATION_FAILED => self.generation_failed(on),
            kind::LEVEL_STARTED => self.level_started(on),
            kind::LEVEL_COMPLETED => self.level_completed(on),
            kind::NODE_GENERATION_STARTED => self.node_started(on),
            kind::NODE_GENERATION_COMPLETED => self.node_completed(on),
            kind::NODE_GENERATION_FAILED => self.node_failed(on),
            kind::REQUEST_ENQUEUED => self.request_enqueued(on),
            kind::REQUEST_DEDUPLICATED => self.request_deduplicated(on),
            kind::REQUEST_PROCESSING => self.request_processing(on),
            kind::PROVIDER_REQUEST_SENT => self.provider_sent(on),
            kind::PROVIDER_RESPONSE_RECEIVED => self.provider_answered(on),
            kind::PROVIDER_REQUEST_FAILED => self.provider_failed(on),
            kind::PROVIDER_REQUEST_RETRYING => self.provider_retrying(on),
            _ => None,
        };
        span.or(self.last_root)
    }

    /// Opens a span below another one, else below the root.
    fn open(&mut self, open: Open, parent: Option<Key>, on: &On<'_>) -> Key {
        let key = (on.seq, open.role);
        let parent = parent.and_then(|key| self.open.get(key)).map(|open| open.span_id);
        let attributes = self.session_id().and(open.attributes);
        let open =
            Open { span_id: self.id_of(on.seq, open.role), parent: parent.or(self.last_root), attributes, ..open };
        self.open.insert(key, open);
        key
    }

    /// The id of the span that the event with that seq opens in that role.
    fn id_of(&self, seq: u64, role: Role) -> SpanId {
        match self.called {
            true => SpanId::of_one(self.trace_id, seq, role, self.id.as_str()),
            false => SpanId::of(self.trace_id, seq, role),
        }
    }

    fn session_id(&self) -> Set {
        Set::default().with(names::SESSION_ID, self.id.as_str().to_owned())
    }

    fn span_id(&self, key: Key) -> Option<SpanId> {
        self.open.get(key).map(|open| open.span_id)
    }

    /// Closes one span, wherever it is found by; answers its id.
    fn close(&mut self, key: Key, end: End, on: &mut On<'_>) -> Option<SpanId> {
        let open = self.open.remove(key)?;
        match &open.of {
            Of::Root => {}
            Of::Generation(plan) => drop(self.generations.remove(plan)),
            Of::Level(plan, index) => drop(self.levels.remove(&(plan.clone(), *index))),
            Of::Node(id, _) => {
                if let Some(same) = self.nodes.get_mut(id) {
                    same.retain(|(_, of)| *of != key);
                    if same.is_empty() {
                        self.nodes.remove(id);
                    }
                }
            }
            Of::Request(id) => self.forget_span_of_request(id, key),
        }
        let span_id = open.span_id;
        on.spans.push(open.close(self.trace_id, &self.resource, end));
        Some(span_id)
    }

    /// Closes one whose like begins anew.
    fn supersede(&mut self, key: Option<Key>, on: &mut On<'_>) {
        if let Some(key) = key {
            let reason = Set::default().with(names::SESSION_REASON, "begun anew");
            self.close(key, End::new(on.ts, Outcome::Interrupted).with(reason), on);
        }
    }
}

/// A name as it is looked up by, which is cut.
fn name(text: &str) -> &str {
    cut(text, MAX_NAME)
}

fn own(text: Option<&Text<'_>>) -> Option<String> {
    text.map(|text| name(text).to_owned())
}
