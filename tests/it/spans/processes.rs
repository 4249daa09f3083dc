//! Runs of processes: each a trace of its own, from its launch to its end.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchpost::event::Event;
use watchpost::event::process::ProcessData;
use watchpost::otel::span::{Role, Span, Status};
use watchpost::otel::{SpanId, TraceId, Tracker};

use super::{Log, NONE, START, attribute, check_tree, failed, of, one, outcome, times};

pub(crate) const RUN: &str = "6c7e1a52-0000-4000-8000-000000000001";

/// A life of the supervisor, told by when it started: so many milliseconds after [`START`].
pub(crate) fn life(at: i64) -> String {
    format!("proc-main-{}", START + at)
}

/// The payload of an event of a process.
pub(crate) fn data(process: &str, run: Option<&str>, status: &str, more: &Value) -> Value {
    let mut data = json!({
        "process": process, "namespace": "core",
        "state": { "name": process, "namespace": "core", "status": status, "is_ready": "-", "has_ready_probe": false,
            "restarts": 0, "exit_code": 0, "is_running": true, "pid": 7 },
    });
    if let Some(run) = run {
        data["run_id"] = json!(run);
    }
    for (key, value) in more.as_object().expect("an object") {
        match data["state"].get(key) {
            Some(_) if key != "exit_code" => data["state"][key] = value.clone(),
            None if ["age", "replicas"].contains(&key.as_str()) => data["state"][key] = value.clone(),
            _ => data[key] = value.clone(),
        }
    }
    data
}

fn tell(log: &mut Log, at: i64, kind: &str, status: &str, more: &Value) {
    log.add(&life(-3_600_000), at, kind, &data("web-0", Some(RUN), status, more));
}

#[test]
fn a_run_is_a_trace_of_its_own_from_launch_over_ready_to_end() {
    let mut log = Log::default();
    tell(
        &mut log,
        0,
        "started",
        "Running",
        &json!({ "is_ready": "Not Ready", "has_ready_probe": true, "replicas": 2 }),
    );
    tell(&mut log, 40, "healthy", "Running", &json!({ "is_ready": "Ready", "replicas": 2 }));
    tell(&mut log, 60, "unhealthy", "Running", &json!({ "is_ready": "Not Ready", "replicas": 2 }));
    tell(&mut log, 70, "healthy", "Running", &json!({ "is_ready": "Ready", "replicas": 2 }));
    tell(&mut log, 90, "crashed", "Completed", &json!({ "exit_code": 7, "reason": "exit", "replicas": 2 }));
    let told = log.told();
    let spans = log.spans();
    check_tree(&spans, NONE);
    let (run, ready) = (one(&spans, Role::Run), one(&spans, Role::RunReady));
    let stream = &log.events[0].session;
    assert_eq!(run.trace_id, TraceId::of_run(stream, RUN.parse().expect("a UUID")));
    assert_eq!(run.span_id, SpanId::of(run.trace_id, 1, Role::Run));
    assert_eq!((run.parent, ready.parent), (None, Some(run.span_id)));
    assert_eq!((times(run), times(ready)), ((0, 90), (0, 40)));
    assert_eq!((&run.status, &ready.status), (&failed("exit code 7"), &Status::Unset));
    assert_eq!((outcome(run), outcome(ready)), ("failed".into(), "completed".into()));
    assert_eq!(attribute(run, "process.exit.code").as_deref(), Some("7"));
    assert_eq!(attribute(run, "error.type").as_deref(), Some("exit"));
    let health: Vec<&str> = run.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(health, ["healthy", "unhealthy", "healthy"]);
    let resource = &run.resource;
    assert_eq!((resource.service_name.as_ref(), resource.service_namespace.as_deref()), ("web", Some("core")));
    assert_eq!(resource.service_instance_id.as_deref(), Some("main/web-0"));
    assert!(told.iter().all(|told| told.context.span_id == Some(run.span_id)));
}

#[test]
fn a_run_that_was_there_before_says_so_and_began_when_it_was_launched() {
    let mut log = Log::default();
    tell(
        &mut log,
        0,
        "started",
        "Running",
        &json!({ "initial": true, "age": 5_000_000_000_i64, "is_ready": "Ready", "has_ready_probe": true }),
    );
    tell(&mut log, 10, "stopped", "Completed", &json!({ "exit_code": 0, "reason": "requested", "inferred": true }));
    let spans = log.spans();
    let run = one(&spans, Role::Run);
    assert_eq!((times(run), outcome(run).as_str(), &run.status), ((-5000, 10), "completed", &Status::Unset));
    for flag in ["watchpost.process.initial", "watchpost.process.inferred"] {
        assert_eq!(attribute(run, flag).as_deref(), Some("true"));
    }
    assert_eq!((spans.len(), run.resource.service_name.as_ref()), (1, "web-0"));
}

