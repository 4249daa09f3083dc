//! The whole way: sources → daemon → Collector → files and Prometheus, and daemon → Elasticsearch, all of them the
//! real ones. What arrives is held against the log and its folds: nothing is missing, nothing counts twice.

mod arrived;
mod log;

use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;
use watchpost::elasticsearch::{Connection, setup};

use self::log::{Folded, folded};
use super::support::collector::Collector;
use super::support::daemon::{Daemon, beside, command};
use super::support::elasticsearch::{self, Server};
use super::support::prometheus::Prometheus;
use super::support::standard::Standard;
use super::support::wait::{self, until};

/// What a daemon is told to deliver to.
fn configuration(collector: &Collector, server: &Server) -> String {
    format!(
        "otlp: {{endpoint: '{}', metrics_interval: 300ms}}\nelasticsearch: {{url: '{}'}}\n\
         telemetry: {{export: false}}\n",
        collector.grpc(),
        server.url()
    )
}

async fn template(server: &Server) {
    let settings = server.settings();
    setup(&Connection::new(&settings).expect("settings"), settings.retention).await.expect("a template");
}

/// Waits until everything is everywhere, and holds it against the log.
async fn check(mut folded: Folded, collector: &Collector, server: &Server, prometheus: &Prometheus, once: bool) {
    arrived::documents(&folded, server).await;
    arrived::logs(&folded, collector, once).await;
    arrived::spans(&folded, collector, once).await;
    super::otlp_metrics::in_prometheus(prometheus, &folded.series()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_everywhere_once_with_the_spans_and_the_metrics_of_the_folds() {
    // Its own: the recordings have the same streams each time that they are played, by other tests too.
    let server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
    template(&server).await;
    let prometheus = Prometheus::start();
    let collector = Collector::start(Some(&prometheus.url()));
    let standard = Standard::start(&configuration(&collector, &server)).await;
    standard.sessions(1).await;
    standard.recordings_ended().await;
    standard.wait_until_all_is_told().await;
    let dir = standard.drain().await;
    let folded = folded(dir.path());
    assert!(folded.events.len() > 500 && folded.spans.len() > 100, "{} events", folded.events.len());
    check(folded, &collector, &server, &prometheus, true).await;
}

/// A daemon that is killed, and its servers.
struct World {
    collector: Collector,
    server: Server,
    prometheus: Prometheus,
    daemon: Option<Daemon>,
    seed: u64,
}

impl World {
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
        template(&server).await;
        let prometheus = Prometheus::start();
        let collector = Collector::start(Some(&prometheus.url()));
        let mut world = Self { collector, server, prometheus, daemon: None, seed: 0 };
        world.launch(tempfile::tempdir().expect("a folder")).await;
        world
    }

    async fn launch(&mut self, dir: TempDir) {
        let more = configuration(&self.collector, &self.server);
        let command = command(dir.path(), &more);
        let ready = tokio::task::spawn_blocking(move || Daemon::ready(command, dir)).await;
        self.daemon = Some(ready.expect("a daemon"));
    }

    fn dir(&self) -> &Path {
        self.daemon.as_ref().expect("it runs").dir()
    }

    /// Kills the daemon and starts it again.
    async fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal(Signal::KILL);
        let wait = move || {
            daemon.wait();
            daemon.take_dir()
        };
        let dir = tokio::task::spawn_blocking(wait).await.expect("no panic");
        self.launch(dir).await;
    }

    /// Writes a session, all of it acknowledged.
    async fn session(&mut self) {
        self.seed += 1;
        let url = format!("unix:{}/api", self.dir().display());
        let seed = self.seed.to_string();
        let args = ["demo", "session", "--seed", &seed, "--nodes", "3", "--levels", "2", "--url", &url];
        let mut command = beside(self.dir(), &args);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A session before, one after a kill in the middle of the outage, and one more kill when it is over.
    async fn outage(&mut self, begin: impl FnOnce(&mut Self), end: impl FnOnce(&mut Self)) {
        begin(self);
        self.session().await;
        self.kill().await;
        self.session().await;
        end(self);
        self.session().await;
        self.kill().await;
        self.caught_up().await;
    }

    async fn caught_up(&self) {
        let caught_up = async || {
            let mut command = beside(self.dir(), &["sinks", "--json"]);
            let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").ok()?;
            let lines = String::from_utf8(output.stdout).ok()?;
            let lag = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lag_events"].as_u64();
            let lags: Vec<Option<u64>> = lines.lines().map(lag).collect();
            (lags.len() == 4 && lags.iter().all(|lag| *lag == Some(0))).then_some(())
        };
        until("every sink to have caught up", caught_up).await;
    }

    async fn drain(&mut self) -> TempDir {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal(Signal::TERM);
        let wait = move || (daemon.wait(), daemon.take_dir());
        let (status, dir) = tokio::task::spawn_blocking(wait).await.expect("no panic");
        assert!(status.success(), "{status}");
        dir
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_counts_twice_when_each_server_fails_and_the_daemon_is_killed_meanwhile() {
    let mut world = World::start().await;
    world.session().await;
    world.outage(|world| world.collector.stop(), |world| world.collector.restart()).await;
    world.outage(|world| world.collector.kill(), |world| world.collector.restart()).await;
    world.outage(|world| world.server.kill(), |world| world.server.restart()).await;
    world.outage(|world| world.prometheus.stop(), |world| world.prometheus.restart()).await;
    let dir = world.drain().await;
    let folded = folded(dir.path());
    check(folded, &world.collector, &world.server, &world.prometheus, false).await;
    assert_eq!(letters(dir.path()), 0, "no event was given up");
}

/// How many dead letters there are.
fn letters(dir: &Path) -> usize {
    let output =
        beside(dir, &["dlq", "list", "--json", "--store"]).arg(dir.join("store")).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_whole_store_to_an_empty_backend_gives_the_same() {
    let server = tokio::task::spawn_blocking(elasticsearch::shared).await.expect("a server");
    template(server).await;
    let collector = Collector::start(None);
    let mut daemon = {
        let dir = tempfile::tempdir().expect("a folder");
        let command = command(dir.path(), &configuration(&collector, server));
        tokio::task::spawn_blocking(move || Daemon::ready(command, dir)).await.expect("a daemon")
    };
    let url = format!("unix:{}/api", daemon.dir().display());
    let run = |args: Vec<String>, dir: std::path::PathBuf| async move {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = beside(&dir, &args);
        let output =
            tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    run(words(&format!("demo session --seed 5 --url {url}")), daemon.dir().to_owned()).await;
    let events = run(words("events query --json"), daemon.dir().to_owned()).await.lines().count();
    let arrived = async || (collector.logs().len() == events).then_some(());
    wait::until("the first copy", arrived).await;
    let spans = wait::until("the session's end", async || {
        let spans = collector.spans();
        spans.iter().any(arrived::is_session).then_some(spans)
    })
    .await;
    let told = run(words("sinks reset otlp --from start"), daemon.dir().to_owned()).await;
    assert_eq!(told.lines().count(), 2, "{told}");
    wait::until("the second copy", async || {
        (collector.logs().len() == 2 * events && collector.spans().len() == 2 * spans.len()).then_some(())
    })
    .await;
    assert_eq!(arrived::without_repeats(collector.logs()).len(), events);
    assert_eq!(arrived::without_repeats(collector.spans()).len(), spans.len());
    daemon.signal(Signal::TERM);
    tokio::task::spawn_blocking(move || daemon.wait()).await.expect("it ends");
}
