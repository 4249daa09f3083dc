//! What all servers of the tests need: to be found, started as children that do not outlive us, and asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A server of a test; killed when it is dropped, and when this process ends.
pub(crate) struct Started {
    name: &'static str,
    child: Child,
}

impl Started {
    /// Starts one whose output goes into a file; answers once `ready` does, within two minutes.
    pub(crate) fn start(name: &'static str, command: Command, log: &Path, ready: impl Fn() -> bool) -> Self {
        let mut started = Self { name, child: spawn(command, log) };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !ready() {
            let ended = started.child.try_wait().expect("its state").is_some();
            let said = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(!ended && Instant::now() < deadline, "{name} is not ready: {}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        started
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGTERM, and waits up to a minute.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, Signal::TERM).expect("it is there");
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().expect("its state").is_none() {
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// What a script of scripts/ prints, one path a line, unless all these variables name them.
pub(crate) fn paths(script: &str, variables: &[&str]) -> Vec<PathBuf> {
    let named: Vec<_> = variables.iter().filter_map(std::env::var_os).map(PathBuf::from).collect();
    if named.len() == variables.len() {
        return named;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    let output = Command::new(&script).output().expect("the script can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", script.display());
    let paths: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
    assert_eq!(paths.len(), variables.len(), "{}: {paths:?}", script.display());
    paths
}

/// Whether a GET answers 200, asked in the plainest way, as whoever asks may be in a runtime or not.
pub(crate) fn answers_ok(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
}

/// Starts a child that the system kills when this process ends, however it ends.
fn spawn(command: Command, log: &Path) -> Child {
    let log = std::fs::File::create(log).expect("a file");
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.expect("a value"));
    }
    wrapped.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
    held(wrapped)
}

/// Starts a child on a thread that waits for ever: its death signal hangs on the thread that started it.
pub(crate) fn held(mut command: Command) -> Child {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let child = command.spawn().expect("setpriv starts: apt-get install util-linux");
        tell.send(child).expect("someone waits for it");
        loop {
            std::thread::park();
        }
    });
    told.recv().expect("a child")
}
