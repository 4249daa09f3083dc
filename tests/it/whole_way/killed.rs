//! A daemon that is killed, and started again in the same folder.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::super::support::daemon::{Daemon, beside, command};
use super::super::support::lag;
use super::super::support::wait::until;

/// The daemon; `more` stands in its configuration.
pub(super) struct Killed {
    daemon: Option<Daemon>,
    more: String,
    seed: u64,
}

impl Killed {
    pub(super) async fn start(more: String) -> Self {
        let mut killed = Self { daemon: None, more, seed: 0 };
        killed.launch(tempfile::tempdir().expect("a folder")).await;
        killed
    }

    /// Starts one in the folder of one that has ended.
    pub(super) async fn launch(&mut self, dir: TempDir) {
        let mut command = command(dir.path(), &self.more);
        // Nobody reads what it logs: a line for each dead letter would fill a pipe, and hold it up.
        command.stderr(Stdio::null());
        let ready = tokio::task::spawn_blocking(move || Daemon::ready(command, dir)).await;
        self.daemon = Some(ready.expect("a daemon"));
    }

    /// Kills it, and starts it again.
    pub(super) async fn kill(&mut self) {
        let (_, dir) = self.end(Signal::KILL).await;
        self.launch(dir).await;
    }

    /// Ends it as an administrator would; answers its folder.
    pub(super) async fn drain(&mut self) -> TempDir {
        let (status, dir) = self.end(Signal::TERM).await;
        assert!(status.success(), "{status}");
        dir
    }

    async fn end(&mut self, signal: Signal) -> (std::process::ExitStatus, TempDir) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal(signal);
        tokio::task::spawn_blocking(move || (daemon.wait(), daemon.take_dir())).await.expect("no panic")
    }

    fn dir(&self) -> &Path {
        self.daemon.as_ref().expect("it runs").dir()
    }

    /// Writes a session, all of it acknowledged.
    pub(super) async fn session(&mut self) {
        self.write(&["--nodes", "3", "--levels", "2"]).await;
    }

    /// The same with some hundred events, faster than they can be delivered one by one.
    pub(super) async fn large_session(&mut self) {
        self.write(&["--nodes", "12", "--levels", "6", "--rate", "100000"]).await;
    }

    async fn write(&mut self, like: &[&str]) {
        self.seed += 1;
        let (url, seed) = (format!("unix:{}/api", self.dir().display()), self.seed.to_string());
        let args = ["demo", "session", "--seed", &seed, "--url", &url];
        self.run(&[&args, like].concat()).await.expect("it is taken");
    }

    /// What a command beside it prints, where it goes well.
    pub(super) async fn run(&self, args: &[&str]) -> Result<String, String> {
        let mut command = beside(self.dir(), args);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("it runs");
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).expect("UTF-8")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// How many dead letters there are; asked for without a command, which would take longer than it may.
    pub(super) async fn letters(&self) -> u64 {
        let counts = self.daemon.as_ref().expect("it runs").get("/api/dead-letters/stats").await;
        counts.as_array().expect("counts").iter().filter_map(|count| count["letters"].as_u64()).sum()
    }

    /// Waits until a sink has been told this since the daemon was started.
    pub(super) async fn told(&self, error: &str) {
        let told = async || self.run(&["sinks", "--json"]).await.ok().filter(|told| told.contains(error));
        until(&format!("a sink to be told: {error}"), told).await;
    }

    /// Waits until exactly these sinks are behind, and the others have everything.
    pub(super) async fn behind(&self, sinks: &[&str]) {
        lag::behind(self.dir(), sinks).await;
    }
}

/// The dead letters of a store that no daemon holds.
pub(super) fn letters(dir: &Path) -> Vec<Value> {
    let mut command = beside(dir, &["dlq", "list", "--json", "--store"]);
    let output = command.arg(dir.join("store")).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
