//! Every type's record as a whole, and any payload's: nothing missing.

mod property;

use std::sync::Arc;

use super::*;
use crate::event::{Data, StreamId, Subject};
use crate::otel::reference::examples;
use crate::otel::{Value, names};

pub(super) fn context() -> Context {
    let trace_id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736");
    let resource = Resource { service_name: "api".into(), ..Resource::default() };
    Context { resource: Arc::new(resource), trace_id, span_id: SpanId::parse("00f067aa0ba902b7") }
}

/// An event of that stream and type.
pub(super) fn event(stream: &str, kind: &str, data: &str) -> Logged {
    let mut logged = examples::events().expect("examples").remove(0);
    let event = Arc::make_mut(&mut logged.event);
    event.session = StreamId::new(stream).expect(stream);
    event.kind = crate::event::Kind::new(kind).expect(kind);
    event.data = Data::parse(data.into()).expect(data);
    logged
}

/// The value of an attribute, as Rust writes it.
fn get(logged: &Logged, name: &str) -> Option<String> {
    let record = record(logged, &context());
    let mut found = record.attributes.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| format!("{value:?}"));
    assert_eq!(found.next(), None, "{name} comes twice");
    value
}

#[test]
fn the_record_of_every_type() {
    let mut told = String::new();
    for logged in examples::events().expect("examples") {
        let record = record(&logged, &context());
        let (name, text) = (&record.event_name, &record.severity_text);
        told += &format!("{name}  {text} {}\n  {}\n", record.severity_number, record.body);
        for (name, value) in &record.attributes {
            if !attributes::ALWAYS.contains(&name.as_ref()) {
                told += &format!("    {name} = {value:?}\n");
            }
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn no_field_of_a_known_payload_is_left_without_a_name() {
    for logged in examples::events().expect("examples") {
        let record = record(&logged, &context());
        let open = matches!(logged.event.session.class(), Class::Hub | Class::Observer);
        let nameless = record.attributes.iter().filter(|(name, _)| name.starts_with(names::DATA_PREFIX));
        assert_eq!(nameless.count() > 0, open, "{}", record.event_name);
        for name in attributes::ALWAYS {
            assert!(get(&logged, name).is_some(), "{}: {name}", record.event_name);
        }
    }
}

#[test]
fn the_tables_give_each_attribute_the_type_that_it_has() {
    let kinds = examples::events().expect("examples");
    for logged in &kinds {
        for row in fields::of(logged.event.session.class(), logged.event.kind.as_str()) {
            let name = names::all().find(|known| known.name == row.attribute).expect(row.attribute);
            let form = if row.listed { names::Form::Texts } else { row.form };
            assert_eq!(name.kind, names::Kind::Attribute(form), "{}", row.attribute);
        }
    }
}

#[test]
fn a_field_of_the_wrong_type_is_kept_beside() {
    let check = |kind, data: &str, known: &str, field: &str, value: &str| {
        let logged = event("build-17", kind, data);
        assert_eq!(get(&logged, known), None, "{data}");
        assert_eq!(get(&logged, &format!("watchpost.data.{field}")).as_deref(), Some(value), "{data}");
    };
    check("level_started", r#"{"plan_id":7}"#, names::PLAN_ID, "plan_id", "Int(7)");
    check("level_started", r#"{"level_index":"1"}"#, names::LEVEL_INDEX, "level_index", r#"Text("1")"#);
    check("level_started", r#"{"level_index":1.5}"#, names::LEVEL_INDEX, "level_index", "Double(1.5)");
    check("level_started", r#"{"level_index":[ 1 ]}"#, names::LEVEL_INDEX, "level_index", r#"Text("[ 1 ]")"#);
    check("session_started", r#"{"args":"-v"}"#, names::PROCESS_COMMAND_ARGS, "args", r#"Text("-v")"#);
    check("session_started", r#"{"args":["-v",1]}"#, names::PROCESS_COMMAND_ARGS, "args", r#"Text("[\"-v\",1]")"#);
    check("session_ended", r#"{"counts":3}"#, names::SESSION_COUNTS, "counts", "Int(3)");
    let most = r#"Text("18446744073709551615")"#;
    check("queue_stats", r#"{"pending":18446744073709551615}"#, names::QUEUE_PENDING, "pending", most);
    let state = event("proc-main-1", "started", r#"{"state":7,"process":"api"}"#);
    assert_eq!(get(&state, "watchpost.data.state").as_deref(), Some("Int(7)"));
    assert_eq!(get(&state, names::PROCESS_NAME).as_deref(), Some(r#"Text("api")"#));
}

#[test]
fn two_fields_that_mean_one_attribute_are_both_there() {
    let data = r#"{"restarts":2,"state":{"restarts":3,"new":true,"pid":null}}"#;
    let logged = event("proc-main-1", "restarted", data);
    assert_eq!(get(&logged, names::PROCESS_RESTART_COUNT).as_deref(), Some("Int(3)"));
    assert_eq!(get(&logged, "watchpost.data.restarts").as_deref(), Some("Int(2)"));
    assert_eq!(get(&logged, "watchpost.data.state.new").as_deref(), Some("Bool(true)"));
    assert_eq!(get(&logged, names::PROCESS_PID), None);
    for data in [r#"{"error.type":"a","error_type":"b"}"#, r#"{"error_type":"b","error.type":"a"}"#] {
        let logged = event("build-17", "generation_failed", data);
        assert_eq!(get(&logged, names::ERROR_TYPE).as_deref(), Some(r#"Text("a")"#), "{data}");
        assert_eq!(get(&logged, "watchpost.data.error_type").as_deref(), Some(r#"Text("b")"#), "{data}");
    }
    let twice = event("build-17", "level_started", r#"{"plan_id":"a","plan_id":"b","x":1,"x":2}"#);
    assert_eq!(get(&twice, names::PLAN_ID).as_deref(), Some(r#"Text("b")"#));
    assert_eq!(get(&twice, "watchpost.data.x").as_deref(), Some("Int(2)"));
}

#[test]
fn what_is_known_of_an_events_origin_is_there() {
    let mut logged = event("hub-project", "deployed", "{}");
    let id = uuid::Uuid::from_u128(7);
    let event = Arc::make_mut(&mut logged.event);
    event.origin.hub_id = Some("main".into());
    event.origin.source = Some("web".into());
    event.correlation_id = Some(id);
    event.hops = 2;
    event.ts = "1969-01-01T00:00:00.000Z".parse().expect("a time");
    event.severity = Severity::Other("loud".into());
    assert_eq!(get(&logged, names::HUB_ID).as_deref(), Some(r#"Text("main")"#));
    assert_eq!(get(&logged, names::SOURCE_NAME).as_deref(), Some(r#"Text("web")"#));
    assert_eq!(get(&logged, names::CORRELATION_ID), Some(format!("{:?}", Value::from(id.to_string()))));
    assert_eq!(get(&logged, names::EVENT_HOPS).as_deref(), Some("Int(2)"));
    assert_eq!(get(&logged, names::EVENT_TIME).as_deref(), Some(r#"Text("1969-01-01T00:00:00.000Z")"#));
    let record = record(&logged, &context());
    assert_eq!((record.severity_number, &*record.severity_text), (9, "loud"));
}

#[test]
fn the_event_name_of_a_hub_says_domain_and_action_and_not_which_hub() {
    let check = |subject: &str, name: &str| {
        let mut logged = event("hub-project", "deployed", "{}");
        Arc::make_mut(&mut logged.event).subject = Subject::parse(subject).expect(subject);
        assert_eq!(record(&logged, &context()).event_name, name, "{subject}");
    };
    check("hub.main.project", "hub.project.event");
    check("hub.main.project.deploy.done", "hub.project.deploy.done");
    check("elsewhere.main", "hub.project.deployed");
}

#[test]
fn a_body_is_one_line_of_bounded_length() {
    let long = format!(r#"{{"command_summary":"{}"}}"#, "\\u001bé".repeat(2000));
    let record_of = |data: &str| record(&event("build-17", "session_started", data), &context()).body;
    let body = record_of(&long);
    assert_eq!(body.chars().count(), MAX_BODY_CHARS);
    assert!(body.starts_with("session started: \\u{1b}é") && body.ends_with('…'), "{body}");
    assert_eq!(record_of(r#"{"command_summary":"a\nb"}"#), "session started: a\\nb");
}
