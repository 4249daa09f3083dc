//! Every key that there is, in the order of the example: its path, what it is for, and how a value looks.

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path; `[]` stands behind a list of maps.
    pub path: &'static str,
    /// What it is for: lines of a comment.
    pub about: &'static str,
    /// A value to show where it has no default.
    pub example: &'static str,
}

const fn key(path: &'static str, about: &'static str, example: &'static str) -> Key {
    Key { path, about, example }
}

/// What is said above a section.
pub(super) const SECTIONS: [(&str, &str); 8] = [
    ("store", "The embedded store: the log of all events, and the truth."),
    ("process_compose", "The process-compose supervisors to watch, told apart by their names."),
    ("jetstream", "The JetStream sink. Without this section nothing is sent to NATS."),
    (
        "otlp",
        "Delivery over OTLP, to an OpenTelemetry Collector or whatever takes it: logs, spans and metrics.\nWhere this section says nothing, the standard variables OTEL_EXPORTER_OTLP_* are read, those of a signal too;\nOTEL_EXPORTER_OTLP_ENDPOINT alone is as good as the section. Without either nothing is sent.",
    ),
    (
        "elasticsearch",
        "Elasticsearch, for `watchpost search`, `audit` and `elasticsearch setup`, and as a direct sink for those who\nrun no Collector. Without this section it is not used.",
    ),
    ("telemetry", "Watchpost's own traces, logs and metrics; its metrics are also at `/metrics` of the API."),
    ("session", "Sessions: when a writer counts as gone, and what one may send."),
    ("api", "The HTTP API, for `watchpost events`, `sinks`, `dlq` and other readers."),
];

