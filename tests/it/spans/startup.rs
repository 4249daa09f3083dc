//! The start of a project: who waited for whom.

use serde_json::{Value, json};
use watchpost::otel::span::{Role, Span, Status};
use watchpost::otel::{SpanId, TraceId};

use super::processes::{data, life};
use super::{Log, attribute, check_tree, failed, of, one, outcome, times};

const RUNS: [(&str, &str); 4] = [
    ("db", "6c7e1a52-0000-4000-8000-00000000000a"),
    ("init", "6c7e1a52-0000-4000-8000-00000000000b"),
    ("api", "6c7e1a52-0000-4000-8000-00000000000c"),
    ("extra", "6c7e1a52-0000-4000-8000-00000000000d"),
];

fn tell(log: &mut Log, at: i64, name: &str, kind: &str, more: &Value) {
    let run = RUNS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run);
    let status = if kind == "started" { "Running" } else { more["status"].as_str().unwrap_or("Completed") };
    let more = if name == "db" { json_with(more, "has_ready_probe", true) } else { more.clone() };
    log.add(&life(0), at, kind, &data(name, run, status, &more));
}

fn json_with(value: &Value, key: &str, with: bool) -> Value {
    let mut value = value.clone();
    value[key] = json!(with);
    value
}

/// The api waits for the database to be healthy, and for the initialisation to complete.
fn listing(log: &mut Log, at: i64) {
    let listed = |name: &str, status: &str, on: Value| json!({ "process": name, "namespace": "core", "status": status, "depends_on": on });
    let on = |name: &str, condition: &str| json!({ "process": name, "condition": condition });
    let processes = json!([
        listed("api", "Pending", json!([on("db", "healthy"), on("init", "completed_successfully")])),
        listed("db", "Running", json!([])),
        listed("init", "Running", json!([])),
        listed("off", "Disabled", json!([on("db", "started")])),
    ]);
    let listing = json!({ "source": "main", "listing": 1, "part": 1, "parts": 1, "processes": processes });
    log.add(&life(0), at, "dependencies_listed", &listing);
}

/// A project that is up after five seconds, but for what `end` tells.
fn begun() -> Log {
    let mut log = Log::default();
    tell(
        &mut log,
        500,
        "db",
        "started",
        &json!({ "initial": true, "age": 400_000_000_i64, "is_ready": "Not Ready" }),
    );
    tell(&mut log, 510, "init", "started", &json!({}));
    listing(&mut log, 600);
    log
}

fn named<'a>(spans: &'a [Span], role: Role, process: &str) -> Option<&'a Span> {
    of(spans, role).into_iter().find(|span| attribute(span, "watchpost.process.name").as_deref() == Some(process))
}

#[test]
fn the_start_of_a_project_is_a_waterfall_of_who_waited_for_whom() {
    let mut log = begun();
    tell(&mut log, 2_000, "init", "stopped", &json!({ "exit_code": 0, "reason": "exit" }));
    tell(&mut log, 4_000, "db", "healthy", &json!({ "status": "Running", "is_ready": "Ready" }));
    assert_eq!(of(&log.spans(), Role::Startup).len(), 0, "the api has not been launched");
    tell(&mut log, 4_100, "api", "started", &json!({}));
    let spans = log.spans();
    let runs = TraceId::of_run(&log.events[0].session, RUNS[0].1.parse().expect("a UUID"));
    check_tree(&spans, &[SpanId::of(runs, 1, Role::Run).to_string()]);
    let root = one(&spans, Role::Startup);
    assert_eq!(root.trace_id, TraceId::of_startup(&log.events[0].session));
    assert_eq!(root.span_id, SpanId::of(root.trace_id, 1, Role::Startup));
    assert_eq!((times(root), outcome(root).as_str()), ((0, 4_100), "completed"));
    assert_eq!(attribute(root, "watchpost.startup.complete").as_deref(), Some("true"));
    assert_eq!(attribute(root, "watchpost.startup.processes").as_deref(), Some("3"), "what is disabled is none");
    assert_eq!(root.resource.service_name.as_ref(), "main");
    let wait = one(&spans, Role::StartupWait);
    assert_eq!((times(wait), wait.parent), ((0, 4_100), Some(root.span_id)));
    assert_eq!(
        attribute(wait, "watchpost.startup.dependencies").as_deref(),
        Some("db healthy, init completed_successfully")
    );
    assert_eq!((wait.resource.service_name.as_ref(), wait.trace_id), ("api", root.trace_id));
    let launch = |name| named(&spans, Role::StartupProcess, name).map(times);
    assert_eq!((launch("db"), launch("init")), (Some((100, 4_000)), Some((510, 2_000))));
    assert_eq!((launch("api"), launch("off")), (Some((4_100, 4_100)), None));
    let run = one(&spans, Role::Run);
    let init = named(&spans, Role::StartupProcess, "init").expect("init");
    assert_eq!(
        init.links.iter().map(|link| (link.trace_id, link.span_id)).collect::<Vec<_>>(),
        [(run.trace_id, run.span_id)]
    );
    let before = spans.len();
    tell(&mut log, 9_000, "db", "unhealthy", &json!({ "status": "Running" }));
    listing(&mut log, 10_000);
    assert_eq!(log.spans().len(), before, "it is told of once");
}

