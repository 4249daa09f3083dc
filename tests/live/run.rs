//! What happens to processes, at a real supervisor.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use watchpost::config::{ProcessCompose, Secret};
use watchpost::demo::Truth;
use watchpost::event::process::{ProcessData, Reason};
use watchpost::event::{Event, Timestamp};
use watchpost::source::process_compose::Status;

use super::supervisor::{Supervisor, TOKEN};
use crate::support::account::{account, print, told};
use crate::support::log::{Log, count, short};
use crate::support::running::{Running, settings};

fn watched(supervisor: &Supervisor) -> ProcessCompose {
    let token = Some(Secret::new(TOKEN));
    ProcessCompose { token, poll_interval: Duration::from_millis(500), ..settings(&supervisor.url()) }
}

fn process(name: &str, seconds: &str, how: &str) -> Value {
    json!({ "command": format!("exec sh run.sh {name} {seconds} {how}"), "namespace": "live" })
}

fn with(mut process: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        process[key] = value.clone();
    }
    process
}

fn project(processes: &[(&str, Value)]) -> Value {
    let processes: serde_json::Map<_, _> =
        processes.iter().map(|(name, process)| ((*name).to_owned(), process.clone())).collect();
    json!({ "version": "0.5", "processes": processes })
}

/// Every run that the processes wrote down has its start and its end, each once.
fn hold(title: &str, truth: &[Truth], events: &[Event]) {
    let shown: BTreeSet<i64> = truth.iter().map(|line| line.pid).collect();
    let account = account(truth, Timestamp::now(), &shown, &told(events));
    assert!(account.wrong.is_empty(), "{title}: {:#?}\n{:#?}\n{truth:#?}", account.wrong, short(events));
    assert_eq!(account.truth, account.runs(), "{title}: {account:#?}");
    print("live", &[(title, account)]);
}

fn ends_of(events: &[Event], name: &str) -> Vec<(String, Option<Reason>)> {
    let ends = events.iter().filter(|event| ["stopped", "crashed"].contains(&event.kind.as_str()));
    let ends = ends.filter_map(|event| Some((event.kind.to_string(), event.data.read::<ProcessData>().ok()?)));
    ends.filter(|(_, data)| data.process == name).map(|(kind, data)| (kind, data.reason)).collect()
}

#[tokio::test]
async fn what_ends_by_itself() {
    let limited = json!({ "availability": { "restart": "always", "backoff_seconds": 1, "max_restarts": 3 } });
    let after = json!({ "depends_on": { "fails": { "condition": "process_completed_successfully" } } });
    let supervisor = Supervisor::start(
        &project(&[
            ("steady", process("steady", "1000", "0")),
            ("oneshot", process("oneshot", "3", "0")),
            ("fails", process("fails", "4", "7")),
            ("segv", process("segv", "4", "SEGV")),
            ("loops", with(process("loops", "0.4", "2"), limited)),
            ("badcmd", json!({ "command": "true", "working_dir": "/no/such/folder" })),
            ("skipped", with(process("skipped", "1", "0"), after)),
        ]),
        &[],
    )
    .await;
    let log = Log::new();
    let source = Running::start(&log, watched(&supervisor));
    let over = |events: &[Event]| {
        ["oneshot", "fails", "segv"].iter().all(|name| ends_of(events, name).len() == 1)
            && ends_of(events, "loops").len() == 4
    };
    let events = log.wait("every end", over).await;
    assert_eq!(*source.status.borrow(), Status::Up);
    source.stop().await;
    hold("ends by itself", &supervisor.truth(), &events);
    // Without frames a signal by itself and one that was asked for look alike.
    let reason = if supervisor.has_frames().await { Reason::Exit } else { Reason::Ambiguous };
    assert_eq!(ends_of(&events, "segv"), [("crashed".to_owned(), Some(reason))]);
    supervisor.end().await;
}