/// All keys.
pub const KEYS: [Key; 89] = [
    key(
        "store.dir",
        "Its folder. Default: $XDG_STATE_HOME/watchpost, else ~/.local/state/watchpost.",
        "/var/lib/watchpost",
    ),
    key(
        "store.max_bytes",
        "The most that it may take on disk; the oldest events give way. Default: no bound.",
        "10GiB",
    ),
    key(
        "store.min_free",
        "Below this much free room on its file system, events are refused with \"try later\".",
        "",
    ),
    key(
        "store.unsafe_fs",
        "Accept a file system that has no synchronous flag (other than ext4, xfs and btrfs):\na power cut may then lose acknowledged events, or the store.",
        "",
    ),
    key("store.keep_streams", "How long the events of processes and sources are kept.", ""),
    key("store.keep_sessions", "How long sessions are kept after their end.", ""),
    key("store.max_sessions", "How many ended sessions are kept; the oldest go first.", ""),
    key("store.cache_bytes", "sled's cache; it keeps up to 16,384 pages whatever this says.", ""),
    key("process_compose[].name", "Its name: 1 to 32 of a-z, 0-9, `_`, `-`. Stands on every event.", ""),
    key("process_compose[].url", "Where it answers.", ""),
    key(
        "process_compose[].socket",
        "Where it answers on a unix socket; in place of url.",
        "/run/process-compose.sock",
    ),
    key("process_compose[].token", "Its token (X-PC-Token-Key). Better: token_file, or token_env.", "..."),
    key("process_compose[].token_file", "A file that holds the token.", "/etc/watchpost/process-compose.token"),
    key("process_compose[].token_env", "An environment variable that holds the token.", "PC_API_TOKEN"),
    key("process_compose[].poll_interval", "The time between two polls.", ""),
    key(
        "process_compose[].timeout",
        "How long one request may take; shorter than poll_interval.\nDefault: 1500ms, or three quarters of poll_interval where that is less.",
        "",
    ),
    key("process_compose[].down_after", "After so many failed polls in a row `source_down` is told.", ""),
    key("process_compose[].sample_interval", "The time between two samples of cpu and memory, or off.", ""),
    key("process_compose[].subject_prefix", "What its subjects begin with.", ""),
    key(
        "process_compose[].namespace",
        "Stands in subjects and events in place of each process's own namespace.",
        "backend",
    ),
    key("jetstream.name", "The name of this sink.", ""),
    key("jetstream.url", "The server, or several with commas between. Default: $NATS_URL, else this.", ""),
    key("jetstream.client_name", "The name under which the server lists this client.", ""),
    key("jetstream.credentials_file", "A credentials file (.creds).", "/etc/watchpost/nats.creds"),
    key("jetstream.nkey_file", "A file with an nkey seed.", "/etc/watchpost/nats.nk"),
    key("jetstream.user", "A user, with a password.", "watchpost"),
    key("jetstream.password", "The user's password. Better: password_file.", "..."),
    key("jetstream.password_file", "A file that holds the password.", "/etc/watchpost/nats.password"),
    key("jetstream.token", "A token. Better: token_file.", "..."),
    key("jetstream.token_file", "A file that holds the token.", "/etc/watchpost/nats.token"),
    key("jetstream.token_env", "An environment variable that holds the token.", "NATS_TOKEN"),
    key("jetstream.ca_file", "A certificate authority of one's own, PEM.", "/etc/watchpost/ca.pem"),
    key("jetstream.tls", "Ask for TLS whatever the URL says.", ""),
    key(
        "jetstream.stream",
        "The stream. It is made where it is not there; one that is there is used as it is.",
        "",
    ),
    key(
        "jetstream.subjects",
        "Its subjects, where it is made. Default: these, and the prefixes of all supervisors.",
        "",
    ),
    key(
        "jetstream.session_stream",
        "The stream of session events (core.session.>), or off. Age, window and replicas as above.",
        "",
    ),
    key("jetstream.max_age", "How long a message is kept, where the stream is made.", ""),
    key("jetstream.duplicate_window", "The dedup window, where the stream is made; not longer than max_age.", ""),
    key("jetstream.replicas", "Replicas, where the stream is made.", ""),
    key("jetstream.window", "How many publishes may wait for their answer.", ""),
    key("jetstream.resources", "Send `resources_sampled` and `dependencies_listed` too.", ""),
    key("jetstream.required", "Keep events until this sink has confirmed them.", ""),
    key("otlp.name", "The name of these sinks: NAME-logs, NAME-spans and NAME-metrics.", ""),
    key("otlp.signals", "What is sent: logs, spans, metrics.", ""),
    key(
        "otlp.endpoint",
        "The receiver. With http/protobuf, /v1/logs and so on is put behind; default there: port 4318.",
        "",
    ),
    key(
        "otlp.logs_endpoint",
        "Another receiver of logs; with http/protobuf the whole URL.",
        "https://logs.example.com/v1/logs",
    ),
    key("otlp.spans_endpoint", "Another receiver of spans.", "https://traces.example.com/v1/traces"),
    key("otlp.metrics_endpoint", "Another receiver of metrics.", "https://metrics.example.com/v1/metrics"),
    key("otlp.protocol", "grpc or http/protobuf.", ""),
    key("otlp.compression", "gzip, zstd or none.", ""),
    key(
        "otlp.headers",
        "Headers of each request: name=value, with commas between. Better: headers_file.",
        "\"x-tenant=main\"",
    ),
    key("otlp.headers_file", "A file with such headers, one a line.", "/etc/watchpost/otlp.headers"),
    key("otlp.timeout", "How long one request may take, at most 25s.", ""),
    key("otlp.ca_file", "A certificate authority of one's own, PEM.", "/etc/watchpost/ca.pem"),
    key(
        "otlp.client_cert_file",
        "Our own certificate, PEM, where the receiver asks for one.",
        "/etc/watchpost/client.pem",
    ),
    key("otlp.client_key_file", "Its key, PEM.", "/etc/watchpost/client.key"),
    key("otlp.batch_records", "The most records in a request.", ""),
    key("otlp.batch_bytes", "The most bytes in a request, before compression.", ""),
    key("otlp.window", "How many requests may wait for their answer, for each of logs and spans.", ""),
    key("otlp.metrics_interval", "The time between two exports of metrics.", ""),
    key("otlp.max_series", "The most series of one metric; the rest share one with otel.metric.overflow.", ""),
    key("otlp.required", "Keep events until logs and spans are confirmed.", ""),
    key("elasticsearch.name", "The name of this sink.", ""),
    key("elasticsearch.url", "The server.", ""),
    key("elasticsearch.user", "A user, with a password.", "watchpost"),
    key("elasticsearch.password", "The user's password. Better: password_file.", "..."),
    key("elasticsearch.password_file", "A file that holds the password.", "/etc/watchpost/elasticsearch.password"),
    key("elasticsearch.api_key", "An API key, as Kibana shows it (base64). Better: api_key_file.", "..."),
    key("elasticsearch.api_key_file", "A file that holds the API key.", "/etc/watchpost/elasticsearch.key"),
    key("elasticsearch.api_key_env", "An environment variable that holds the API key.", "ELASTIC_API_KEY"),
    key("elasticsearch.ca_file", "A certificate authority of one's own, PEM.", "/etc/watchpost/ca.pem"),
    key(
        "elasticsearch.deliver",
        "Send events there. Not needed where a Collector does; both together give one document.",
        "",
    ),
    key("elasticsearch.batch_documents", "The most documents in a bulk request.", ""),
    key("elasticsearch.batch_bytes", "The most bytes in a bulk request.", ""),
    key("elasticsearch.window", "How many bulk requests may wait for their answer.", ""),
    key("elasticsearch.timeout", "How long one request may take.", ""),
    key("elasticsearch.retention", "How long `elasticsearch setup` has documents kept.", ""),
    key("elasticsearch.required", "Keep events until they are confirmed.", ""),
    key("telemetry.export", "Send them to the receiver of the section otlp, where there is one.", ""),
    key("session.idle", "A session without event or heartbeat for so long is interrupted.", ""),
    key("session.ingest_failed_after", "Sessions are failed once commits have failed for so long.", ""),
    key("session.max_rate", "The most events a second that one session may send over HTTP.", ""),
    key(
        "session.spool",
        "Where `watchpost sessions run` leaves events while no daemon runs.\nDefault: $XDG_STATE_HOME/watchpost-spool, else ~/.local/state/watchpost-spool.",
        "/var/lib/watchpost-spool",
    ),
    key("api.listen", "ADDRESS:PORT, unix:PATH, or off. Off loopback a token is needed.", ""),
    key("api.token", "The token that every request must bear. Better: token_file.", "..."),
    key("api.token_file", "A file that holds the token.", "/etc/watchpost/api.token"),
    key("api.token_env", "An environment variable that holds the token.", "API_TOKEN"),
    key("api.hosts", "Names that a Host header may have, beside localhost and the address itself.", ""),
    key("drain_deadline", "How long a drain may take after SIGTERM or Ctrl-C before it is forced.", ""),
];

impl Key {
    /// The section that it is in, without `[]`; empty at the top.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section.trim_end_matches("[]"))
    }

    /// Its name within its section.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("WATCHPOST_{}", self.path.replace("[]", "").replace('.', "_").to_uppercase())
    }
}

/// The names of the keys of a section; of the top for the empty one.
pub(super) fn names_in(section: &str) -> Vec<&'static str> {
    let sections = SECTIONS.iter().map(|(name, _)| *name).filter(|_| section.is_empty());
    sections.chain(KEYS.iter().filter(|key| key.section() == section).map(Key::name)).collect()
}
