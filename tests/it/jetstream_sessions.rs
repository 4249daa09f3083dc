//! Sessions to a JetStream stream of their own, beside that of processes: the whole way, on a real server.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::config::JetStream as Settings;
use watchpost::deliver::{self, Delivery, Handle, State};
use watchpost::event::{Class, Data, Draft, Kind, Severity, StreamId, Subject};
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::sink::jetstream::JetStream;
use watchpost::store::{Limit, Store, Submission, Tree};

use super::support::daemon::{Daemon, store, watchpost};
use super::support::nats::{Server, stored};
use super::support::{history, wait};

/// A log, and a delivery to each stream of one section, as the daemon has them.
struct Adapter {
    store: Store,
    ingest: Ingest,
    _ingestor: Ingestor,
    running: Vec<(Handle, CancellationToken, JoinHandle<()>)>,
}

impl Adapter {
    fn new() -> Self {
        let store = Store::memory();
        let (ingest, ingestor) = Ingest::start(&store).expect("an empty store");
        Self { store, ingest, _ingestor: ingestor, running: Vec::new() }
    }

    fn deliver(&mut self, streams: impl IntoIterator<Item = Settings>) {
        for settings in streams {
            let quick = deliver::Settings {
                backoff_most: Duration::from_millis(200),
                breaker_first: Duration::from_millis(200),
                breaker_most: Duration::from_millis(200),
                misconfigured: Duration::from_millis(200),
                ..deliver::Settings::default()
            };
            let sink = JetStream::new(settings.clone()).expect("good subjects");
            let (delivery, handle) = Delivery::new(&settings.name, sink, self.store.clone(), quick);
            let stop = CancellationToken::new();
            self.running.push((handle, stop.clone(), tokio::spawn(delivery.run(stop))));
        }
    }

    async fn stop(&mut self) {
        for (_, stop, task) in self.running.drain(..) {
            stop.cancel();
            task.await.expect("it ends");
        }
    }

    async fn emit(&self, drafts: Vec<Draft>) {
        for drafts in drafts.chunks(100) {
            self.ingest.submit(Submission::events(drafts.to_vec())).await.expect("stored");
        }
    }

    async fn drained(&self) {
        let end = self.store.range().end;
        for (handle, ..) in &self.running {
            wait::until("all to be delivered", async || (handle.watch().borrow().offset >= end).then_some(()))
                .await;
        }
    }

    fn ids(&self, class: Class) -> Vec<String> {
        let log = self.store.log(0, Limit::events(100_000)).expect("readable");
        assert_eq!(log.len() as u64, self.store.range().end);
        let of = log.iter().filter(|logged| logged.event.session.class() == class);
        of.map(|logged| logged.event.id.to_string()).collect()
    }

    fn cursor(&self, name: &str) -> Option<serde_json::Value> {
        let bytes = self.store.get(Tree::Cursors, name).expect("readable")?;
        Some(serde_json::from_slice(&bytes).expect("JSON"))
    }
}

/// An event of a session that says nothing more.
pub(super) fn of_session(id: &str, kind: &str) -> Draft {
    let (id, kind) = (StreamId::new(id).expect("an id"), Kind::new(kind).expect("a type"));
    let subject = Subject::session(&id, &kind).expect("a subject");
    Draft::new(id, kind, subject, Severity::Info, Data::parse("{}".into()).expect("an object"))
}

fn of_process() -> Draft {
    let draft = history::draft(0, "web", "started");
    Draft { id: None, ..draft }
}

/// The events of several sessions, with those of a process in between.
fn mixed(round: usize) -> Vec<Draft> {
    let ids: Vec<String> = (0..10).map(|n| format!("s{round}-{n}")).collect();
    let starts = ids.iter().map(|id| of_session(id, "session_started"));
    let rest = (0..300).flat_map(|n| [of_process(), of_session(&ids[n % 10], "node_skipped")]);
    starts.chain(rest).collect()
}

async fn delivered(server: &Server, stream: &str) -> Vec<String> {
    let stored = stored(&server.jetstream().await, stream).await;
    stored.into_iter().filter_map(|message| message.id).collect()
}

async fn check(server: &Server, adapter: &Adapter) {
    adapter.drained().await;
    assert_eq!(delivered(server, "SESSION_EVENTS").await, adapter.ids(Class::Session));
    assert_eq!(delivered(server, "PROCESS_EVENTS").await, adapter.ids(Class::Process));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_each_event_is_in_its_own_stream_once_and_in_order() {
    let mut server = Server::stopped("");
    let mut adapter = Adapter::new();
    adapter.deliver(Settings { duplicate_window: Duration::from_millis(100), ..server.settings() }.streams());
    adapter.emit(mixed(0)).await;
    for round in 1..8 {
        server.restart();
        let at = adapter.running[1].0.watch().borrow().offset + rand::random_range(0..600);
        let kill = async {
            let sessions = adapter.running[1].0.clone();
            let end = adapter.store.range().end;
            wait::until("some to be delivered", async || {
                (sessions.watch().borrow().offset >= at.min(end)).then_some(())
            })
            .await;
        };
        tokio::join!(adapter.emit(mixed(round)), kill);
        server.kill();
    }
    server.restart();
    check(&server, &adapter).await;
    let message = &stored(&server.jetstream().await, "SESSION_EVENTS").await[0];
    assert_eq!(message.subject, "core.session.s0-0.session_started");
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str());
    assert_eq!(header("ce-type"), Some("session.session_started"));
    assert_eq!(header("ce-source"), Some("urn:watchpost:stream:s0-0"));
    let event: serde_json::Value = serde_json::from_str(&message.payload).expect("an object");
    assert!(["ts", "session", "seq", "type", "data"].iter().all(|key| event.get(key).is_some()), "{event}");
    let stream = server.jetstream().await.get_stream("SESSION_EVENTS").await.expect("the stream");
    assert_eq!(stream.cached_info().config.subjects, ["core.session.>"]);
}

