//! What is written is what opentelemetry-proto's generated messages read, and the bytes are those that they write.

mod property;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message;

use super::*;
use crate::event::Timestamp;
use crate::otel::span::{Link, Role, SpanEvent, SpanKind, Status};
use crate::otel::{Attribute, Record, Resource, Span, SpanId, TraceId, Value};

pub(super) const TRACE: TraceId = TraceId([7; 16]);
pub(super) const SPAN: SpanId = SpanId([9; 8]);

pub(super) fn record(attributes: Vec<Attribute<'_>>) -> Record<'_> {
    Record {
        time: Timestamp::from_millis(1_760_608_411_042),
        observed: Timestamp::from_millis(1_760_608_411_043),
        severity_number: 17,
        severity_text: "error".into(),
        event_name: "process.crashed".into(),
        body: "default/api crashed".into(),
        attributes,
        trace_id: Some(TRACE),
        span_id: Some(SPAN),
        resource: Arc::default(),
    }
}

fn any(value: &Value<'_>) -> Option<AnyValue> {
    let value = match value {
        Value::Bool(value) => any_value::Value::BoolValue(*value),
        Value::Int(value) => any_value::Value::IntValue(*value),
        Value::Double(value) => any_value::Value::DoubleValue(*value),
        Value::Text(text) => any_value::Value::StringValue(text.to_string()),
        Value::Texts(texts) => {
            let values = texts.iter().filter_map(|text| any(&Value::Text(text.clone()))).collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
    };
    Some(AnyValue { value: Some(value) })
}

fn attributes(attributes: &[Attribute<'_>]) -> Vec<KeyValue> {
    let of = |(name, value): &Attribute<'_>| KeyValue {
        key: name.to_string(),
        value: any(value),
        ..KeyValue::default()
    };
    attributes.iter().map(of).collect()
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).expect("after 1970") * 1_000_000
}

/// The message that a record is.
pub(super) fn expected(record: &Record<'_>) -> LogRecord {
    LogRecord {
        time_unix_nano: millis(record.time),
        observed_time_unix_nano: millis(record.observed),
        severity_number: record.severity_number.into(),
        severity_text: record.severity_text.to_string(),
        body: any(&Value::Text(record.body.as_str().into())),
        attributes: attributes(&record.attributes),
        flags: u32::from(record.trace_id.is_some()),
        trace_id: record.trace_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        span_id: record.span_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        event_name: record.event_name.to_string(),
        ..LogRecord::default()
    }
}

/// The message that a span is.
pub(super) fn expected_span(span: &Span) -> trace::Span {
    let event = |event: &SpanEvent| trace::span::Event {
        time_unix_nano: millis(event.time),
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
        ..trace::span::Event::default()
    };
    let link = |link: &Link| trace::span::Link {
        trace_id: link.trace_id.0.to_vec(),
        span_id: link.span_id.0.to_vec(),
        attributes: attributes(&link.attributes),
        ..trace::span::Link::default()
    };
    let status = |code, message: &str| Some(trace::Status { message: message.to_owned(), code });
    trace::Span {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        parent_span_id: span.parent.map(|id| id.0.to_vec()).unwrap_or_default(),
        flags: 1,
        name: span.name.clone(),
        kind: if span.kind == SpanKind::Client { 3 } else { 1 },
        start_time_unix_nano: millis(span.start),
        end_time_unix_nano: millis(span.end),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: match &span.status {
            Status::Unset => None,
            Status::Ok => status(1, ""),
            Status::Error(why) => status(2, why),
        },
        ..trace::Span::default()
    }
}

fn logs(records: &[(&Resource, &Record<'_>)]) -> Vec<u8> {
    let encode = |record: &Record<'_>| {
        let mut bytes = Vec::new();
        log_record(record, &mut bytes);
        bytes
    };
    let records: Vec<_> = records.iter().map(|(resource, record)| (*resource, encode(record))).collect();
    let mut request = Vec::new();
    logs_request(records.iter().map(|(resource, bytes)| (*resource, &**bytes)), &mut request);
    request
}

/// Encodes a record alone, and compares.
pub(super) fn check(record: &Record<'_>) {
    let request = logs(&[(&record.resource, record)]);
    let decoded = ExportLogsServiceRequest::decode(&*request).expect("it decodes");
    assert_eq!(decoded.resource_logs[0].scope_logs[0].log_records, [expected(record)]);
    assert!(decoded.encode_to_vec() == request, "the same bytes");
}

/// Encodes a span alone, and compares.
pub(super) fn check_span(given: &Span) {
    let (mut bytes, mut request) = (Vec::new(), Vec::new());
    span(given, &mut bytes);
    spans_request([(&*given.resource, &*bytes)], &mut request);
    let decoded = ExportTraceServiceRequest::decode(&*request).expect("it decodes");
    assert_eq!(decoded.resource_spans[0].scope_spans[0].spans, [expected_span(given)]);
    assert!(decoded.encode_to_vec() == request, "the same bytes");
}

#[test]
fn every_type_and_every_length_of_value() {
    let long = |len: usize| Value::Text("é".repeat(len).into());
    let mut values = vec![Value::Bool(false), Value::Bool(true), Value::Double(-0.5), Value::Texts(vec![])];
    values.push(Value::Texts(vec!["".into(), "a".into(), "b".repeat(200).into()]));
    values.extend([0, 1, 127, 128, -1, i64::MAX, i64::MIN].map(Value::Int));
    values.extend([0, 1, 57, 58, 62, 63, 64, 8187, 8190, 8192, 70_000].map(long));
    for value in &values {
        check(&record(vec![("watchpost.data.x".into(), value.clone())]));
    }
    let named = |(place, value): (usize, Value<'static>)| (format!("a{place}").into(), value);
    check(&record(values.into_iter().enumerate().map(named).collect()));
}

#[test]
fn what_is_not_known_is_not_written() {
    let mut bare = record(vec![]);
    (bare.trace_id, bare.span_id) = (None, None);
    (bare.severity_text, bare.event_name, bare.body) = ("".into(), "".into(), String::new());
    check(&bare);
}

#[test]
fn a_time_that_otlp_cannot_say_is_unknown_or_the_last() {
    let decoded = |ts: i64| {
        let mut record = record(vec![]);
        record.time = Timestamp::from_millis(ts);
        let request = logs(&[(&record.resource, &record)]);
        let decoded = ExportLogsServiceRequest::decode(&*request).expect("it decodes");
        decoded.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano
    };
    assert_eq!(decoded(-1), 0);
    assert_eq!(decoded(i64::MIN), 0);
    assert_eq!(decoded(1), 1_000_000);
    assert_eq!(decoded(i64::MAX), i64::MAX as u64 / 1_000_000 * 1_000_000);
}

#[test]
fn a_request_has_each_resource_once_with_its_records_in_order() {
    let resource = |name: &str, namespace: Option<&str>| Resource {
        service_name: name.to_owned().into(),
        service_namespace: namespace.map(|text| text.to_owned().into()),
        service_instance_id: namespace.map(|_| "main/web-0".into()),
    };
    let (a, b, again) = (resource("a", Some("default")), resource("b", None), resource("a", Some("default")));
    let records: Vec<Record<'_>> = (0..5).map(|n| record(vec![("n".into(), Value::Int(n))])).collect();
    let order = [&a, &b, &b, &again, &a];
    let request = logs(&order.into_iter().zip(&records).collect::<Vec<_>>());
    let decoded = ExportLogsServiceRequest::decode(&*request).expect("it decodes");
    assert!(decoded.encode_to_vec() == request, "the same bytes");
    let expect = |places: &[usize]| places.iter().map(|place| expected(&records[*place])).collect::<Vec<_>>();
    let [first, second] = &decoded.resource_logs[..] else { panic!("two resources: {decoded:?}") };
    assert_eq!(first.scope_logs[0].log_records, expect(&[0, 3, 4]));
    assert_eq!(second.scope_logs[0].log_records, expect(&[1, 2]));
    let scope = first.scope_logs[0].scope.as_ref().expect("a scope");
    assert_eq!((scope.name.as_str(), scope.version.as_str()), (SCOPE, env!("CARGO_PKG_VERSION")));
    let names = [("service.name", "a"), ("service.namespace", "default"), ("service.instance.id", "main/web-0")];
    let named = names.map(|(name, value)| (name.into(), Value::from(value)));
    assert_eq!(first.resource.as_ref().expect("a resource").attributes, attributes(&named));
    assert_eq!(
        second.resource.as_ref().expect("a resource").attributes,
        attributes(&[("service.name".into(), "b".into())])
    );
}

#[test]
fn two_requests_behind_each_other_are_one() {
    let (a, b) = (record(vec![]), record(vec![("x".into(), Value::Int(1))]));
    let mut both = logs(&[(&a.resource, &a)]);
    both.extend(logs(&[(&b.resource, &b)]));
    let decoded = ExportLogsServiceRequest::decode(&*both).expect("it decodes");
    let found: Vec<&LogRecord> = decoded.resource_logs.iter().flat_map(|r| &r.scope_logs[0].log_records).collect();
    assert_eq!(found, [&expected(&a), &expected(&b)]);
    assert_eq!(logs(&[]), b"");
}

#[test]
fn a_span_with_all_that_it_can_have() {
    let (start, end) = (Timestamp::from_millis(1_760_608_411_042), Timestamp::from_millis(1_760_608_411_142));
    let some: Vec<Attribute<'static>> = vec![("error.type".into(), "timeout".into())];
    let mut whole = Span {
        role: Role::Request,
        trace_id: TRACE,
        span_id: SPAN,
        parent: Some(SpanId([1; 8])),
        name: "chat claude-sonnet-4".into(),
        kind: SpanKind::Client,
        start,
        end,
        attributes: some.clone(),
        events: vec![SpanEvent { time: end, name: "retry".into(), attributes: some.clone() }],
        links: vec![Link { trace_id: TRACE, span_id: SpanId([2; 8]), attributes: some }],
        status: Status::Error("no answer within 30 s".into()),
        resource: Arc::new(Resource { service_name: "build".into(), ..Resource::default() }),
    };
    check_span(&whole);
    whole.status = Status::Ok;
    whole.links.push(Link { trace_id: TRACE, span_id: SPAN, attributes: vec![] });
    check_span(&whole);
    (whole.parent, whole.kind, whole.status) = (None, SpanKind::Internal, Status::Unset);
    (whole.events, whole.links, whole.attributes) = (vec![], vec![], vec![]);
    check_span(&whole);
}