#[test]
fn what_failed_or_was_skipped_in_the_start_says_so() {
    let mut log = begun();
    tell(&mut log, 4_000, "db", "healthy", &json!({ "status": "Running", "is_ready": "Ready" }));
    tell(&mut log, 5_000, "init", "crashed", &json!({ "exit_code": 3, "reason": "exit" }));
    let skipped = data("api", None, "Skipped", &json!({ "previous_status": "Pending" }));
    log.add(&life(0), 5_010, "status_changed", &skipped);
    let spans = log.spans();
    let root = one(&spans, Role::Startup);
    assert_eq!((times(root), outcome(root).as_str()), ((0, 5_010), "completed"));
    let init = named(&spans, Role::StartupProcess, "init").expect("init");
    assert_eq!((times(init), &init.status, outcome(init)), ((510, 5_000), &failed("exit code 3"), "failed".into()));
    let wait = one(&spans, Role::StartupWait);
    assert_eq!((times(wait), outcome(wait).as_str(), &wait.status), ((0, 5_010), "skipped", &Status::Unset));
    assert!(named(&spans, Role::StartupProcess, "api").is_none());
}

#[test]
fn a_process_that_is_launched_again_is_still_on_its_way() {
    let mut log = begun();
    tell(&mut log, 1_000, "init", "crashed", &json!({ "exit_code": 3, "reason": "exit", "status": "Restarting" }));
    tell(&mut log, 2_000, "init", "started", &json!({}));
    tell(&mut log, 4_000, "db", "healthy", &json!({ "status": "Running", "is_ready": "Ready" }));
    tell(&mut log, 5_000, "init", "stopped", &json!({ "exit_code": 0, "reason": "exit" }));
    tell(&mut log, 5_100, "api", "started", &json!({}));
    let spans = log.spans();
    let init = named(&spans, Role::StartupProcess, "init").expect("init");
    assert_eq!((times(init), outcome(init).as_str()), ((510, 5_000), "completed"));
}

#[test]
fn a_start_that_takes_ten_minutes_is_told_of_as_it_stands() {
    let mut log = begun();
    tell(&mut log, 599_999, "db", "unhealthy", &json!({ "status": "Running" }));
    assert_eq!(of(&log.spans(), Role::Startup).len(), 0);
    tell(&mut log, 700_000, "db", "unhealthy", &json!({ "status": "Running" }));
    let spans = log.spans();
    let root = one(&spans, Role::Startup);
    assert_eq!((times(root), outcome(root).as_str()), ((0, 600_000), "interrupted"));
    assert_eq!(attribute(root, "watchpost.startup.complete").as_deref(), Some("false"));
    let wait = one(&spans, Role::StartupWait);
    assert_eq!((times(wait), outcome(wait).as_str()), ((0, 600_000), "interrupted"));
}

#[test]
fn a_supervisor_that_runs_for_long_already_has_no_start_to_tell_of() {
    let mut log = Log::default();
    log.add(&life(-600_000), 0, "started", &data("db", Some(RUNS[0].1), "Running", &json!({})));
    let listing = json!({ "source": "main", "listing": 1, "part": 1, "parts": 1, "processes": [
        { "process": "db", "namespace": "core", "status": "Running", "depends_on": [] }] });
    log.add(&life(-600_000), 1, "dependencies_listed", &listing);
    assert_eq!(log.spans().len(), 0);
}

#[test]
fn without_a_listing_the_samples_tell_which_processes_there_are() {
    let mut log = Log::default();
    tell(&mut log, 500, "extra", "started", &json!({}));
    let usage = json!([{ "process": "extra", "namespace": "core", "mem": 1, "cpu": 0.5 }]);
    let sample = json!({ "source": "main", "sample": 1, "part": 1, "parts": 1, "processes": usage });
    log.add(&life(0), 600, "resources_sampled", &sample);
    assert_eq!(log.spans().len(), 0, "the listing may still come");
    log.add(&life(0), 30_600, "resources_sampled", &sample);
    let spans = log.spans();
    assert_eq!(times(one(&spans, Role::Startup)), (0, 500));
    assert_eq!(of(&spans, Role::StartupWait).len(), 0);
}

/// What the recordings of a real supervisor have of it.
pub(crate) fn check(name: &str, spans: &[Span]) {
    let startups = of(spans, Role::Startup);
    let complete = |span: &&Span| attribute(span, "watchpost.startup.complete").as_deref() == Some("true");
    let lives = if name.starts_with("supervisor") { 3 } else { 1 };
    assert_eq!(startups.iter().copied().filter(complete).count(), lives, "{name}: {startups:#?}");
    let waits = of(spans, Role::StartupWait);
    let waited = |process: &str| {
        waits.iter().find(|span| attribute(span, "watchpost.process.name").as_deref() == Some(process))
    };
    if name.starts_with("start_and_end") {
        let api = waited("api").unwrap_or_else(|| panic!("{name}: {spans:#?}"));
        assert_eq!(attribute(api, "watchpost.startup.dependencies").as_deref(), Some("db healthy"));
        let db = named(spans, Role::StartupProcess, "db").expect("db");
        assert!(db.end <= api.end && db.start < db.end, "{db:#?} {api:#?}");
        assert_eq!(waited("skipped").map(|span| outcome(span)).as_deref(), Some("skipped"));
    }
    if name.starts_with("health") {
        let waits = waited("waits").unwrap_or_else(|| panic!("{name}: {spans:#?}"));
        assert_eq!(
            attribute(waits, "watchpost.startup.dependencies").as_deref(),
            Some("a healthy, line log_ready")
        );
    }
}
