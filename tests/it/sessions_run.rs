//! `watchpost sessions run` and `emit` as a shell sees them: exit codes, signals, input and output, the
//! environment, with a daemon and without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::support::daemon::{beside, configure};

/// A folder whose configuration names a daemon that does not run.
fn no_daemon() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "");
    dir
}

fn run(dir: &Path, script: &str) -> Command {
    beside(dir, &["sessions", "run", "--", "sh", "-c", script])
}

/// The lines of the only file in the spool.
fn spooled(dir: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(dir.join("spool")).expect("a spool");
    let files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).expect("readable");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A run that goes on, whose command prints lines.
struct Going {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Going {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("UTF-8");
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("UTF-8");
        (self.child.wait().expect("a child").code(), rest)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn without_a_daemon_the_command_runs_as_if_alone_and_its_session_is_spooled() {
    let dir = no_daemon();
    let script = "echo out; echo err >&2; cat; echo $WATCHPOST_SESSION $TRACEPARENT $WATCHPOST_URL; exit 7";
    let mut command = beside(dir.path(), &["sessions", "run", "--name", "a name", "--", "sh", "-c", script]);
    command.env("USER", "kim").env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"in\n").expect("it reads");
    let output = child.wait_with_output().expect("a child");
    let (out, err) =
        (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8(output.stderr).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(7), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["out", "in"]);
    let told: Vec<&str> = err.lines().filter(|line| *line != "err").collect();
    assert!(told.len() == 1 && told[0].contains("no daemon answers at") && told[0].contains(".jsonl"), "{err}");
    let spooled = spooled(dir.path());
    let (start, end) = (&spooled[0]["start"], &spooled[1]["end"]);
    let words: Vec<&str> = lines[2].split(' ').collect();
    assert_eq!(start["id"], words[0]);
    assert!(words[1].starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{out}");
    assert_eq!(words[2], format!("unix:{}/api", dir.path().display()));
    let metadata = &start["metadata"];
    assert_eq!((&metadata["command"], &metadata["args"]), (&"sh".into(), &serde_json::json!(["-c", script])));
    assert_eq!((&metadata["name"], &metadata["user"]), (&"a name".into(), &"kim".into()));
    assert_eq!(metadata["cwd"], env!("CARGO_MANIFEST_DIR"));
    let revision = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    if let Some(revision) = revision.ok().filter(|output| output.status.success()) {
        assert_eq!(metadata["git_revision"], String::from_utf8_lossy(&revision.stdout).trim());
    }
    assert_eq!(
        (&end["status"], &end["exit_code"], &end["error"]),
        (&"failed".into(), &7.into(), &"exit code 7".into())
    );
    assert_eq!(spooled.len(), 2);
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let check = |command: &[&str], code: i32, status: &str, error: Option<&str>| {
        let dir = no_daemon();
        let args = [&["sessions", "run", "--"], command].concat();
        let output = beside(dir.path(), &args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        let end = spooled(dir.path())[1]["end"].clone();
        assert_eq!((&end["status"], &end["exit_code"]), (&status.into(), &code.into()), "{command:?}");
        assert_eq!(
            end["error"].as_str().map(|text| text.split(':').next().unwrap_or_default()),
            error,
            "{command:?}"
        );
    };
    check(&["true"], 0, "completed", None);
    check(&["sh", "-c", "exit 255"], 255, "failed", Some("exit code 255"));
    check(&["sh", "-c", "kill -KILL $$"], 137, "failed", Some("killed by SIGKILL"));
    check(&["sh", "-c", "kill -TERM $$"], 143, "failed", Some("killed by SIGTERM"));
    check(&["no-such-command"], 127, "failed", Some("it cannot be run"));
    check(&["/"], 126, "failed", Some("it cannot be run"));
}

#[test]
fn signals_are_passed_on_each_once() {
    let names = ["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"];
    let signals = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];
    let traps: String = names.iter().map(|name| format!("trap 'echo {name}' {name}; ")).collect();
    let dir = no_daemon();
    let script = format!("{traps} trap 'echo TERM; exit 9' TERM; echo ready; while :; do sleep 0.02; done");
    let mut going = Going::start(run(dir.path(), &script));
    assert_eq!(going.line(), "ready");
    for (name, signal) in names.into_iter().zip(signals) {
        going.signal(signal);
        assert_eq!(going.line(), name);
    }
    going.signal(Signal::TERM);
    assert_eq!(going.ended(), (Some(9), "TERM\n".into()));
    assert_eq!(spooled(dir.path())[1]["end"]["exit_code"], 9);
}

#[test]
fn what_was_ignored_before_stays_ignored() {
    let dir = no_daemon();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT HUP; exec watchpost sessions run -- sh -c 'grep SigIgn /proc/self/status'"]);
    for (name, value) in beside(dir.path(), &[]).get_envs() {
        command.env(name, value.expect("set"));
    }
    let output = command.output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mask = u64::from_str_radix(text.trim().rsplit('\t').next().expect("a mask"), 16).expect("hex");
    assert_eq!(mask & 0b11, 0b11, "{text}");
}

/// A terminal with a shell of its own: what it types comes from the kernel, to the whole group.
const TERMINAL: &str = r#"
import os, pty, signal, sys, time
signal.alarm(30)
pid, terminal = pty.fork()
if pid == 0:
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(sys.argv[1], sys.argv[1:])
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os._exit(os.waitstatus_to_exitcode(status))
        print("STOPPED", flush=True)
        time.sleep(0.2)
        os.killpg(job, signal.SIGCONT)
said = ""
def until(word):
    global said
    while word not in said:
        said += os.read(terminal, 1024).decode()
until("ready")
os.write(terminal, b"\x03")
until("INT")
os.write(terminal, b"\x1a")
until("STOPPED")
os.write(terminal, b"on\n")
until("line")
os.write(terminal, b"\x1c")
try:
    until("nothing more")
except OSError:
    pass
_, status = os.waitpid(pid, 0)
print(said.count("INT"), said.count("QUIT"), os.waitstatus_to_exitcode(status))
"#;

#[test]
fn what_the_terminal_sends_reaches_the_command_once_and_it_is_stopped_and_resumed_with_the_run() {
    let dir = no_daemon();
    let script = "trap 'echo I''NT' INT; trap 'echo QU''IT; sleep 0.3; exit 5' QUIT; echo re''ady; \
                  while ! read -t 0.05 line; do :; done; echo a li''ne; while :; do sleep 0.02; done";
    let mut command = Command::new("python3");
    command.args([
        "-c",
        TERMINAL,
        env!("CARGO_BIN_EXE_watchpost"),
        "--log",
        "error",
        "sessions",
        "run",
        "--",
        "bash",
        "-c",
        script,
    ]);
    for (name, value) in beside(dir.path(), &[]).get_envs() {
        command.env(name, value.expect("set"));
    }
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told.trim(), "1 1 5", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn events_from_inside_are_spooled_behind_the_start_and_only_the_run_tells_that_nobody_is_there() {
    let dir = no_daemon();
    let script = "set -e; for n in 1 2 3; do watchpost sessions emit step_$n --data \"{\\\"n\\\":$n}\"; done; \
                  echo '{\"from\": \"input\"}' | watchpost sessions emit last --data -";
    let output = run(dir.path(), script).output().expect("it runs");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success() && err.lines().count() == 1, "{err}");
    let spooled = spooled(dir.path());
    let kinds: Vec<&str> = spooled[1..5].iter().map(|line| line["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["step_1", "step_2", "step_3", "last"]);
    assert_eq!((&spooled[2]["data"]["n"], &spooled[4]["data"]["from"]), (&2.into(), &"input".into()));
    assert!(spooled[1]["id"].is_string() && spooled[1]["ts"].is_string());
    assert_eq!(spooled[5]["end"]["status"], "completed");
}

#[test]
fn an_event_that_is_none_is_refused_at_once() {
    let dir = no_daemon();
    let check = |args: &[&str], expected: &str| {
        let output = beside(dir.path(), &[&["sessions", "emit"], args].concat()).output().expect("it runs");
        let err = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.code() == Some(2) && err.contains(expected), "{args:?}: {err}");
    };
    check(&["Bad"], "1 to 64 of a-z");
    check(&["a", "--data", "[]", "--session", "s"], "--data: data: expected a JSON object");
    check(&["a", "--data", "{", "--session", "s"], "--data: data: expected a JSON object");
    check(&["a", "--session", "a.b"], "1 to 128 of");
    check(&["a"], "give --session ID, or set WATCHPOST_SESSION");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(65_536));
    check(&["a", "--session", "s", "--data", &long], "at most 65536 bytes");
    assert!(!dir.path().join("spool").exists());
}

#[test]
fn a_spool_that_is_full_is_told_and_breaks_nothing() {
    let dir = no_daemon();
    std::fs::create_dir(dir.path().join("spool")).expect("made");
    let large = std::fs::File::create(dir.path().join("spool/a.jsonl")).expect("made");
    large.set_len(watchpost::source::spool::MAX_SPOOL).expect("a sparse file");
    let output = run(dir.path(), "watchpost sessions emit step; exit 4").output().expect("it runs");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert!(err.contains("takes no more"), "{err}");
}

#[test]
fn outside_of_a_run_the_first_event_that_is_spooled_says_so_and_no_other() {
    let dir = no_daemon();
    let mut told = 0;
    for _ in 0..3 {
        let output = beside(dir.path(), &["sessions", "emit", "a", "--session", "s"]).output().expect("it runs");
        assert!(output.status.success());
        told += String::from_utf8(output.stderr).expect("UTF-8").lines().count();
    }
    assert_eq!((told, spooled(dir.path()).len()), (1, 3));
    let mut record = beside(dir.path(), &["sessions", "record", "--session", "s"]);
    record.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut record = record.spawn().expect("it runs");
    let lines = b"{\"type\":\"b\"}\nno JSON\n{\"type\":\"c\"}\n";
    record.stdin.take().expect("a pipe").write_all(lines).expect("it reads");
    let output = record.wait_with_output().expect("a child");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.lines().count() == 1 && error.starts_with("line 2: event: expected a JSON object"), "{error}");
    assert!(spooled(dir.path()).iter().all(|line| line["id"].is_string()));
    let kinds: Vec<String> = spooled(dir.path()).iter().map(|line| line["type"].to_string()).collect();
    assert_eq!(kinds.concat(), r#""a""a""a""b""c""#);
}
