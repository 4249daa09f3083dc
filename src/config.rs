//! Settings, validated: what the rest of Watchpost is built from.
//!
//! Three layers, each over the one before: a YAML file, the environment, options. They meet as text in one
//! tree, which is then read once, so that all mistakes are told at once, each with its place.

mod build;
mod environment;
mod mistake;
mod otlp;
mod read;
mod schema;
mod session_stream;
mod tree;
mod value;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
pub use mistake::{Mistake, Mistakes, Place};
pub use otlp::{Compression, Elasticsearch, ElasticsearchAuth, Exporter, Otlp, Protocol, Telemetry};
pub use schema::{KEYS, Key};
pub use session_stream::SESSION_SUBJECTS;
pub use value::{Parsed, duration, http_url, listen, nats_url, size, write_duration, write_size};
pub use write::{example, show, without_password};

/// What a daemon is when nothing is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// No supervisor and no sink: the file says which there are.
    Empty,
    /// One supervisor on its default port, and JetStream on its own.
    Adapter,
}

/// An option of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The option, as it is typed.
    pub name: &'static str,
    /// The key's path, as in [`KEYS`].
    pub path: &'static str,
    /// The value.
    pub word: String,
}

/// Where settings come from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What there is before anything is read.
    pub base: Base,
    /// A file's name and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// The environment.
    pub environment: &'a Environment,
    /// The options.
    pub flags: &'a [Flag],
}

/// Reads all layers and checks them, or tells every mistake. Files that hold secrets are read too.
///
/// Beside the settings come warnings: things that are most likely not as they were meant.
pub fn load(sources: &Sources<'_>) -> Result<(Settings, Vec<String>), Mistakes> {
    let mut mistakes = Vec::new();
    let (name, text) = sources.file.unwrap_or(("", ""));
    let mut root = yaml::parse(name, text, &mut mistakes);
    if !build::is_map(&root, name, &mut mistakes) {
        return Err(Mistakes(mistakes));
    }
    if sources.base == Base::Adapter {
        root.lay_adapter();
    }
    environment::lay(&mut root, sources.environment, &mut mistakes);
    for flag in sources.flags {
        root.lay(flag.path, &flag.word, &Place::Flag(flag.name), &mut mistakes);
    }
    let settings = build::settings(&root, sources.environment, &mut mistakes);
    mistakes.sort_by(|one, other| (&one.place, &one.key).cmp(&(&other.place, &other.key)));
    mistakes.dedup();
    match mistakes.is_empty() {
        true => Ok((settings, environment::unknown(sources.environment))),
        false => Err(Mistakes(mistakes)),
    }
}

impl Settings {
    /// One supervisor on its default port, and JetStream on its own.
    pub fn adapter() -> Self {
        Self {
            process_compose: vec![ProcessCompose::default()],
            jetstream: Some(JetStream::default()),
            ..Self::default()
        }
    }

    /// What the subjects of processes begin with, each once; the usual prefix is always among them.
    pub fn subject_prefixes(&self) -> Vec<String> {
        let mut prefixes = vec![ProcessCompose::default().subject_prefix];
        prefixes.extend(self.process_compose.iter().map(|source| source.subject_prefix.clone()));
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }
}

/// Everything that a daemon is built from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The embedded store.
    pub store: Store,
    /// The supervisors that are watched.
    pub process_compose: Vec<ProcessCompose>,
    /// Where JetStream is, if anywhere.
    pub jetstream: Option<JetStream>,
    /// Where OTLP goes, if anywhere.
    pub otlp: Option<Otlp>,
    /// Where Elasticsearch is, if events go there directly.
    pub elasticsearch: Option<Elasticsearch>,
    /// Watchpost's own traces, logs and metrics.
    pub telemetry: Telemetry,
    /// Sessions: their writers and their limits.
    pub session: Session,
    /// The HTTP API.
    pub api: Api,
    /// How long a drain may take before it is forced.
    pub drain_deadline: Drain,
}

/// The deadline of a drain.
#[derive(Debug, Clone, PartialEq)]
pub struct Drain(pub Duration);

impl Default for Drain {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Its folder.
    pub dir: PathBuf,
    /// The most bytes that it may take on disk; `None`: as many as there are.
    pub max_bytes: Option<u64>,
    /// Commits are refused while the file system has less room than this, in bytes.
    pub min_free: u64,
    /// Whether a file system without a synchronous flag is accepted.
    pub unsafe_fs: bool,
    /// How long events of streams that never end are kept.
    pub keep_streams: Duration,
    /// How long sessions are kept after their end.
    pub keep_sessions: Duration,
    /// How many ended sessions are kept.
    pub max_sessions: u64,
    /// The bytes of sled's cache.
    pub cache_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            dir: state_home("watchpost"),
            max_bytes: None,
            min_free: 256 << 20,
            unsafe_fs: false,
            keep_streams: Duration::from_secs(30 * 24 * 3600),
            keep_sessions: Duration::from_secs(14 * 24 * 3600),
            max_sessions: 500,
            cache_bytes: 4 << 20,
        }
    }
}

