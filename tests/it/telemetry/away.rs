//! A receiver that is away: no flood, no delay, nothing fed back.

use std::net::TcpListener;
use std::time::Instant;

use rustix::process::Signal;

use super::super::support::daemon::{Daemon, command, watchpost};
use super::super::support::nats::free_port;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_does_not_delay_the_shutdown_for_more_than_2_s() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("it binds");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    for endpoint in [silent, format!("http://127.0.0.1:{}", free_port())] {
        let daemon = Running::start(exporting(endpoint.clone())).await;
        assert_eq!(daemon.post("/api/sessions", json!({"id": "one", "metadata": {}})).await, 201);
        let began = Instant::now();
        let stored = daemon.stop().await;
        let took = began.elapsed();
        assert!(took < SOON, "{endpoint}: {took:?}");
        assert_eq!(stored, 0..1, "it is closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_when_it_begins_and_once_when_it_ends() {
    let mut collector = Collector::stopped(Default::default());
    // Where the Collector will be, connections are hung up on.
    let away = TcpListener::bind(collector.grpc().trim_start_matches("http://")).expect("it binds");
    away.set_nonblocking(true).expect("a flag");
    let mut exports = 0;
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let more = format!("otlp: {{endpoint: '{}', signals: []}}\n", collector.grpc());
    let mut command = command(dir.path(), &more);
    command.env("WATCHPOST_API_LISTEN", format!("127.0.0.1:{port}"));
    let mut daemon = Daemon::ready(command, dir);
    let url = format!("http://127.0.0.1:{port}");
    let ask = async || http::client().get(format!("{url}/api/sinks")).send().await.expect("an answer").status();
    until("many exports that fail", async || {
        ask().await;
        while let Ok((refused, _)) = away.accept() {
            drop(refused);
            exports += 1;
        }
        (exports >= 10).then_some(())
    })
    .await;
    drop(away);
    collector.restart();
    until("what is sent now", async || {
        ask().await;
        (!collector.spans().is_empty()).then_some(())
    })
    .await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
    let log = daemon.log();
    let told = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((told("own telemetry does not reach"), told("own telemetry reaches")), (1, 1), "{log}");
    assert_eq!(told("OpenTelemetry") + told("Exporter") + told("Batch"), 0, "{log}");
    assert!(log.lines().count() < 12, "{log}");
    // The line of the outage was not sent, and nothing of the way there.
    let sent: Vec<String> = collector.logs().iter().map(|log| log["body"].to_string()).collect();
    assert!(!sent.iter().any(|body| body.contains("own telemetry")), "{sent:?}");
    let events = watchpost(daemon.dir(), &["events", "query", "--json"]);
    assert_eq!(String::from_utf8_lossy(&events.stdout), "", "own telemetry makes no event");
}