#[tokio::test]
async fn what_an_operator_does() {
    let supervisor = Supervisor::start(
        &project(&[("web", process("web", "1000", "0")), ("worker", process("worker", "1000", "0"))]),
        &[],
    )
    .await;
    let log = Log::new();
    let source = Running::start(&log, watched(&supervisor));
    let ends = async |name: &str, times: usize| {
        log.wait("an end", |events| ends_of(events, name).len() == times).await;
    };
    let starts = async |times: usize| {
        log.wait("a start", |events| count(events, "started") == times).await;
        supervisor.wrote_starts(times).await;
    };
    starts(2).await;
    supervisor.call("PATCH", "/process/stop/web").await;
    ends("web", 1).await;
    supervisor.call("POST", "/process/start/web").await;
    starts(3).await;
    supervisor.call("POST", "/process/restart/web").await;
    ends("web", 2).await;
    starts(4).await;
    supervisor.call("PATCH", "/process/scale/worker/3").await;
    starts(6).await;
    supervisor.call("PATCH", "/process/scale/worker-0/1").await;
    ends("worker-1", 1).await;
    ends("worker-2", 1).await;
    source.stop().await;
    let events = log.events();
    hold("an operator", &supervisor.truth(), &events);
    let crashes = ["web", "worker-1", "worker-2"].iter().flat_map(|name| ends_of(&events, name));
    let crashes: Vec<_> = crashes.filter(|(kind, _)| kind == "crashed").collect();
    let asked_for = |(_, reason): &(String, Option<Reason>)| *reason == Some(Reason::Ambiguous);
    assert!(crashes.iter().all(asked_for), "{crashes:?}");
    assert!(crashes.is_empty() || !supervisor.has_frames().await, "{crashes:?}");
    supervisor.end().await;
}

#[tokio::test]
async fn a_probe_that_fails() {
    let probe = json!({ "readiness_probe": {
        "exec": { "command": "test -f a.ready" }, "period_seconds": 1, "failure_threshold": 2,
    } });
    let supervisor =
        Supervisor::start(&project(&[("a", with(process("a", "1000", "0"), probe))]), &["a.ready"]).await;
    let log = Log::new();
    let source = Running::start(&log, watched(&supervisor));
    log.wait("health", |events| count(events, "started") == 1).await;
    supervisor.ready("a").await;
    supervisor.remove("a.ready");
    let events = log.wait("an end", |events| ends_of(events, "a").len() == 1).await;
    source.stop().await;
    assert_eq!(ends_of(&events, "a"), [("crashed".to_owned(), Some(Reason::Unhealthy))]);
    assert_eq!(count(&events, "unhealthy"), 1, "{:#?}", short(&events));
    hold("a probe", &supervisor.truth(), &events);
    supervisor.end().await;
}

#[tokio::test]
async fn a_supervisor_that_ends() {
    let mut supervisor =
        Supervisor::start(&project(&[("a", process("a", "1000", "0")), ("once", process("once", "1", "0"))]), &[])
            .await;
    let log = Log::new();
    let source = Running::start(&log, watched(&supervisor));
    for (signal, lives) in [(Signal::TERM, 1), (Signal::KILL, 2)] {
        log.wait("its processes", |events| {
            ends_of(events, "once").len() == lives && count(events, "started") == 2 * lives
        })
        .await;
        supervisor.wrote_starts(2 * lives).await;
        supervisor.signal(signal).await;
        log.wait("an outage", |events| count(events, "source_down") == lives).await;
        supervisor.launch().await;
        log.wait("its end", |events| count(events, "source_up") == lives).await;
    }
    log.wait("its processes", |events| ends_of(events, "once").len() == 3).await;
    source.stop().await;
    let events = log.events();
    hold("a supervisor", &supervisor.truth(), &events);
    let reasons: Vec<_> = ends_of(&events, "a");
    assert_eq!(reasons, vec![("stopped".to_owned(), Some(Reason::SupervisorRestarted)); 2]);
    supervisor.end().await;
}
