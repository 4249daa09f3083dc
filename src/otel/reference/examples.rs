//! One event of every type, with every field that its payload can have.

use uuid::Uuid;

use crate::event::session::types;
use crate::event::{Data, Event, Invalid, Kind, Logged, Origin, Severity, StreamId, Subject, Timestamp};

/// What every event of a process has; before its closing brace comes what its type has beside.
const PROCESS: &str = r#"{"process":"api-0","namespace":"default","namespaces":["default","edge"],"run_id":"018f3c5e-7b1a-7c3d-9e4f-0123456789ab","state":{"name":"api-0","namespace":"default","status":"Running","is_ready":"Ready","has_ready_probe":true,"restarts":2,"exit_code":0,"is_running":true,"replicas":2,"pid":4711,"age":83000000000,"mem":52428800,"cpu":1.5}"#;

/// Types of processes, their severity, and what they have beside.
const PROCESSES: [(&str, Severity, &str); 7] = [
    ("started", Severity::Info, r#","initial":true"#),
    ("stopped", Severity::Info, r#","exit_code":0,"reason":"requested","ambiguous":true"#),
    ("crashed", Severity::Error, r#","exit_code":1,"reason":"exit","inferred":true"#),
    ("restarted", Severity::Info, r#","by":"policy","restarts":2,"unseen":1"#),
    ("healthy", Severity::Info, ""),
    ("unhealthy", Severity::Warning, ""),
    ("status_changed", Severity::Debug, r#","previous_status":"Launching""#),
];

const RESOURCES: &str = r#"{"source":"main","sample":17,"part":1,"parts":2,"processes":[{"process":"api-0","namespace":"default","mem":52428800,"cpu":1.5}]}"#;

const DEPENDENCIES: &str = r#"{"source":"main","listing":17,"part":1,"parts":1,"processes":[{"process":"api-0","namespace":"default","status":"Pending","depends_on":[{"process":"db","condition":"healthy"}]}]}"#;

const DOWN: &str =
    r#"{"source":"main","url":"http://127.0.0.1:8080/","failed_polls":3,"error":"connection refused"}"#;

const UP: &str = r#"{"source":"main","url":"http://127.0.0.1:8080/","failed_polls":3,"down_ms":6540}"#;

/// All of them: processes, sources, sessions, and one each of hubs and observers, whose types are open.
pub(in crate::otel) fn events() -> Result<Vec<Logged>, Invalid> {
    let mut made = Vec::new();
    for (kind, severity, more) in PROCESSES {
        made.push(process(kind, severity, format!("{PROCESS}{more}}}"))?);
    }
    made.push(process("resources_sampled", Severity::Debug, RESOURCES.to_owned())?);
    made.push(process("dependencies_listed", Severity::Debug, DEPENDENCIES.to_owned())?);
    for (kind, severity, data) in [("source_down", Severity::Error, DOWN), ("source_up", Severity::Info, UP)] {
        made.push(event("source-main", kind, &format!("core.source.main.{kind}"), severity, data.to_owned())?);
    }
    for known in types() {
        let subject = format!("core.session.build-17.{}", known.name);
        made.push(event("build-17", known.name, &subject, known.severity.clone(), known.example.to_owned())?);
    }
    let hub = r#"{"revision":"4f2a91c"}"#.to_owned();
    made.push(event("hub-project", "deployed", "hub.main.project.deployed", Severity::Info, hub)?);
    let observer = r#"{"rule":"restarts"}"#.to_owned();
    let subject = "core.observer.restarts.action_started";
    made.push(event("observer-restarts", "action_started", subject, Severity::Info, observer)?);
    let logged = |(offset, event): (_, Event)| Logged { offset, event: event.into() };
    Ok((0..).zip(made).map(logged).collect())
}

fn process(kind: &str, severity: Severity, data: String) -> Result<Event, Invalid> {
    event("proc-main-1769860800000", kind, &format!("core.process.default.api-0.{kind}"), severity, data)
}

fn event(stream: &str, kind: &str, subject: &str, severity: Severity, data: String) -> Result<Event, Invalid> {
    // 2026-01-31T12:00:00Z.
    let time = Timestamp::from_millis(1_769_860_800_000);
    Ok(Event {
        id: Uuid::from_u128(0x018f_3c5e_7b1a_7c3d_9e4f_0123_4567_89ab),
        ts: time,
        observed: time,
        session: StreamId::new(stream)?,
        seq: 1,
        kind: Kind::new(kind)?,
        subject: Subject::parse(subject)?,
        severity,
        origin: Origin::default(),
        correlation_id: None,
        trace: None,
        hops: 0,
        data: Data::parse(data)?,
    })
}
