//! The real daemon, as a child of the test.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use watchpost::config;

/// A daemon in a folder of its own; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    dir: Option<TempDir>,
}

impl Daemon {
    /// Starts one, and waits until it has said that it is ready.
    pub(crate) fn start(dir: TempDir, more: &str) -> Self {
        let command = command(dir.path(), more);
        Self::ready(command, dir)
    }

    /// The same with a command that was made before.
    pub(crate) fn ready(mut command: Command, dir: TempDir) -> Self {
        let socket = dir.path().join("notify");
        let _left_by_the_one_before = std::fs::remove_file(&socket);
        let listener = UnixDatagram::bind(&socket).expect("it binds");
        listener.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let child = command.env("NOTIFY_SOCKET", &socket).spawn().expect("it starts");
        let daemon = Self { child, dir: Some(dir) };
        let mut told = [0; 32];
        let length = listener.recv(&mut told).expect("readiness");
        assert_eq!(&told[..length], b"READY=1");
        daemon
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.as_ref().expect("not taken yet").path()
    }

    /// Its folder, for the next one; only after it has ended.
    pub(crate) fn take_dir(&mut self) -> TempDir {
        self.dir.take().expect("not taken yet")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the API answers to a post below `/api/sessions`, if it takes it.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Option<Value> {
        let request = self.client().post(format!("http://localhost/api/sessions{path}")).body(body.to_owned());
        let answer = request.header("content-type", "application/json").send().await.expect("an answer");
        answer.status().is_success().then_some(())?;
        Some(answer.json().await.expect("JSON"))
    }

    /// What the API answers to a path.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client().get(format!("http://localhost{path}")).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    fn client(&self) -> reqwest::Client {
        reqwest::Client::builder().unix_socket(self.dir().join("api")).build().expect("a client")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_and(|_| {})
    }

    /// Waits for its end, and does something to it again and again meanwhile.
    pub(crate) fn wait_and(&mut self, meanwhile: impl Fn(&Self)) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            meanwhile(self);
            match self.child.try_wait().expect("a child") {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it logged; only after it has ended.
    pub(crate) fn log(&mut self) -> String {
        let mut log = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("UTF-8");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The command of a daemon without a supervisor, whose API is a socket in the folder. `more` stands in its
/// configuration.
pub(crate) fn command(dir: &Path, more: &str) -> Command {
    let config = configure(dir, more);
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(["run", "--config"]).arg(config).env_clear().stdout(Stdio::null()).stderr(Stdio::piped());
    command.env("WATCHPOST_SESSION_SPOOL", dir.join("spool"));
    command
}

/// Writes the configuration of such a daemon.
pub(crate) fn configure(dir: &Path, more: &str) -> PathBuf {
    let config = dir.join("watchpost.yaml");
    let text = format!(
        "store: {{dir: {dir}/store, min_free: 1KiB, unsafe_fs: true}}\napi: {{listen: 'unix:{dir}/api'}}\n{more}",
        dir = dir.display()
    );
    std::fs::write(&config, text).expect("written");
    config
}

/// The settings of the store of such a daemon.
pub(crate) fn store(dir: &Path) -> config::Store {
    config::Store { dir: dir.join("store"), min_free: 1024, unsafe_fs: true, ..config::Store::default() }
}

/// Runs another command against the same folder.
pub(crate) fn watchpost(dir: &Path, args: &[&str]) -> Output {
    beside(dir, args).output().expect("it runs")
}

/// Another command against the same folder, which finds nothing else of this machine but its programs.
pub(crate) fn beside(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(args).env_clear().env("WATCHPOST_CONFIG", dir.join("watchpost.yaml"));
    command.env("WATCHPOST_SESSION_SPOOL", dir.join("spool")).env("PATH", path());
    command
}

/// Where programs are, this build's first.
pub(crate) fn path() -> std::ffi::OsString {
    let ours = Path::new(env!("CARGO_BIN_EXE_watchpost")).parent().expect("a folder").to_owned();
    let theirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&theirs))).expect("a path")
}
