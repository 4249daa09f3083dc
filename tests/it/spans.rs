//! Spans, from the events of whole streams: what each says, that they make one tree, and that this tree is what the
//! folds of the same events know.

mod odd;
pub(crate) mod processes;
mod segments;
mod startup;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use uuid::Uuid;
use watchpost::event::{Class, Data, Event, Kind, Origin, Severity, StreamId, Subject, Timestamp, Trace};
use watchpost::otel::span::{Role, Span, Status};
use watchpost::otel::{Context, Told, Tracker, Value};

/// When the first event of these tests happened.
pub(crate) const START: i64 = 1_760_608_411_000;

/// Events as the log has them.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    seqs: BTreeMap<String, u64>,
}

impl Log {
    /// Adds an event, so many milliseconds after [`START`].
    pub(crate) fn add(&mut self, stream: &str, at: i64, kind: &str, data: &Json) -> &mut Event {
        self.add_text(stream, Timestamp::from_millis(START).plus_millis(at), kind, data.to_string())
    }

    pub(crate) fn add_text(&mut self, stream: &str, ts: Timestamp, kind: &str, data: String) -> &mut Event {
        let session = StreamId::new(stream).expect("an id");
        let seq = self.seqs.entry(stream.to_owned()).or_default();
        *seq += 1;
        let source = (session.class() == Class::Process).then(|| "main".into());
        self.events.push(Event {
            id: Uuid::from_u128(self.events.len() as u128 + 1),
            ts,
            observed: ts,
            session,
            seq: *seq,
            kind: Kind::new(kind).expect("a type"),
            subject: Subject::parse("core.test").expect("a subject"),
            severity: Severity::Info,
            origin: Origin { source, ..Origin::default() },
            correlation_id: None,
            trace: None,
            hops: 0,
            data: Data::parse(data).expect("an object"),
        });
        self.events.last_mut().expect("an event")
    }

    /// What the tracker makes of all of them.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut tracker = Tracker::default();
        self.events.iter().map(|event| tracker.apply(event)).collect()
    }

    /// The spans alone.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.told().into_iter().flat_map(|told| told.spans).collect()
    }
}

/// No span that is not told of here.
pub(crate) const NONE: &[&str] = &[];

/// Nothing is told twice, nothing runs backwards, and every parent is a span that is told of, or one of those
/// that are not told of here: the caller's, or one that is open.
pub(crate) fn check_tree(spans: &[Span], others: &[impl AsRef<str>]) {
    let ids: BTreeSet<_> = spans.iter().map(|span| (span.trace_id, span.span_id)).collect();
    assert_eq!(ids.len(), spans.len(), "an id comes twice: {spans:#?}");
    for span in spans {
        assert!(span.start <= span.end, "{span:#?}");
        if let Some(parent) = span.parent {
            let known =
                ids.contains(&(span.trace_id, parent)) || others.iter().any(|id| id.as_ref() == parent.to_string());
            assert!(known, "the parent is in no trace: {span:#?}");
        }
        assert!(span.span_id.0 != [0; 8] && span.trace_id.0 != [0; 16]);
        let row = watchpost::otel::names::spans::of(span.role);
        for (name, _) in &span.attributes {
            assert!(row.attributes.contains(&name.as_ref()), "{name} is not in the table: {span:#?}");
        }
        let twice: BTreeSet<_> = span.attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(twice.len(), span.attributes.len(), "an attribute comes twice: {span:#?}");
    }
}

/// Every event is in a span that is told of.
pub(crate) fn check_contexts(contexts: &[Context], spans: &[Span]) {
    let ids: BTreeSet<_> = spans.iter().map(|span| (Some(span.trace_id), Some(span.span_id))).collect();
    for context in contexts {
        assert!(ids.contains(&(context.trace_id, context.span_id)), "{context:?}");
    }
}

/// An attribute as text; none where it is not there.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    span.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Text(value) => value.to_string(),
        Value::Texts(values) => values.join(", "),
    })
}

pub(crate) fn outcome(span: &Span) -> String {
    attribute(span, "watchpost.outcome").expect("every span has an outcome")
}

pub(crate) fn of(spans: &[Span], role: Role) -> Vec<&Span> {
    spans.iter().filter(|span| span.role == role).collect()
}

/// The only one.
pub(crate) fn one(spans: &[Span], role: Role) -> &Span {
    let of = of(spans, role);
    assert_eq!(of.len(), 1, "{role:?}: {spans:#?}");
    of[0]
}

/// When a span began and ended, in milliseconds after [`START`].
pub(crate) fn times(span: &Span) -> (i64, i64) {
    (span.start.as_millis() - START, span.end.as_millis() - START)
}

pub(crate) fn failed(message: &str) -> Status {
    Status::Error(message.to_owned())
}

pub(crate) fn trace(trace_id: &str, span_id: Option<&str>, parent_id: Option<&str>) -> Trace {
    Trace {
        trace_id: trace_id.into(),
        span_id: span_id.map(str::to_owned),
        parent_id: parent_id.map(str::to_owned),
    }
}
