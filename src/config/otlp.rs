//! What is set about OTLP, Elasticsearch, and Watchpost's own telemetry.

pub(super) mod read;
pub(super) mod write;

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// Delivery over OTLP.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// The name of these sinks: `{name}-logs`, `{name}-spans` and `{name}-metrics` have cursors of their own.
    pub name: String,
    /// Where log records go; `None`: nowhere.
    pub logs: Option<Exporter>,
    /// Where spans go.
    pub spans: Option<Exporter>,
    /// Where metrics go.
    pub metrics: Option<Exporter>,
    /// The most records in a request.
    pub batch_records: usize,
    /// The most bytes in a request, before compression.
    pub batch_bytes: u64,
    /// The most requests in flight, for each of logs and spans.
    pub window: usize,
    /// The time between two exports of metrics.
    pub metrics_interval: Duration,
    /// The most different sets of attributes of one metric; the rest share one with `otel.metric.overflow`.
    pub max_series: usize,
    /// Whether pruning waits for logs and spans.
    pub required: bool,
}

/// Where one signal goes, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Exporter {
    /// `http://HOST:PORT` or `https://…`; for [`Protocol::HttpProtobuf`] with the signal's path (`/v1/logs`).
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How requests are compressed.
    pub compression: Compression,
    /// Headers that each request has; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// A certificate authority of one's own, PEM; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate (with its key), PEM, where the server asks for one.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// OTLP over what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// HTTP/1.1 with protobuf bodies.
    HttpProtobuf,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    #[default]
    Gzip,
    /// zstd; not every receiver takes it.
    Zstd,
}

impl Default for Exporter {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4317".into(),
            protocol: Protocol::Grpc,
            compression: Compression::Gzip,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            ca_file: None,
            client_certificate: None,
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        let exporter = || Some(Exporter::default());
        Self {
            name: "otlp".into(),
            logs: exporter(),
            spans: exporter(),
            metrics: exporter(),
            batch_records: 1024,
            batch_bytes: 1 << 20,
            window: 4,
            metrics_interval: Duration::from_secs(10),
            max_series: 2000,
            required: true,
        }
    }
}

/// The direct Elasticsearch sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Elasticsearch {
    /// The name of this sink.
    pub name: String,
    /// `http://HOST:PORT` or `https://…`.
    pub url: String,
    /// What proves who we are.
    pub auth: ElasticsearchAuth,
    /// A certificate authority of one's own, PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether events are sent there; without it only `search`, `audit` and `elasticsearch setup` use it.
    pub deliver: bool,
    /// The most documents in a bulk request.
    pub batch_documents: usize,
    /// The most bytes in a bulk request.
    pub batch_bytes: u64,
    /// The most bulk requests in flight.
    pub window: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long `elasticsearch setup` has documents kept.
    pub retention: Duration,
    /// Whether pruning waits for it.
    pub required: bool,
}

/// What proves to Elasticsearch who we are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ElasticsearchAuth {
    /// Nothing.
    #[default]
    None,
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An API key, base64 of `id:key` as Kibana shows it.
    ApiKey(Secret),
}

impl Default for Elasticsearch {
    fn default() -> Self {
        Self {
            name: "elasticsearch".into(),
            url: "http://127.0.0.1:9200".into(),
            auth: ElasticsearchAuth::None,
            ca_file: None,
            deliver: true,
            batch_documents: 1024,
            batch_bytes: 2 << 20,
            window: 2,
            timeout: Duration::from_secs(30),
            retention: Duration::from_secs(90 * 24 * 3600),
            required: true,
        }
    }
}

/// Watchpost's own traces, logs and metrics, by the OpenTelemetry SDK.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Telemetry {
    /// Where they go; `None`: nowhere but `/metrics` and standard error.
    pub exporter: Option<Exporter>,
}
