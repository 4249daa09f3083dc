//! A real nats-server on loopback, which a test can kill and start again on the same port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use futures_util::StreamExt;
use tempfile::TempDir;
use watchpost::config::{JetStream, Nats};

pub(crate) use super::port::free_port;

/// A server with its own store; killed when it is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    jetstream: bool,
    extra: String,
}

impl Server {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts one with more in its configuration; `DIR` in there stands for its folder.
    pub(crate) fn with(extra: &str) -> Self {
        let mut server = Self::stopped(extra);
        server.restart();
        server
    }

    /// Starts one that has no JetStream.
    pub(crate) fn without_jetstream() -> Self {
        let mut server = Self::stopped("");
        server.jetstream = false;
        server.restart();
        server
    }

    /// Sets one up that does not run yet.
    pub(crate) fn stopped(extra: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { child: None, dir, port: free_port(), jetstream: true, extra: extra.into() }
    }

    /// Its folder, for what its configuration names.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it, on the port that it had; answers once it takes connections.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let dir = self.dir.path().display().to_string();
        let jetstream = match self.jetstream {
            true => format!("jetstream {{ store_dir: \"{dir}/js\" }}"),
            false => String::new(),
        };
        let extra = self.extra.replace("DIR", &dir);
        let config = format!("listen: 127.0.0.1:{}\nserver_name: test\n{jetstream}\n{extra}\n", self.port);
        let (file, log) = (self.dir.path().join("nats.conf"), self.dir.path().join("nats.log"));
        std::fs::write(&file, config).expect("a configuration");
        let _ = std::fs::remove_file(&log);
        let child = Command::new(binary())
            .arg("-c")
            .arg(&file)
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        while !said().contains("Server is ready") {
            let ended = self.child.as_mut().expect("just started").try_wait().expect("its state");
            assert!(ended.is_none() && Instant::now() < deadline, "nats-server is not ready: {}", said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The settings of a sink that writes there.
    pub(crate) fn settings(&self) -> JetStream {
        JetStream { nats: Nats { url: self.url(), ..Nats::default() }, ..JetStream::default() }
    }

    /// JetStream as anyone sees it.
    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.expect("it takes connections"))
    }

    /// A copy of what is on its disk, as a backup would be.
    pub(crate) fn backup(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_all(&self.dir.path().join("js"), copy.path());
        copy
    }

    /// Puts a copy back in place of what is on its disk.
    pub(crate) fn restore(&self, backup: &TempDir) {
        assert!(self.child.is_none(), "it still runs");
        let store = self.dir.path().join("js");
        std::fs::remove_dir_all(&store).expect("its store");
        copy_all(backup.path(), &store);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) id: Option<String>,
    pub(crate) payload: String,
    pub(crate) headers: async_nats::HeaderMap,
}

/// All that is in a stream, in order.
pub(crate) async fn stored(context: &jetstream::Context, stream: &str) -> Vec<Stored> {
    let mut stream = context.get_stream(stream).await.expect("the stream");
    if stream.info().await.expect("its state").state.messages == 0 {
        return Vec::new();
    }
    let config = consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("its messages");
    let mut all = Vec::new();
    loop {
        let message = messages.next().await.expect("one more").expect("a message");
        let info = message.info().expect("its place");
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let headers = message.headers.clone().unwrap_or_default();
        all.push(Stored {
            sequence,
            subject: message.subject.to_string(),
            id: headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned()),
            payload: String::from_utf8_lossy(&message.payload).into_owned(),
            headers,
        });
        if pending == 0 {
            return all;
        }
    }
}

/// The binary: `WATCHPOST_NATS_SERVER`, else what the script gets.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("WATCHPOST_NATS_SERVER") {
            return binary.into();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nats-server.sh");
        let output = Command::new(&script).output().expect("the script can be run");
        assert!(output.status.success(), "no nats-server: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().into()
    })
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("a type").is_dir() {
            true => copy_all(&source, &target),
            // A running server may take a file away in the middle of a backup.
            false => drop(std::fs::copy(&source, &target)),
        }
    }
}
