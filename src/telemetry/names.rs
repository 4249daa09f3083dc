//! Every name in Watchpost's own telemetry, in one table. The instruments are made from it, and
//! `docs/own-telemetry.md` is written from it.

use std::fmt::Write;

/// `service.name` of Watchpost's own telemetry, and the name of its scope.
pub const SERVICE: &str = "watchpost";

/// The target of Watchpost's own spans.
pub const SPANS: &str = "watchpost::span";

/// The attribute that names a sink.
pub const SINK: &str = "watchpost.sink.name";
/// The attribute that tells what was given up on.
pub const LETTER: &str = "watchpost.dead_letter.kind";
/// The attribute that tells what became of something.
pub const OUTCOME: &str = "watchpost.outcome";
/// The attribute that tells why something failed.
pub const ERROR: &str = "error.type";

/// What an instrument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// Its name in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit, by UCUM.
    pub unit: &'static str,
    /// What it tells.
    pub about: &'static str,
    /// The attributes that its points may have.
    pub attributes: &'static [&'static str],
    /// The upper bounds of a histogram's buckets.
    pub bounds: &'static [f64],
}

const fn metric(name: &'static str, kind: Kind, unit: &'static str, about: &'static str) -> Metric {
    Metric { name, kind, unit, about, attributes: &[], bounds: &[] }
}

impl Metric {
    const fn by(self, attributes: &'static [&'static str]) -> Self {
        Self { attributes, ..self }
    }

    const fn within(self, bounds: &'static [f64]) -> Self {
        Self { bounds, ..self }
    }

    /// Its name on `/metrics` and in Prometheus, by the rules of OpenTelemetry for that translation.
    pub fn in_prometheus(&self) -> String {
        let unit = match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            "1" => "_ratio",
            _ => "",
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }
}

const SECONDS_OF_COMMIT: &[f64] =
    &[0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const EVENTS_OF_COMMIT: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// Those that the semantic conventions ask for.
const SECONDS_OF_REQUEST: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Events that became durable.
pub const EVENTS: Metric = metric(
    "watchpost.ingest.events",
    Kind::Counter,
    "{event}",
    "Events that became durable since the start of the process.",
);
/// Submissions that were refused.
pub const REFUSED: Metric = metric(
    "watchpost.ingest.refused",
    Kind::Counter,
    "{submission}",
    "Submissions that ingest refused, by the reason: `full`, `no_room`, `recovering`, `unknown` (to be sent again), `invalid`, `conflict`, `not_started`, `ended`, `moved`, `too_large`, `closed`.",
)
.by(&[ERROR]);
/// How long commits took.
pub const COMMIT_DURATION: Metric = metric(
    "watchpost.ingest.commit.duration",
    Kind::Histogram,
    "s",
    "From when a batch was taken from the bus until it was durable.",
)
.within(SECONDS_OF_COMMIT);
/// How large commits were.
pub const COMMIT_EVENTS: Metric =
    metric("watchpost.ingest.commit.events", Kind::Histogram, "{event}", "Events in one commit.")
        .within(EVENTS_OF_COMMIT);
/// Events on the bus.
pub const BUS: Metric = metric(
    "watchpost.ingest.bus.events",
    Kind::Gauge,
    "{event}",
    "Events that wait on the bus for the next commit; at 8192 it is full.",
);
/// Lag in events.
pub const LAG_EVENTS: Metric = metric(
    "watchpost.sink.lag.events",
    Kind::Gauge,
    "{event}",
    "How many places in the log a sink is behind, among them events that do not go there.",
)
.by(&[SINK]);
/// Lag in seconds.
pub const LAG_TIME: Metric = metric(
    "watchpost.sink.lag.time",
    Kind::Gauge,
    "s",
    "The age of the oldest event that a sink has not confirmed; 0 where there is none.",
)
.by(&[SINK]);
/// Events delivered.
pub const DELIVERED: Metric = metric(
    "watchpost.sink.delivered",
    Kind::Counter,
    "{event}",
    "Events that a sink has confirmed since the start of the process.",
)
.by(&[SINK]);
/// Events refused by a sink for good.
pub const DEAD_LETTERED: Metric = metric(
    "watchpost.sink.dead_lettered",
    Kind::Counter,
    "{event}",
    "Events that a sink has refused for good since the start of the process.",
)
.by(&[SINK]);
/// Failures of a sink.
pub const FAILURES: Metric = metric(
    "watchpost.sink.failures",
    Kind::Counter,
    "{failure}",
    "Tries of a delivery that failed and are repeated, since the start of the process.",
)
.by(&[SINK]);
/// Exports of metrics.
pub const EXPORTS: Metric = metric(
    "watchpost.metrics.exports",
    Kind::Counter,
    "{request}",
    "Requests with the metrics of what is watched, by what became of them: `completed`, `failed` (the next export makes it good), `refused` (wholly, or in part: then it has completed too). Where `otlp` exports metrics.",
)
.by(&[OUTCOME]);
/// A sink's breaker.
pub const CIRCUIT: Metric = metric(
    "watchpost.sink.circuit",
    Kind::Gauge,
    "",
    "The breaker of a delivery: 0 closed (all is well), 1 half open (one event is the trial), 2 open.",
)
.by(&[SINK]);
/// Dead letters that are kept.
pub const DEAD_LETTERS: Metric = metric(
    "watchpost.dead_letters",
    Kind::Gauge,
    "{letter}",
    "Dead letters that are kept, by kind: `delivery`, `late`. The count is up to a second old; older where there are so many that counting takes long.",
)
.by(&[LETTER]);
/// Bytes on disk.
pub const DISK: Metric = metric("watchpost.store.disk", Kind::Gauge, "By", "What the store takes on disk.");
/// Bytes that are alive.
pub const LIVE: Metric =
    metric("watchpost.store.live", Kind::Gauge, "By", "What of the store's events and log is alive.");
/// Bytes that are free.
pub const FREE: Metric =
    metric("watchpost.store.free", Kind::Gauge, "By", "What is left on the store's file system.");
/// Whether the store takes events.
pub const HEALTHY: Metric = metric(
    "watchpost.store.healthy",
    Kind::Gauge,
    "1",
    "1 while the store takes events; 0 while it is full, or being opened again after an I/O error.",
);
/// How long requests took.
pub const REQUESTS: Metric = metric(
    "http.server.request.duration",
    Kind::Histogram,
    "s",
    "How long the API took to answer. A response that goes on, such as one of server-sent events, counts up to its head.",
)
.by(&["http.request.method", "url.scheme", "http.route", "http.response.status_code", ERROR])
.within(SECONDS_OF_REQUEST);

/// Every metric.
pub const METRICS: [Metric; 18] = [
    EVENTS,
    REFUSED,
    COMMIT_DURATION,
    COMMIT_EVENTS,
    BUS,
    LAG_EVENTS,
    LAG_TIME,
    DELIVERED,
    DEAD_LETTERED,
    FAILURES,
    EXPORTS,
    CIRCUIT,
    DEAD_LETTERS,
    DISK,
    LIVE,
    FREE,
    HEALTHY,
    REQUESTS,
];

/// The metrics as rows of Markdown.
pub fn table() -> String {
    let mut table =
        String::from("| metric | on `/metrics` | kind | unit | attributes | what |\n|---|---|---|---|---|---|\n");
    for metric in METRICS {
        let attributes: Vec<String> = metric.attributes.iter().map(|name| format!("`{name}`")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.in_prometheus(),
            metric.kind.name(),
            metric.unit,
            attributes.join(", "),
            metric.about
        );
    }
    table
}
