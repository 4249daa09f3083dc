//! The source against supervisors on loopback: good ones, bad ones, and the recordings over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use watchpost::config::{Endpoint, ProcessCompose, Secret};
use watchpost::event::process::{DependenciesData, ProcessData, Reason, ResourcesData};
use watchpost::event::source::SourceData;
use watchpost::process_compose::{Client, Error};
use watchpost::source::process_compose::Status;

use super::support::fake::{FIRST, Fake, Reply, SECOND, process, raw};
use super::support::log::{Log, count, short};
use super::support::running::{Running, settings};

fn up(pid: i64) -> Reply {
    Reply::Processes(FIRST, vec![process("web", "Running", pid, 0)])
}

#[tokio::test]
async fn a_restart_of_the_adapter_neither_repeats_nor_misses() {
    let (log, fake) = (Log::new(), Fake::start(up(5)).await);
    let first = Running::start(&log, settings(&fake.url()));
    log.wait("a start", |events| count(events, "started") == 1).await;
    fake.polled(3).await;
    first.stop().await;
    let before = log.events().len();
    // What changed while it was down is told once, and nothing else.
    fake.answers(Reply::Processes(FIRST, vec![process("web", "Completed", 5, 7)]));
    let second = Running::start(&log, settings(&fake.url()));
    log.wait("a crash", |events| count(events, "crashed") == 1).await;
    fake.polled(3).await;
    second.stop().await;
    let events = log.events();
    assert_eq!(short(&events[before..]), ["web status_changed", "web crashed"]);
    let data: Vec<ProcessData> = events.iter().map(|event| event.data.read().expect("a payload")).collect();
    assert_eq!(data[0].run_id, data[2].run_id);
    assert_eq!((data[2].exit_code, data[2].state.replicas), (Some(7), Some(1)));
    assert_eq!(events[2].subject.as_str(), "core.process.default.web.crashed");
    assert_eq!(events[2].session.as_str(), "proc-main-1767225600000");
    assert_eq!(events[2].origin.source.as_deref(), Some("main"));
    assert!(events[2].origin.host.is_some());
}

#[tokio::test]
async fn a_supervisor_that_goes_and_comes_back_ends_nothing() {
    let (log, mut fake) = (Log::new(), Fake::start(up(5)).await);
    let source = Running::start(&log, settings(&fake.url()));
    log.wait("a start", |events| count(events, "started") == 1).await;
    fake.stop().await;
    log.wait("an outage", |events| count(events, "source_down") == 1).await;
    fake.come_back(up(5)).await;
    let events = log.wait("its end", |events| count(events, "source_up") == 1).await;
    fake.polled(3).await;
    source.stop().await;
    assert_eq!(short(&log.events()), ["web started", "source_down", "source_up"]);
    let down: SourceData = events[1].data.read().expect("a payload");
    assert_eq!((down.failed_polls, events[1].subject.as_str()), (3, "core.source.main.source_down"));
    assert_eq!(events[1].session.as_str(), "source-main");
    let back: SourceData = events[2].data.read().expect("a payload");
    assert!(back.failed_polls >= 3 && back.down_ms.is_some() && back.error.is_none(), "{back:?}");
}

#[tokio::test]
async fn an_outage_goes_on_across_a_restart_of_the_adapter() {
    let (log, mut fake) = (Log::new(), Fake::start(up(5)).await);
    fake.stop().await;
    let first = Running::start(&log, settings(&fake.url()));
    log.wait("an outage", |events| count(events, "source_down") == 1).await;
    first.stop().await;
    let second = Running::start(&log, settings(&fake.url()));
    let mut status = second.status.clone();
    status.wait_for(|status| matches!(status, Status::Down(_))).await.expect("a source");
    fake.come_back(up(5)).await;
    log.wait("its end", |events| count(events, "started") == 1).await;
    second.stop().await;
    assert_eq!(short(&log.events()), ["source_down", "source_up", "web started"]);
}

#[tokio::test]
async fn another_supervisor_ends_what_ran_and_begins_a_stream() {
    let (log, fake) = (Log::new(), Fake::start(up(5)).await);
    let source = Running::start(&log, settings(&fake.url()));
    log.wait("a start", |events| count(events, "started") == 1).await;
    fake.answers(Reply::Processes(SECOND, vec![process("web", "Running", 15, 0)]));
    let events = log.wait("another start", |events| count(events, "started") == 2).await;
    source.stop().await;
    assert_eq!(short(&events), ["web started", "web stopped", "web started"]);
    let stop: ProcessData = events[1].data.read().expect("a payload");
    assert_eq!(stop.reason, Some(Reason::SupervisorRestarted));
    assert_eq!(events[0].session, events[1].session);
    assert_ne!(events[1].session, events[2].session);
    assert_eq!(events[2].seq, 1);
}