#[test]
fn a_run_that_ends_before_it_is_ready_says_so() {
    for (kind, reason, word) in [("crashed", "unhealthy", "failed"), ("stopped", "requested", "interrupted")] {
        let mut log = Log::default();
        tell(&mut log, 0, "started", "Running", &json!({ "is_ready": "Not Ready", "has_ready_probe": true }));
        tell(&mut log, 30, kind, "Completed", &json!({ "reason": reason }));
        let spans = log.spans();
        let ready = one(&spans, Role::RunReady);
        assert_eq!((times(ready), outcome(ready).as_str()), ((0, 30), word));
    }
}

#[test]
fn what_an_earlier_life_of_the_supervisor_left_open_is_closed_once_the_next_is_looked_through() {
    let mut log = Log::default();
    tell(&mut log, 0, "started", "Running", &json!({}));
    let next = life(1_000);
    log.add(
        &next,
        2_000,
        "started",
        &data("web-0", Some("6c7e1a52-0000-4000-8000-000000000002"), "Running", &json!({})),
    );
    assert_eq!(log.spans().len(), 0, "its own events may still tell how it ended");
    let sample = json!({ "source": "main", "sample": 1, "part": 1, "parts": 1, "processes": [] });
    log.add(&next, 3_000, "resources_sampled", &sample);
    let spans = log.spans();
    let run = one(&spans, Role::Run);
    assert_eq!((times(run), outcome(run).as_str(), &run.status), ((0, 3_000), "interrupted", &Status::Unset));
    tell(&mut log, 4_000, "stopped", "Completed", &json!({}));
    assert_eq!(log.spans().len(), 1, "its end is told once");
}

/// What the fold of the same events knows of each run: when it was told to begin and to end, and how.
fn runs(events: &[Event]) -> BTreeMap<String, (Event, Option<Event>)> {
    let mut runs = BTreeMap::new();
    for event in events {
        let Some(id) = event.data.read::<ProcessData>().ok().and_then(|data| data.run_id) else { continue };
        match event.kind.as_str() {
            "started" => drop(runs.insert(id.to_string(), (event.clone(), None))),
            "stopped" | "crashed" => {
                runs.get_mut(&id.to_string()).expect("it was started").1 = Some(event.clone());
            }
            _ => {}
        }
    }
    runs
}

/// The spans of the runs that go on, which are told of later.
fn open(runs: &BTreeMap<String, (Event, Option<Event>)>) -> Vec<String> {
    let open = runs.iter().filter(|(_, (_, end))| end.is_none());
    let span = |(id, (begin, _)): (&String, &(Event, Option<Event>))| {
        let trace_id = TraceId::of_run(&begin.session, id.parse().expect("a UUID"));
        SpanId::of(trace_id, begin.seq, Role::Run).to_string()
    };
    open.map(span).collect()
}

/// Holds the spans of a recording's events against these events.
pub(crate) fn check(name: &str, events: &[Event]) {
    let mut tracker = Tracker::default();
    let told: Vec<_> = events.iter().map(|event| tracker.apply(event)).collect();
    let spans: Vec<Span> = told.iter().flat_map(|told| told.spans.clone()).collect();
    let runs = runs(events);
    check_tree(&spans, &open(&runs));
    let ended = runs.values().filter(|(_, end)| end.is_some()).count();
    assert_eq!(of(&spans, Role::Run).len(), ended, "{name}");
    for span in of(&spans, Role::Run) {
        let (begin, end) = &runs[&attribute(span, "watchpost.process.run.id").expect("a run")];
        let (begin, end) = (begin, end.as_ref().expect("an end"));
        let data: ProcessData = end.data.read().expect("a payload");
        let initial = attribute(span, "watchpost.process.initial").is_some();
        assert!(span.start == begin.ts || initial && span.start < begin.ts, "{name}: {span:#?}");
        assert_eq!(span.end, end.ts.max(span.start));
        assert_eq!(attribute(span, "process.exit.code"), data.exit_code.map(|code| code.to_string()));
        assert_eq!(matches!(span.status, Status::Error(_)), end.kind.as_str() == "crashed");
        assert_eq!(span.resource.service_instance_id.as_deref(), Some(format!("main/{}", data.process).as_str()));
    }
    let healthy = spans.iter().flat_map(|span| &span.events).filter(|event| event.name == "healthy").count();
    let open: Vec<&str> = runs.iter().filter(|(_, (_, end))| end.is_none()).map(|(id, _)| id.as_str()).collect();
    let of_ended = |event: &&Event| {
        let run = event.data.read::<ProcessData>().ok().and_then(|data| data.run_id);
        event.kind.as_str() == "healthy" && run.is_some_and(|run| !open.contains(&run.to_string().as_str()))
    };
    assert_eq!(healthy, events.iter().filter(of_ended).count(), "{name}");
    super::startup::check(name, &spans);
}
