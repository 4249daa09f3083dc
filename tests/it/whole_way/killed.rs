//! A daemon that is killed, and started again in the same folder.

use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

use super::super::support::daemon::{Daemon, beside, command};
use super::super::support::lag;

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

    async fn launch(&mut self, dir: TempDir) {
        let command = command(dir.path(), &self.more);
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
        self.seed += 1;
        let (url, seed) = (format!("unix:{}/api", self.dir().display()), self.seed.to_string());
        let args = ["demo", "session", "--seed", &seed, "--nodes", "3", "--levels", "2", "--url", &url];
        self.run(&args).await.expect("it is taken");
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

    /// Waits until exactly these sinks are behind, and the others have everything.
    pub(super) async fn behind(&self, sinks: &[&str]) {
        lag::behind(self.dir(), sinks).await;
    }
}
