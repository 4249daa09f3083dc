//! The standard workload: two recordings of a real process-compose, played to the real daemon, and sessions of
//! generation work written to it, some of which fail.

use std::fmt::Write;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use watchpost::demo::Player;

use super::daemon::{Daemon, beside};
use super::lag::behind;
use super::wait::until;
use crate::it::recordings::read;

/// So many times as fast as it was: the recordings took 45 s.
const SPEED: f64 = 5.0;

/// Supervisors and what they do.
const RECORDINGS: [(&str, &str); 2] = [("restarts", "restarts.0.5"), ("health", "health.0.5")];

/// A daemon with that work before it.
pub(crate) struct Standard {
    daemon: Daemon,
    players: Vec<Player>,
    serving: CancellationToken,
}

impl Standard {
    /// Starts the daemon and its supervisors. `more` stands in its configuration: where it delivers to.
    pub(crate) async fn start(more: &str) -> Self {
        let serving = CancellationToken::new();
        let mut config = String::from("process_compose:\n");
        let mut players = Vec::new();
        for (name, recording) in RECORDINGS {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let times = "poll_interval: 100ms, timeout: 80ms, sample_interval: 200ms";
            writeln!(config, "- {{name: {name}, namespace: {name}, url: '{url}', {times}}}").expect("a string");
            let player = Player::new(read(recording), SPEED);
            let (served, stop) = (player.clone(), serving.clone());
            tokio::spawn(async move { served.serve(listener, stop).await.expect("a server") });
            players.push(player);
        }
        writeln!(config, "session: {{idle: 2s}}\n{more}").expect("a string");
        let start = move || Daemon::start(tempfile::tempdir().expect("a folder"), &config);
        let daemon = tokio::task::spawn_blocking(start).await.expect("a daemon");
        Self { daemon, players, serving }
    }

    /// Waits until the recordings are over; the supervisors then answer no more.
    pub(crate) async fn recordings_ended(&self) {
        for player in &self.players {
            player.ended().await;
        }
        self.serving.cancel();
    }

    /// One session of the standard workload, one that fails, one that gets an event after its end, and one whose
    /// writer goes without an end.
    pub(crate) async fn sessions(&self, seed: u64) {
        self.run(&["demo", "session", "--seed", &seed.to_string(), "--url", &self.url()], 0).await;
        self.run(&["sessions", "run", "--", "false"], 1).await;
        let over = self.begin("over").await;
        assert!(self.daemon.post(&format!("/{over}/end"), r#"{"status":"completed"}"#).await.is_some());
        let late = self.daemon.post(&format!("/{over}/events"), r#"{"type":"scan_started","data":{}}"#).await;
        assert_eq!(late, None, "it has ended");
        self.begin("left").await;
    }

    /// Waits until the sources are told to be down, and a session to be interrupted: nothing comes after that.
    pub(crate) async fn wait_until_all_is_told(&self) {
        let told = async || {
            let all = self.events().await;
            let of = |kind: &str| all.iter().filter(|event| event["type"] == kind).count();
            (of("source_down") >= RECORDINGS.len() && of("session_interrupted") > 0).then_some(())
        };
        until("the sources down and a session interrupted", told).await;
    }

    /// Every event so far.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let lines = self.run(&["events", "query", "--json"], 0).await;
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Begins a session of a service; answers its id.
    async fn begin(&self, service: &str) -> String {
        let start = format!(r#"{{"metadata":{{"command":"{service}","service":"{service}"}}}}"#);
        let told = self.daemon.post("", &start).await.expect("a session");
        told["id"].as_str().expect("an id").to_owned()
    }

    fn url(&self) -> String {
        format!("unix:{}/api", self.daemon.dir().display())
    }

    /// Runs a command beside the daemon, which has to end with that exit code.
    async fn run(&self, args: &[&str], code: i32) -> String {
        let mut command = beside(self.daemon.dir(), args);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Ends the daemon as an administrator would, once all is delivered. Answers its folder.
    pub(crate) async fn drain(mut self) -> TempDir {
        behind(self.daemon.dir(), &[]).await;
        self.daemon.signal(Signal::TERM);
        let wait = move || (self.daemon.wait(), self.daemon.take_dir());
        let (status, dir) = tokio::task::spawn_blocking(wait).await.expect("no panic");
        assert!(status.success(), "{status}");
        dir
    }
}