#[tokio::test]
async fn a_wrong_token_is_no_outage() {
    let processes = vec![process("web", "Running", 5, 0)];
    let (log, fake) = (Log::new(), Fake::start(Reply::Locked("a token of twenty characters", processes)).await);
    let source = Running::start(&log, settings(&fake.url()));
    fake.polled(6).await;
    let status = source.status.borrow().clone();
    source.stop().await;
    assert!(matches!(&status, Status::Unauthorized(message) if message.contains("token")), "{status:?}");
    assert_eq!(short(&log.events()), Vec::<String>::new());
    let token = Some(Secret::new("a token of twenty characters"));
    let source = Running::start(&log, ProcessCompose { token, ..settings(&fake.url()) });
    log.wait("a start", |events| count(events, "started") == 1).await;
    source.stop().await;
}

/// Whatever answers instead of a supervisor ends no run: the source is down with a reason, until it is back.
async fn is_an_outage(reply: Reply, timeout: Duration, reason: &str) {
    let (log, fake) = (Log::new(), Fake::start(up(5)).await);
    let source = Running::start(&log, ProcessCompose { timeout, ..settings(&fake.url()) });
    log.wait("a start", |events| count(events, "started") == 1).await;
    fake.answers(reply);
    let events = log.wait("an outage", |events| count(events, "source_down") == 1).await;
    fake.answers(up(5));
    log.wait("its end", |events| count(events, "source_up") == 1).await;
    source.stop().await;
    let down: SourceData = events[1].data.read().expect("a payload");
    let error = down.error.expect("a reason");
    assert!(error.contains(reason), "{error:?} does not say {reason:?}");
    assert_eq!(short(&log.events()), ["web started", "source_down", "source_up"]);
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn malformed_json_is_an_outage() {
    is_an_outage(Reply::Body(200, r#"{"processes":[]}"#), LONG, "not process-compose").await;
    is_an_outage(Reply::Body(200, r#"{"data":[{"name":5}]}"#), LONG, "not process-compose").await;
}

#[tokio::test]
async fn half_json_is_an_outage() {
    is_an_outage(Reply::Body(200, r#"{"data":[{"name":"web","status":"Comp"#), LONG, "EOF").await;
}

#[tokio::test]
async fn an_html_page_is_an_outage() {
    is_an_outage(Reply::Body(200, "<!DOCTYPE html><title>It works!</title>"), LONG, "a page that begins with")
        .await;
    is_an_outage(Reply::Body(404, "<html>"), LONG, "it answers 404").await;
}

#[tokio::test]
async fn a_server_error_is_an_outage() {
    is_an_outage(Reply::Body(500, r#"{"error":"no state"}"#), LONG, "no state").await;
}

#[tokio::test]
async fn a_400_is_tried_again_and_then_an_outage() {
    is_an_outage(Reply::Body(400, r#"{"error":"no such process"}"#), LONG, "no such process").await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_an_outage() {
    is_an_outage(Reply::Huge, LONG, "over 16777216 bytes").await;
}

#[tokio::test]
async fn an_answer_that_never_ends_is_an_outage() {
    is_an_outage(Reply::Endless, Duration::from_millis(200), "within 200 ms").await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_is_unreachable() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"data\":[";
    let (address, server) = raw(head).await;
    let client = Client::new(&Endpoint::Url(format!("http://{address}")), None, LONG).expect("a client");
    let answer = client.processes().await;
    server.abort();
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn what_does_not_speak_http_is_unreachable() {
    let (address, server) = raw(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let client = Client::new(&Endpoint::Url(format!("http://{address}")), None, LONG).expect("a client");
    let answer = client.processes().await;
    server.abort();
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn two_supervisors_in_one_store_are_told_apart() {
    let (log, a, b) = (Log::new(), Fake::start(up(5)).await, Fake::start(up(5)).await);
    let named = |name: &str, fake: &Fake| ProcessCompose {
        name: name.into(),
        namespace: Some(format!("on {name}")),
        ..settings(&fake.url())
    };
    let sources = [Running::start(&log, named("a", &a)), Running::start(&log, named("b", &b))];
    let mut events = log.wait("two starts", |events| count(events, "started") == 2).await;
    for source in sources {
        source.stop().await;
    }
    events.sort_by_key(|event| event.session.clone());
    let said: Vec<_> = events
        .iter()
        .map(|event| (event.origin.source.as_deref(), event.session.as_str(), event.subject.as_str()))
        .collect();
    let expected = [
        (Some("a"), "proc-a-1767225600000", "core.process.on=20a.web.started"),
        (Some("b"), "proc-b-1767225600000", "core.process.on=20b.web.started"),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn resources_are_sampled_in_parts_that_stay_small() {
    let processes = (0..120).map(|n| process(&format!("worker-{n}"), "Running", 100 + n, 0)).collect();
    let (log, fake) = (Log::new(), Fake::start(Reply::Processes(FIRST, processes)).await);
    let sample_interval = Some(Duration::from_secs(3600));
    let source = Running::start(&log, ProcessCompose { sample_interval, ..settings(&fake.url()) });
    let sampled = |events: &[watchpost::event::Event]| {
        let of = |event: &watchpost::event::Event| event.data.read::<ResourcesData>().ok();
        events.iter().filter(|event| event.kind.as_str() == "resources_sampled").filter_map(of).collect::<Vec<_>>()
    };
    let whole = |parts: &[ResourcesData]| parts.last().is_some_and(|part| part.part == part.parts);
    let events = log.wait("a whole sample", |events| whole(&sampled(events))).await;
    source.stop().await;
    let parts = sampled(&events);
    assert!(parts.len() > 1);
    let names: BTreeSet<_> = parts.iter().flat_map(|part| &part.processes).map(|usage| &usage.process).collect();
    assert_eq!(names.len(), 120);
    assert!(parts.iter().flat_map(|part| &part.processes).all(|usage| usage.run_id.is_some() && usage.mem == 1000));
    let samples = events.iter().filter(|event| event.kind.as_str() == "resources_sampled");
    for event in samples {
        assert!(event.published().len() < 6000, "{}", event.published().len());
        assert_eq!(event.subject.as_str(), "core.process.main.resources_sampled");
    }
}

/// A process that waits for another one.
fn waiting(name: &str, on: &str) -> serde_json::Value {
    let mut process = process(name, "Pending", 0, 0);
    process["waits_for"] = serde_json::json!({ on: "healthy" });
    process
}

/// What the events list of who waits for whom: each listing for itself.
fn listings(events: &[watchpost::event::Event]) -> Vec<Vec<DependenciesData>> {
    let mut listings: Vec<Vec<DependenciesData>> = Vec::new();
    for event in events.iter().filter(|event| event.kind.as_str() == "dependencies_listed") {
        assert_eq!(event.subject.as_str(), "core.process.main.dependencies_listed");
        assert!(event.published().len() < 6000, "{}", event.published().len());
        let data: DependenciesData = event.data.read().expect("a payload");
        match listings.last_mut().filter(|listing| listing[0].listing == data.listing) {
            Some(listing) => listing.push(data),
            None => listings.push(vec![data]),
        }
    }
    listings
}

#[tokio::test]
async fn who_waits_for_whom_is_told_once_and_again_when_the_set_of_processes_changes() {
    let processes = || vec![process("db", "Running", 5, 0), waiting("api", "db")];
    let (log, fake) = (Log::new(), Fake::start(Reply::Processes(FIRST, processes())).await);
    let source = Running::start(&log, settings(&fake.url()));
    let events = log.wait("a listing", |events| !listings(events).is_empty()).await;
    let [listing] = &listings(&events)[..] else { panic!("{events:#?}") };
    let [DependenciesData { part: 1, parts: 1, processes: listed, .. }] = &listing[..] else {
        panic!("{listing:#?}")
    };
    let said: Vec<_> =
        listed.iter().map(|one| (one.process.as_str(), one.status.as_str(), one.depends_on.len())).collect();
    assert_eq!(said, [("api", "Pending", 1), ("db", "Running", 0)]);
    assert_eq!(
        (listed[0].depends_on[0].process.as_str(), listed[0].depends_on[0].condition.as_str()),
        ("db", "healthy")
    );
    fake.polled(3).await;
    source.stop().await;
    let source = Running::start(&log, settings(&fake.url()));
    fake.polled(3).await;
    assert_eq!(listings(&log.events()).len(), 1, "neither another poll nor another start tells it again");
    fake.answers(Reply::Processes(FIRST, [processes(), vec![waiting("web", "api")]].concat()));
    let events = log.wait("another listing", |events| listings(events).len() == 2).await;
    source.stop().await;
    assert_eq!(listings(&events)[1][0].processes.len(), 3);
}

#[tokio::test]
async fn a_long_listing_is_told_in_parts() {
    let processes = (0..150).map(|n| waiting(&format!("worker-{n}"), "db")).collect();
    let (log, fake) = (Log::new(), Fake::start(Reply::Processes(FIRST, processes)).await);
    let source = Running::start(&log, settings(&fake.url()));
    let whole = |parts: &Vec<DependenciesData>| parts.last().is_some_and(|part| part.part == part.parts);
    let events = log.wait("a whole listing", |events| listings(events).last().is_some_and(whole)).await;
    source.stop().await;
    let [parts] = &listings(&events)[..] else { panic!("{events:#?}") };
    assert!(parts.len() > 1);
    let names: BTreeSet<_> = parts.iter().flat_map(|part| &part.processes).map(|one| &one.process).collect();
    assert_eq!(names.len(), 150);
}
