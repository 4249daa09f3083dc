//! A real Elasticsearch on loopback, the bare one of Elastic's own tests.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fs::{Gid, Uid, chown};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost::config;

use super::port::free_port;
use super::started::held;

/// Whom it runs as where the tests are root, as it refuses to be root: nobody.
const NOBODY: u32 = 65_534;

/// What the names of its folders begin with, before the id of the process that it was started by.
const PREFIX: &str = "watchpost-elasticsearch-";

/// A server with its own data; killed when it is dropped, and when this process ends.
pub(crate) struct Server {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    transport: u16,
    extra: String,
}

/// The server that the tests of this binary share; each keeps to data of its own.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

impl Server {
    /// Starts one on a free port, with nothing in it.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts one with more in its configuration.
    pub(crate) fn with(extra: &str) -> Self {
        sweep();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder");
        let (port, transport) = (free_port(), free_port());
        let mut server = Self { child: None, dir, port, transport, extra: extra.into() };
        server.lay_out();
        server.restart();
        server
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings of one who uses it.
    pub(crate) fn settings(&self) -> config::Elasticsearch {
        config::Elasticsearch { url: self.url(), ..config::Elasticsearch::default() }
    }

    /// What a request answers: its status and its JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        // One provider of TLS is wanted, though none is used.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let method = method.parse().expect("a method");
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.url()));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// The same where only success will do.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// What a search finds; waits while an index that is just being made has no shard to ask yet.
    pub(crate) async fn search(&self, streams: &str, query: Value) -> Value {
        let path = format!("/{streams}/_search?allow_no_indices=true");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let (status, answer) = self.ask("POST", &path, Some(query.clone())).await;
            if status < 300 {
                return answer;
            }
            assert!(status == 503 && Instant::now() < deadline, "{path}: {status} {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every document of these data streams, by its id, with the id of each; at most 10,000.
    pub(crate) async fn documents(&self, streams: &str) -> Vec<(String, Value)> {
        self.done("POST", &format!("/{streams}/_refresh?allow_no_indices=true"), None).await;
        let query = json!({"size": 10_000, "sort": ["_doc"]});
        let found = self.search(streams, query).await;
        let hits = found["hits"]["hits"].as_array().expect("hits").clone();
        let one = |hit: Value| (hit["_id"].as_str().expect("an id").to_owned(), hit["_source"].clone());
        let mut documents: Vec<_> = hits.into_iter().map(one).collect();
        documents.sort_by(|one, other| one.0.cmp(&other.0));
        documents
    }

    /// Deletes a document of a data stream, as a person would: in the backing index that it is in.
    pub(crate) async fn delete(&self, stream: &str, id: &str) {
        let query = json!({"query": {"ids": {"values": [id]}}});
        self.done("POST", &format!("/{stream}/_refresh"), None).await;
        let found = self.done("POST", &format!("/{stream}/_search"), Some(query)).await;
        let index = found["hits"]["hits"][0]["_index"].as_str().expect("it is there").to_owned();
        self.done("DELETE", &format!("/{index}/_doc/{id}?refresh=true"), None).await;
    }

    /// Starts it on the ports that it had; answers once it is healthy.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(held(self.command()));
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.is_healthy() {
            let ended = self.child.as_mut().expect("just started").try_wait().expect("its state");
            assert!(ended.is_none() && Instant::now() < deadline, "Elasticsearch is not ready: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts it again on the ports that it had, with nothing in it.
    pub(crate) fn wipe(&mut self) {
        self.kill();
        let data = self.dir.path().join("data");
        fs::remove_dir_all(&data).expect("its data");
        fs::create_dir(&data).expect("a folder");
        if geteuid().is_root() {
            give(self.dir.path());
        }
        self.restart();
    }

    /// Kills it with SIGKILL, and what it started.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let group = Pid::from_raw(child.id() as i32).expect("a pid");
            kill_process_group(group, Signal::KILL).expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    fn lay_out(&self) {
        let home = self.dir.path().join("home");
        link_all(folder(), &home);
        for name in ["data", "logs", "tmp"] {
            fs::create_dir(self.dir.path().join(name)).expect("a folder");
        }
        let config = self.dir.path().join("config");
        fs::create_dir(&config).expect("a folder");
        for name in ["jvm.options", "log4j2.properties"] {
            fs::copy(folder().join("config").join(name), config.join(name)).expect("its configuration");
        }
        fs::write(config.join("elasticsearch.yml"), self.configuration()).expect("its configuration");
        if geteuid().is_root() {
            give(self.dir.path());
        }
    }

    fn configuration(&self) -> String {
        let Self { port, transport, extra, .. } = self;
        let dir = self.dir.path().display();
        // The watermarks are off, as the disk of the machine is not the subject; nothing lifts a block by itself.
        format!(
            "cluster.name: test\ndiscovery.type: single-node\nxpack.security.enabled: false\n\
             http.host: 127.0.0.1\nhttp.port: {port}\ntransport.host: 127.0.0.1\ntransport.port: {transport}\n\
             path.data: {dir}/data\npath.logs: {dir}/logs\n\
             cluster.routing.allocation.disk.threshold_enabled: false\ncluster.info.update.interval: 1d\n{extra}\n"
        )
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if geteuid().is_root() {
            let nobody = NOBODY.to_string();
            command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        }
        let log = fs::File::create(dir.join("said")).expect("a file");
        command.arg(dir.join("home/bin/elasticsearch"));
        command
            .env("ES_PATH_CONF", dir.join("config"))
            .env("ES_TMPDIR", dir.join("tmp"))
            .env("HOME", dir.join("tmp"));
        command.env("ES_JAVA_HOME", java()).env("ES_JAVA_OPTS", "-Xms512m -Xmx512m");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        command.process_group(0);
        command
    }

    /// Whether it says so, asked in the plainest way, as whoever starts it may be in a runtime or not.
    fn is_healthy(&self) -> bool {
        let request = "GET /_cluster/health?wait_for_status=yellow&timeout=1s HTTP/1.0\r\n\r\n";
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Takes away the folders of processes that have ended: nothing drops a shared server.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).expect("a folder").flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _another_does_it_too = fs::remove_dir_all(entry.path());
        }
    }
}

/// The server's folder: `WATCHPOST_ELASTICSEARCH`, else what the script gets.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("WATCHPOST_ELASTICSEARCH") {
            return folder.into();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/elasticsearch.sh");
        let output = Command::new(&script).output().expect("the script can be run");
        assert!(output.status.success(), "no Elasticsearch: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().into()
    })
}

/// `JAVA_HOME`, else where the `java` of the path is.
fn java() -> PathBuf {
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        return home.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let java = std::env::split_paths(&path).find_map(|dir| dir.join("java").canonicalize().ok());
    let java = java.expect("java: apt-get install openjdk-17-jre-headless");
    java.ancestors().nth(2).expect("its home").to_owned()
}

/// The same tree elsewhere, as another user may not reach the first: links where that is possible, else copies.
fn link_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("a type").is_dir() {
            true => link_all(&source, &target),
            false if fs::hard_link(&source, &target).is_ok() => {}
            false => drop(fs::copy(&source, &target).expect("a copy")),
        }
    }
}

/// Gives a folder, and what is its own in there, to whom the server runs as.
fn give(dir: &Path) {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let own = ["data", "logs", "tmp", "config", "config/elasticsearch.yml", "config/jvm.options"];
    let paths = own.iter().map(|name| dir.join(name)).chain([dir.join("config/log4j2.properties"), dir.to_owned()]);
    for path in paths {
        chown(path, Some(user), Some(group)).expect("root may");
    }
}
