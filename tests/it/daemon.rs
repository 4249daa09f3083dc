//! The daemon as the system sees it: signals, readiness, restarts.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A daemon in a folder of its own, which is told to end when the test does not.
struct Daemon {
    child: Child,
    dir: TempDir,
}

impl Daemon {
    /// Starts one, and waits until it has said that it is ready.
    fn start(dir: TempDir) -> Self {
        let socket = dir.path().join("notify");
        let _left_by_the_one_before = std::fs::remove_file(&socket);
        let listener = UnixDatagram::bind(&socket).expect("it binds");
        listener.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let child = command(dir.path()).env("NOTIFY_SOCKET", &socket).spawn().expect("it starts");
        let daemon = Self { child, dir };
        let mut told = [0; 32];
        let length = listener.recv(&mut told).expect("readiness");
        assert_eq!(&told[..length], b"READY=1");
        daemon
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it logged; only after it has ended.
    fn log(&mut self) -> String {
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

/// A daemon without a supervisor, whose API is a socket in the folder.
fn command(dir: &Path) -> Command {
    let config = dir.join("watchpost.yaml");
    let text = format!(
        "store: {{dir: {dir}/store, min_free: 1KiB, unsafe_fs: true}}\napi: {{listen: 'unix:{dir}/api'}}\n",
        dir = dir.display()
    );
    std::fs::write(&config, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(["run", "--config"]).arg(config).env_clear().stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs another command against the same folder.
fn watchpost(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(args).env_clear().env("WATCHPOST_CONFIG", dir.join("watchpost.yaml"));
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_signal_drains_and_another_daemon_takes_over() {
    let mut dir = tempfile::tempdir().expect("a folder");
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(dir);
        assert_eq!(watchpost(daemon.dir.path(), &["events", "query"]).0, Some(0), "the API answers");
        daemon.signal(signal);
        let status = daemon.wait();
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
        assert!(!daemon.dir.path().join("api").exists());
        assert_eq!(watchpost(daemon.dir.path(), &["store", "check"]).0, Some(0));
        dir = std::mem::replace(&mut daemon.dir, tempfile::tempdir().expect("a folder"));
    }
}

#[test]
fn a_second_daemon_says_who_holds_the_store() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"));
    let (code, error) = watchpost(daemon.dir.path(), &["store", "check"]);
    assert_eq!(code, Some(3));
    assert!(error.contains(&format!("process id {}", daemon.child.id())), "{error}");
    let second = command(daemon.dir.path()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(3));
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    assert!(error.contains("the API cannot listen"), "{error}");
}

#[test]
fn what_is_killed_starts_again() {
    let mut daemon = Daemon::start(tempfile::tempdir().expect("a folder"));
    daemon.signal(Signal::KILL);
    daemon.wait();
    let dir = std::mem::replace(&mut daemon.dir, tempfile::tempdir().expect("a folder"));
    let again = Daemon::start(dir);
    assert_eq!(watchpost(again.dir.path(), &["events", "query"]).0, Some(0));
}
