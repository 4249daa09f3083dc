//! Each server fails in each of its ways, and the daemon is killed meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use watchpost::config::Protocol;

use super::super::support::otlp::{Answer, Receiver, Reply, Request};
use super::killed::{Killed, letters};
use super::log::folded;
use super::world::World;

/// What OTLP waits for where the Collector does not take anything.
const OTLP: &[&str] = &["otlp-logs", "otlp-spans"];

impl World {
    /// A session before a kill in the middle of the outage and one after it, and once more when it is over.
    /// Meanwhile nobody waits but those whose server is away.
    async fn outage(
        &mut self,
        behind: &[&str],
        begin: impl AsyncFnOnce(&mut Self),
        end: impl AsyncFnOnce(&mut Self),
    ) {
        begin(self).await;
        self.daemon.session().await;
        self.daemon.kill().await;
        self.daemon.session().await;
        self.daemon.behind(behind).await;
        end(self).await;
        self.daemon.session().await;
        self.daemon.kill().await;
        self.daemon.behind(&[]).await;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.collector.pid().cast_signed()).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }

    /// Lets every index there is be written to, or not.
    async fn block(&self, blocked: bool) {
        let settings = json!({"index.blocks.write": blocked});
        self.server.done("PUT", "/logs-watchpost.otel-*/_settings?expand_wildcards=all", Some(settings)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_counts_twice_when_each_server_fails_and_the_daemon_is_killed_meanwhile() {
    let mut world = World::start().await;
    world.daemon.session().await;
    world.daemon.behind(&[]).await;
    world.outage(OTLP, async |world| world.collector.stop(), async |world| world.collector.restart()).await;
    world.outage(OTLP, async |world| world.collector.kill(), async |world| world.collector.restart()).await;
    world.outage(OTLP, async |world| world.signal(Signal::STOP), async |world| world.signal(Signal::CONT)).await;
    let elasticsearch = &["elasticsearch"];
    world.outage(elasticsearch, async |world| world.server.kill(), async |world| world.server.restart()).await;
    world
        .outage(elasticsearch, async |world| world.block(true).await, async |world| world.block(false).await)
        .await;
    world.outage(&[], async |world| world.prometheus.stop(), async |world| world.prometheus.restart()).await;
    let dir = world.daemon.drain().await;
    world.check(dir.path(), &world.collector).await;
}

/// Never takes the events whose ids end in 7, and says of how many that is.
fn refusing(request: &Request) -> Reply {
    let bad: Vec<String> = request.ids.iter().filter(|id| id.ends_with('7')).cloned().collect();
    if bad.is_empty() { Reply::take() } else { Reply::reject(&bad, "no sevens") }
}

fn throttling(_request: &Request) -> Reply {
    Reply::refuse(Answer::Grpc(8, "later".into(), Some(Duration::from_millis(300))))
}

fn slow(_request: &Request) -> Reply {
    Reply::take().after(Duration::from_millis(700))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_taken_or_a_dead_letter_when_the_daemon_is_killed_under_a_receiver_with_its_moods() {
    let receiver = Receiver::start(Protocol::Grpc).await;
    let more = format!(
        "otlp: {{endpoint: 'http://{}', signals: [logs], batch_records: 16}}\ntelemetry: {{export: false}}\n",
        receiver.address
    );
    let mut daemon = Killed::start(more).await;
    for mood in [refusing, throttling, slow] {
        receiver.answers(mood);
        daemon.session().await;
        daemon.kill().await;
        daemon.session().await;
        daemon.kill().await;
        receiver.answers(refusing);
        daemon.behind(&[]).await;
    }
    let dir = daemon.drain().await;
    let all: BTreeSet<String> =
        folded(dir.path()).events.iter().map(|(logged, _)| logged.event.id.to_string()).collect();
    let letters: Vec<String> = letters(dir.path())
        .iter()
        .map(|letter| letter["event"]["id"].as_str().expect("an id").to_owned())
        .collect();
    let given_up: BTreeSet<String> = letters.iter().cloned().collect();
    assert_eq!(given_up.len(), letters.len(), "one letter an event");
    let taken: BTreeSet<String> = receiver.taken().into_keys().collect();
    let lost: Vec<_> = all.iter().filter(|id| !taken.contains(*id) && !given_up.contains(*id)).collect();
    assert_eq!(lost, [] as [&String; 0]);
    let sevens: BTreeSet<String> = all.iter().filter(|id| id.ends_with('7')).cloned().collect();
    assert!(given_up.is_subset(&sevens) && !given_up.is_empty(), "only those are given up: {given_up:?}");
}