/// Sessions: their writers and their limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// A session without event or heartbeat for so long is interrupted.
    pub idle: Duration,
    /// Sessions are failed once commits have failed for so long.
    pub ingest_failed_after: Duration,
    /// The most events a second that one session may send over HTTP.
    pub max_rate: u32,
    /// Where `watchpost sessions run` leaves events while no daemon runs.
    pub spool: PathBuf,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            ingest_failed_after: Duration::from_secs(60),
            max_rate: 20_000,
            spool: state_home("watchpost-spool"),
        }
    }
}

/// A folder of ours in `$XDG_STATE_HOME`, else in `~/.local/state`.
fn state_home(name: &str) -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(".local/state");
    state.unwrap_or_else(home).join(name)
}

/// A secret, which no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads it from a file: its text without blanks around it, at most 64 KiB. The error says what was
    /// expected in place of that file.
    pub fn from_file(path: &Path) -> Parsed<Self> {
        let mut secret = String::new();
        let read = File::open(path).and_then(|file| file.take(64 * 1024).read_to_string(&mut secret));
        match read {
            Err(error) => Err(format!("a file that can be read ({error})")),
            Ok(_) if secret.trim().is_empty() => Err("a file with a secret in it (it is empty)".into()),
            Ok(_) => Ok(Self::new(secret.trim())),
        }
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where a process-compose answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://HOST:PORT`, with a path where a proxy asks for one.
    Url(String),
    /// A unix socket.
    Socket(PathBuf),
}

/// One supervisor that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessCompose {
    /// Its name: 1 to 32 of `a-z 0-9 _ -`; stands in stream ids and in `origin.source`.
    pub name: String,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// The value of `X-PC-Token-Key`.
    pub token: Option<Secret>,
    /// The time between two polls.
    pub poll_interval: Duration,
    /// How long one request may take; shorter than the interval.
    pub timeout: Duration,
    /// After so many failed polls in a row it counts as down.
    pub down_after: u32,
    /// The time between two samples of cpu and memory; `None`: none are taken.
    pub sample_interval: Option<Duration>,
    /// What its subjects begin with.
    pub subject_prefix: String,
    /// Stands in place of every process's own namespace.
    pub namespace: Option<String>,
}

impl Default for ProcessCompose {
    fn default() -> Self {
        Self {
            name: "main".into(),
            endpoint: Endpoint::Url("http://127.0.0.1:28081".into()),
            token: None,
            poll_interval: Duration::from_secs(2),
            timeout: Duration::from_millis(1500),
            down_after: 3,
            sample_interval: Some(Duration::from_secs(10)),
            subject_prefix: "core.process".into(),
            namespace: None,
        }
    }
}

/// How to reach NATS.
#[derive(Debug, Clone, PartialEq)]
pub struct Nats {
    /// `nats://HOST:PORT` or `tls://…`; several with commas between.
    pub url: String,
    /// The client's name.
    pub name: String,
    /// What proves who we are.
    pub auth: NatsAuth,
    /// A certificate authority of one's own, PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether TLS is asked for whatever the URL says.
    pub tls: bool,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            name: "watchpost".into(),
            auth: NatsAuth::None,
            ca_file: None,
            tls: false,
        }
    }
}

/// What proves to NATS who we are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NatsAuth {
    /// Nothing, or what the URL has.
    #[default]
    None,
    /// A credentials file.
    Credentials(PathBuf),
    /// A file with an nkey seed.
    Nkey(PathBuf),
    /// A user and a password.
    User {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
}

/// The JetStream sink.
#[derive(Debug, Clone, PartialEq)]
pub struct JetStream {
    /// The name of this sink.
    pub name: String,
    /// The server.
    pub nats: Nats,
    /// The stream's name.
    pub stream: String,
    /// Its subjects, where it is made by us.
    pub subjects: Vec<String>,
    /// The stream of session events; `None`: they stay here.
    pub sessions: Option<String>,
    /// How long a message is kept, where the stream is made by us.
    pub max_age: Duration,
    /// The dedup window, where the stream is made by us.
    pub duplicate_window: Duration,
    /// Replicas, where the stream is made by us.
    pub replicas: usize,
    /// How many publishes may wait for their answer.
    pub window: usize,
    /// Whether `resources_sampled` and `dependencies_listed` go there too.
    pub resources: bool,
    /// Whether pruning waits for it.
    pub required: bool,
}

impl Default for JetStream {
    fn default() -> Self {
        Self {
            name: "jetstream".into(),
            nats: Nats::default(),
            stream: "PROCESS_EVENTS".into(),
            subjects: vec!["core.process.>".into(), "core.source.>".into()],
            sessions: Some("SESSION_EVENTS".into()),
            max_age: Duration::from_secs(24 * 3600),
            duplicate_window: Duration::from_secs(120),
            replicas: 1,
            window: 1024,
            resources: false,
            required: true,
        }
    }
}

/// Where the HTTP API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Socket(PathBuf),
    /// Nowhere.
    Off,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Where it listens.
    pub listen: Listen,
    /// The token that every request must have; needed off loopback.
    pub token: Option<Secret>,
    /// Host names beside `localhost` and the address itself that a `Host` header may have.
    pub hosts: Vec<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 9001))), token: None, hosts: Vec::new() }
    }
}
