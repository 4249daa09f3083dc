//! `kill -9` of an emitter and of the daemon, in all four orders of who goes first and who is back first.
//!
//! The emitter is a shell that sends one numbered event after the other and writes down each number that was
//! taken. Killed, it goes on with the same session behind the last number that it had written down.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use super::support::daemon::{Daemon, beside, watchpost};
use super::support::wait;

const MORE: &str = "session: {idle: 300ms}\n";

const LOOP: &str = "[ -e $D/id ] || echo $WATCHPOST_SESSION > $D/id; n=$(cat $D/taken 2>/dev/null | wc -l); \
                    while :; do n=$((n+1)); watchpost sessions emit step --data \"{\\\"n\\\":$n}\" || exit 9; \
                    echo $n >> $D/taken; done";

/// The shell and all that it has started; killed when it is dropped.
struct Emitter(Child);

impl Emitter {
    /// The first one begins the session, the later ones go on with it.
    fn start(dir: &Path) -> Self {
        let mut command = match std::fs::read_to_string(dir.join("id")) {
            Err(_) => beside(dir, &["sessions", "run", "--", "sh", "-c", LOOP]),
            Ok(id) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", LOOP]).env("WATCHPOST_SESSION", id.trim());
                shell
            }
        };
        for (name, value) in beside(dir, &[]).get_envs() {
            command.env(name, value.expect("set"));
        }
        command.env("D", dir).process_group(0).stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().cast_signed()).expect("a pid");
        let _ended_already = kill_process_group(group, Signal::KILL);
        let _status = self.0.wait();
    }
}

fn taken(dir: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(dir.join("taken")).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

async fn more_are_taken(dir: &Path) {
    let enough = taken(dir).len() + rand::random_range(5..25);
    wait::until("more to be taken", async || (taken(dir).len() >= enough).then_some(())).await;
}

/// What is killed.
struct Both {
    emitter: Option<Emitter>,
    daemon: Option<Daemon>,
    dir: Option<TempDir>,
}

impl Both {
    fn kill_emitter(&mut self) {
        self.emitter = None;
    }

    fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal(Signal::KILL);
        daemon.wait();
        self.dir = Some(daemon.take_dir());
    }

    fn start_daemon(&mut self) {
        self.daemon = Some(Daemon::start(self.dir.take().expect("none runs"), MORE));
    }
}

async fn check(emitter_goes_first: bool, emitter_is_back_first: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_owned();
    let daemon = Daemon::start(dir, MORE);
    let mut both = Both { emitter: Some(Emitter::start(&path)), daemon: Some(daemon), dir: None };
    for _ in 0..2 {
        more_are_taken(&path).await;
        if emitter_goes_first {
            both.kill_emitter();
            both.kill_daemon();
        } else {
            both.kill_daemon();
            more_are_taken(&path).await;
            both.kill_emitter();
        }
        if emitter_is_back_first {
            both.emitter = Some(Emitter::start(&path));
            more_are_taken(&path).await;
            both.start_daemon();
        } else {
            both.start_daemon();
            both.emitter = Some(Emitter::start(&path));
        }
    }
    more_are_taken(&path).await;
    both.kill_emitter();
    let session = std::fs::read_to_string(path.join("id")).expect("an id");
    let spooled = path.join(format!("spool/{}.jsonl", session.trim()));
    wait::until("the spool to be taken", async || (!spooled.exists()).then_some(())).await;
    let output = watchpost(&path, &["events", "query", "--session", session.trim(), "--json"]);
    let events = String::from_utf8(output.stdout).expect("UTF-8");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["data"]["n"].as_u64()).collect();
    let case = format!("{emitter_goes_first} {emitter_is_back_first}: {numbers:?}");
    assert!(numbers.is_sorted(), "{case}");
    let mut once = numbers.clone();
    once.dedup();
    let (stored, taken) = (once.len(), taken(&path));
    assert_eq!(once[..taken.len()], taken, "{case}");
    // Each kill of the emitter may leave one that was stored, and not written down any more.
    assert!(numbers.len() - stored <= 2 && stored <= taken.len() + 1, "{case}");
    assert_eq!(events[0]["type"], "session_started");
    assert!(events.iter().zip(1..).all(|(event, seq)| event["seq"] == seq), "{case}");
    let closed = watchpost(&path, &["sessions", "close", session.trim(), "--status", "completed"]);
    assert!(closed.status.success(), "{}", String::from_utf8_lossy(&closed.stderr));
    let mut daemon = both.daemon.take().expect("it runs");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());
    let checked = watchpost(&path, &["store", "check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_first_and_is_back_first_each_event_taken_is_there_in_order() {
    for (goes_first, is_back_first) in [(true, true), (true, false), (false, true), (false, false)] {
        check(goes_first, is_back_first).await;
    }
}
