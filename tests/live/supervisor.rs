//! A real supervisor on loopback, with processes that write down their own lives.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use watchpost::config::{Endpoint, Secret};
use watchpost::demo::Truth;
use watchpost::process_compose::Client;

use crate::support::wait::until;

/// A process of the tests: logs its start, lives so many seconds, logs its end, and ends as it is told.
const RUN: &str = r#"#!/bin/sh
name=$1; seconds=$2; how=$3
log() {
    printf '{"at":"%s","what":"%s","name":"%s#%s","pid":%s,"how":"%s"}\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$1" "$name" "${PC_REPLICA_NUM:-0}" "$$" "$2" >> truth.jsonl
}
trap 'log end TERM; kill $child 2>/dev/null; exit 143' TERM
log start ""
sleep "$seconds" & child=$!
wait $child
log end "$how"
case $how in SEGV) kill -SEGV $$ ;; *) exit "$how" ;; esac
"#;

pub(crate) const TOKEN: &str = "a token of at least twenty characters";

/// One supervisor at a time, at one address.
pub(crate) struct Supervisor {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    http: reqwest::Client,
}

impl Supervisor {
    /// Writes the project and these empty files down, and starts it.
    pub(crate) async fn start(project: &Value, files: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("run.sh"), RUN).expect("a script");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut supervisor = Self { folder, port, child: None, http: reqwest::Client::new() };
        // JSON is YAML.
        supervisor.write("pc.yaml", &project.to_string());
        files.iter().for_each(|file| supervisor.write(file, ""));
        supervisor.launch().await;
        supervisor
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).expect(file);
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).expect(file);
    }

    /// Waits until a process is ready.
    pub(crate) async fn ready(&self, name: &str) {
        let client = self.client();
        until("a process to be ready", async || {
            let processes = client.processes().await.ok()?;
            processes.iter().any(|process| process.name == name && process.is_ready == "Ready").then_some(())
        })
        .await;
    }

    /// Ends it, and whatever a supervisor that was killed has left behind.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM).await;
        let truth = self.truth();
        let ended = |pid: i64| truth.iter().any(|line| line.pid == pid && line.what == "end");
        for line in truth.iter().filter(|line| line.what == "start" && !ended(line.pid)) {
            if let Some(pid) = i32::try_from(line.pid).ok().and_then(Pid::from_raw) {
                // It may have ended without a word.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }

    pub(crate) async fn launch(&mut self) {
        let binary = std::env::var_os("PROCESS_COMPOSE_BIN")
            .expect("PROCESS_COMPOSE_BIN must name a process-compose: no registry carries one");
        let folder: &Path = self.folder.path();
        let child = Command::new(binary)
            .args(["up", "-t=false", "--keep-project", "--disable-dotenv", "-f", "pc.yaml", "-L", "pc.log", "-p"])
            .arg(self.port.to_string())
            .env("PC_API_TOKEN", TOKEN)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("PROCESS_COMPOSE_BIN must be a program");
        self.child = Some(child);
        let client = self.client();
        until("the supervisor to answer", async || client.project().await.ok()).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        let token = Secret::new(TOKEN);
        Client::new(&Endpoint::Url(self.url()), Some(&token), Duration::from_secs(5)).expect("a client")
    }

    /// Whether it has the stream of states, from v1.110 on.
    pub(crate) async fn has_frames(&self) -> bool {
        self.client().frames().await.is_ok()
    }

    /// What an operator does.
    pub(crate) async fn call(&self, method: &str, path: &str) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, self.url() + path).header("X-PC-Token-Key", TOKEN);
        let answer = request.send().await.expect(path);
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Ends the supervisor, and waits until it is gone.
    pub(crate) async fn signal(&mut self, signal: Signal) {
        let mut child = self.child.take().expect("a supervisor that runs");
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("a pid");
        kill_process(pid, signal).expect("a signal");
        child.wait().await.expect("its end");
    }

    /// Waits until so many processes wrote down that they have started: before, a signal could cut them off.
    pub(crate) async fn wrote_starts(&self, times: usize) {
        let path = self.folder.path().join("truth.jsonl");
        until("starts in the truth", async || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            (text.matches(r#""what":"start""#).count() >= times).then_some(())
        })
        .await;
    }

    /// What the processes wrote down.
    pub(crate) fn truth(&self) -> Vec<Truth> {
        let text = std::fs::read_to_string(self.folder.path().join("truth.jsonl")).expect("the truth");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}
