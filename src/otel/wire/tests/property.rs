//! Any record and any span.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{SPAN, TRACE, check, check_span, record};
use crate::event::Timestamp;
use crate::otel::span::{Link, Role, SpanEvent, SpanKind, Status};
use crate::otel::{Attribute, Resource, Span, Value};

fn attribute() -> impl Strategy<Value = Attribute<'static>> {
    let text = prop_oneof![any::<String>(), "[a-z]{100,300}"];
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::Double),
        text.clone().prop_map(Value::from),
        vec(text.prop_map(Into::into), 0..4).prop_map(Value::Texts),
    ];
    ("[a-z.]{1,150}", value).prop_map(|(name, value)| (name.into(), value))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..9_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

fn span() -> impl Strategy<Value = Span> {
    let many = || vec(attribute(), 0..4);
    let event = (time(), any::<String>(), many());
    let event = event.prop_map(|(time, name, attributes)| SpanEvent { time, name, attributes });
    let link = many().prop_map(|attributes| Link { trace_id: TRACE, span_id: SPAN, attributes });
    let status = prop_oneof![Just(Status::Unset), Just(Status::Ok), any::<String>().prop_map(Status::Error)];
    let rest = (vec(event, 0..3), vec(link, 0..3), status, any::<bool>());
    (any::<String>(), time(), time(), many(), rest).prop_map(|(name, start, end, attributes, rest)| {
        let (events, links, status, client) = rest;
        Span {
            role: Role::Node,
            trace_id: TRACE,
            span_id: SPAN,
            parent: client.then_some(SPAN),
            name,
            kind: if client { SpanKind::Client } else { SpanKind::Internal },
            start,
            end,
            attributes,
            events,
            links,
            status,
            resource: Arc::new(Resource::default()),
        }
    })
}

proptest! {
    #[test]
    fn any_record(attributes in vec(attribute(), 0..40), body: String, time in time(), traced: bool) {
        let mut record = record(attributes);
        record.body = body;
        record.time = time;
        if !traced {
            (record.trace_id, record.span_id) = (None, None);
        }
        check(&record);
    }

    #[test]
    fn any_span(span in span()) {
        check_span(&span);
    }
}