#[tokio::test]
async fn a_session_stream_that_comes_late_is_filled_and_the_one_of_processes_stays_as_it_was() {
    let server = Server::start();
    let mut adapter = Adapter::new();
    adapter.deliver([Settings { sessions: None, ..server.settings() }]);
    adapter.emit(mixed(0)).await;
    adapter.drained().await;
    adapter.stop().await;
    let context = server.jetstream().await;
    assert!(context.get_stream("SESSION_EVENTS").await.is_err());
    let (before, cursor) = (stored(&context, "PROCESS_EVENTS").await, adapter.cursor("jetstream"));
    adapter.deliver(server.settings().streams());
    check(&server, &adapter).await;
    assert_eq!(stored(&context, "PROCESS_EVENTS").await, before);
    assert_eq!(adapter.cursor("jetstream"), cursor);
    context.delete_stream("SESSION_EVENTS").await.expect("deleted");
    adapter.emit(mixed(1)).await;
    check(&server, &adapter).await;
}

#[tokio::test]
async fn a_stream_that_has_the_subjects_already_is_told_and_holds_no_process_event() {
    let server = Server::start();
    let wide = Config { name: "PROCESS_EVENTS".into(), subjects: vec!["core.>".into()], ..Config::default() };
    server.jetstream().await.create_stream(wide).await.expect("made");
    let mut adapter = Adapter::new();
    adapter.emit((0..50).map(|_| of_process()).collect()).await;
    adapter.deliver(server.settings().streams());
    let sessions = adapter.running[1].0.clone();
    let status = wait::until("the cursor to have passed what does not go there", async || {
        sessions.status().ok().filter(|status| status.state == State::Waiting && status.lag_events == 0)
    })
    .await;
    let told = status.last_error.expect("an error").message;
    assert!(told.contains("SESSION_EVENTS") && told.contains("core.session.>") && told.contains("off"), "{told}");
    adapter.emit(vec![of_session("a", "session_started"), of_process(), of_session("a", "node_skipped")]).await;
    let processes = adapter.running[0].0.clone();
    wait::until("processes", async || processes.status().ok().filter(|status| status.offset == 53)).await;
    let status = wait::until("sessions to wait", async || {
        sessions.status().ok().filter(|status| status.state == State::Waiting && status.lag_events == 3)
    })
    .await;
    assert_eq!(status.offset, 50, "what goes there waits");
    assert_eq!(delivered(&server, "PROCESS_EVENTS").await, adapter.ids(Class::Process));
}

/// What a command printed, which must have gone well.
fn lines(dir: &std::path::Path, args: &[&str]) -> Vec<String> {
    let output = watchpost(dir, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn watch_shows_sessions_from_the_stream_and_from_the_daemon() {
    let nats = Server::start();
    let dir = tempfile::tempdir().expect("a folder");
    let log = history::Log::on(Store::open(&store(dir.path())).expect("a store"));
    let drafts = vec![
        of_session("one", "session_started"),
        of_process(),
        of_session("two", "session_started"),
        of_session("one", "node_skipped"),
    ];
    for draft in drafts {
        log.ingest.submit(Submission::events(vec![draft])).await.expect("stored");
    }
    log.close();
    let daemon = Daemon::start(dir, &format!("jetstream: {{url: '{}'}}\n", nats.url()));
    wait::until("all to be delivered", async || {
        let sinks = lines(daemon.dir(), &["sinks", "--json"]);
        let done = |sink: &String| sink.contains("jetstream-sessions") && sink.contains(r#""delivered":3"#);
        sinks.iter().any(done).then_some(())
    })
    .await;
    for from in ["nats", "daemon"] {
        let subjects = |more: &[&str], limit: &str| {
            let args = [&["watch", "--sessions", "--from", from, "--json", "--limit", limit], more].concat();
            let lines = lines(daemon.dir(), &args).into_iter();
            let subject =
                |line: String| serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["subject"].clone();
            lines.map(subject).collect::<Vec<_>>()
        };
        let one = ["core.session.one.session_started", "core.session.one.node_skipped"];
        assert_eq!(subjects(&["--session", "one"], "2"), one, "{from}");
        assert_eq!(subjects(&["--since", "1d", "-t", "node_skipped"], "1"), one[1..], "{from}");
        let all = [one[0], "core.session.two.session_started", one[1]];
        assert_eq!(subjects(&["--since", "1d"], "3"), all, "{from}");
    }
}
