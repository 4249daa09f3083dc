//! The sections `otlp`, `elasticsearch` and `telemetry`, and the standard variables `OTEL_EXPORTER_OTLP_*`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Compression, Elasticsearch, ElasticsearchAuth, Exporter, Otlp, Protocol, Telemetry};
use crate::config::mistake::{Mistake, Place};
use crate::config::read::Section;
use crate::config::value::{self, Parsed};
use crate::config::{Environment, Secret};

type Told<'a> = &'a mut Vec<Mistake>;

/// What the variables begin with.
const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// One signal: the word for it in our settings and in the standard variables, and its path over HTTP.
#[derive(Clone, Copy)]
struct Signal {
    word: &'static str,
    variable: &'static str,
    path: &'static str,
}

const LOGS: Signal = Signal { word: "logs", variable: "LOGS_", path: "/v1/logs" };
const SPANS: Signal = Signal { word: "spans", variable: "TRACES_", path: "/v1/traces" };
const METRICS: Signal = Signal { word: "metrics", variable: "METRICS_", path: "/v1/metrics" };

/// Whether the standard variables ask for an exporter where the configuration has no section.
pub(in crate::config) fn is_asked_for(environment: &Environment) -> bool {
    [LOGS, SPANS, METRICS].into_iter().any(|signal| asks_for(environment, signal))
}

/// Whether they ask for that signal: one alone takes no other along, to a place that nobody named.
fn asks_for(environment: &Environment, signal: Signal) -> bool {
    asks_for_all(environment) || is_set(environment, &format!("{PREFIX}{}ENDPOINT", signal.variable))
}

/// Whether they name one endpoint for everything.
pub(in crate::config) fn asks_for_all(environment: &Environment) -> bool {
    is_set(environment, &format!("{PREFIX}ENDPOINT"))
}

fn is_set(environment: &Environment, name: &str) -> bool {
    environment.get(name).is_some_and(|word| !word.is_empty())
}

/// The section, with the standard variables where it says nothing; `is_there`: not only they ask for it.
pub(in crate::config) fn otlp(
    section: &Section<'_>,
    is_there: bool,
    environment: &Environment,
    told: Told,
) -> Otlp {
    let reader = Reader { section, environment };
    let default = Otlp::default();
    let signals = section.list("signals", signal, told);
    let mut exporter = |signal: Signal| {
        let wanted = match &signals {
            Some(signals) => signals.contains(&signal.word),
            None => is_there || asks_for(environment, signal),
        };
        wanted.then(|| reader.exporter(Some(signal), told))
    };
    let (logs, spans, metrics) = (exporter(LOGS), exporter(SPANS), exporter(METRICS));
    let interval = reader.standard("OTEL_METRIC_EXPORT_INTERVAL", millis, told);
    let otlp = Otlp {
        name: section.read("name", value::name, default.name, told),
        logs,
        spans,
        metrics,
        batch_records: section.read("batch_records", value::amount::<1, 4096>, default.batch_records, told),
        batch_bytes: section.read("batch_bytes", value::size, default.batch_bytes, told),
        window: section.read("window", value::amount::<1, 64>, default.window, told),
        metrics_interval: section
            .optional("metrics_interval", value::duration, told)
            .or(interval)
            .unwrap_or(default.metrics_interval),
        max_series: section.read("max_series", value::amount::<1, 1_000_000>, default.max_series, told),
        required: section.read("required", value::flag, default.required, told),
    };
    if otlp.name.len() > 24 {
        told.push(section.mistake(
            "name",
            "a name of at most 24 characters, as `-metrics` is put behind",
            &otlp.name,
        ));
    }
    let bounds = 64 << 10..=16 << 20;
    if !bounds.contains(&otlp.batch_bytes) {
        told.push(section.mistake("batch_bytes", "64KiB to 16MiB", &value::write_size(otlp.batch_bytes)));
    }
    otlp
}

/// Where Watchpost's own signals go: to the same place, unless they are to stay here.
pub(in crate::config) fn telemetry(
    section: &Section<'_>,
    otlp: Option<&Section<'_>>,
    environment: &Environment,
    told: Told,
) -> Telemetry {
    let export = section.read("export", value::flag, true, told);
    // What is wrong there was told when the section itself was read.
    let mut told_already = Vec::new();
    let exporter = otlp.filter(|_| export).map(|section| {
        let reader = Reader { section, environment };
        reader.exporter(None, &mut told_already)
    });
    Telemetry { exporter }
}

struct Reader<'a> {
    section: &'a Section<'a>,
    environment: &'a Environment,
}

impl Reader<'_> {
    /// The exporter of one signal, or that of no signal in particular, whose endpoint has no path.
    fn exporter(&self, signal: Option<Signal>, told: Told) -> Exporter {
        let default = Exporter::default();
        let protocol = self.value("protocol", "PROTOCOL", signal, protocol, told).unwrap_or_default();
        let certificate = self.path("client_cert_file", "CLIENT_CERTIFICATE", signal, told);
        let key = self.path("client_key_file", "CLIENT_KEY", signal, told);
        if certificate.is_some() != key.is_some() {
            let (one, other) = if key.is_none() {
                ("client_cert_file", "client_key_file")
            } else {
                ("client_key_file", "client_cert_file")
            };
            told.push(self.section.mistake(one, format!("{other} beside it"), ""));
        }
        let mut headers = self.value("headers", "HEADERS", signal, headers, told).unwrap_or_default();
        let file = |word: &str| headers_of_file(&value::path(word)?);
        headers.extend(self.section.optional("headers_file", file, told).unwrap_or_default());
        Exporter {
            endpoint: self.endpoint(protocol, signal, told),
            protocol,
            compression: self.value("compression", "COMPRESSION", signal, compression, told).unwrap_or_default(),
            headers,
            timeout: self.timeout(signal, told).unwrap_or(default.timeout),
            ca_file: self.path("ca_file", "CERTIFICATE", signal, told),
            client_certificate: certificate.zip(key),
        }
    }

    fn endpoint(&self, protocol: Protocol, signal: Option<Signal>, told: Told) -> String {
        let own = signal
            .and_then(|signal| self.section.optional(&format!("{}_endpoint", signal.word), value::web_url, told));
        let general = self.section.optional("endpoint", value::web_url, told);
        let own = own.or_else(|| {
            let variable = format!("{PREFIX}{}ENDPOINT", signal.filter(|_| general.is_none())?.variable);
            self.standard(&variable, value::web_url, told)
        });
        if let Some(endpoint) = own {
            return endpoint;
        }
        let general = general.or_else(|| self.standard(&format!("{PREFIX}ENDPOINT"), value::web_url, told));
        match (protocol, general) {
            (Protocol::Grpc, general) => general.unwrap_or_else(|| Exporter::default().endpoint),
            (Protocol::HttpProtobuf, general) => {
                let base = general.unwrap_or_else(|| "http://127.0.0.1:4318".into());
                format!("{base}{}", signal.map_or("", |signal| signal.path))
            }
        }
    }

    fn timeout(&self, signal: Option<Signal>, told: Told) -> Option<Duration> {
        let given = self.section.optional("timeout", value::duration, told);
        let timeout = given.or_else(|| self.variable("TIMEOUT", signal, millis, told))?;
        if timeout > Duration::from_secs(25) {
            told.push(self.section.mistake("timeout", "at most 25s", &value::write_duration(timeout)));
        }
        Some(timeout)
    }

    fn path(&self, key: &str, variable: &str, signal: Option<Signal>, told: Told) -> Option<PathBuf> {
        self.value(key, variable, signal, value::path, told)
    }

    /// The key of the section, else the signal's own variable, else the one for all signals.
    fn value<T>(
        &self,
        key: &str,
        variable: &str,
        signal: Option<Signal>,
        parse: impl Fn(&str) -> Parsed<T>,
        told: Told,
    ) -> Option<T> {
        match self.section.has(key) {
            true => self.section.optional(key, parse, told),
            false => self.variable(variable, signal, parse, told),
        }
    }

    fn variable<T>(
        &self,
        variable: &str,
        signal: Option<Signal>,
        parse: impl Fn(&str) -> Parsed<T>,
        told: Told,
    ) -> Option<T> {
        let own = signal.map(|signal| format!("{PREFIX}{}{variable}", signal.variable));
        let own = own.filter(|own| is_set(self.environment, own));
        self.standard(&own.unwrap_or_else(|| format!("{PREFIX}{variable}")), parse, told)
    }

    /// A variable that other programs know too.
    fn standard<T>(&self, name: &str, parse: impl Fn(&str) -> Parsed<T>, told: Told) -> Option<T> {
        let word = self.environment.get(name).filter(|word| !word.is_empty())?;
        let found = if name.ends_with("HEADERS") { "***" } else { word };
        let wrong = |expected| Mistake::new(&Place::Variable(name.into()), "otlp", expected, found);
        parse(word).map_err(|expected| told.push(wrong(expected))).ok()
    }
}

fn signal(word: &str) -> Parsed<&'static str> {
    let found = [LOGS, SPANS, METRICS].into_iter().find(|signal| signal.word == word);
    found.map(|signal| signal.word).ok_or_else(|| "logs, spans or metrics".into())
}

fn protocol(word: &str) -> Parsed<Protocol> {
    match word {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        _ => Err("grpc or http/protobuf".into()),
    }
}

fn compression(word: &str) -> Parsed<Compression> {
    match word {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err("gzip, zstd or none".into()),
    }
}

/// The standard variables have milliseconds without a unit.
fn millis(word: &str) -> Parsed<Duration> {
    let millis = word.trim().parse().ok().filter(|millis| (1..=86_400_000).contains(millis));
    millis.map(Duration::from_millis).ok_or_else(|| "milliseconds, 1 to 86400000".into())
}

/// `name=value,name=value`, values percent-encoded, as W3C's baggage and the standard variable have them.
fn headers(word: &str) -> Parsed<Vec<(String, Secret)>> {
    word.split(',').filter(|pair| !pair.trim().is_empty()).map(header).collect()
}

/// One header a line.
fn headers_of_file(path: &std::path::Path) -> Parsed<Vec<(String, Secret)>> {
    let text = Secret::from_file(path)?;
    text.expose().lines().filter(|line| !line.trim().is_empty()).map(header).collect()
}

fn header(pair: &str) -> Parsed<(String, Secret)> {
    let expected = || "headers as name=value, with commas between and percent-encoded values".to_owned();
    let (name, value) = pair.split_once('=').ok_or_else(expected)?;
    let name = http::HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| expected())?;
    // A form's rules for one name, but a plus is a plus, and so on.
    let encoded = value.trim().replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
    let value = decoded.map(|(value, _)| value.into_owned()).unwrap_or_default();
    http::HeaderValue::from_str(&value).map_err(|_| expected())?;
    Ok((name.as_str().to_owned(), Secret::new(value)))
}

/// The section of the direct sink.
pub(in crate::config) fn elasticsearch(
    section: &Section<'_>,
    environment: &Environment,
    told: Told,
) -> Elasticsearch {
    let default = Elasticsearch::default();
    let sink = Elasticsearch {
        name: section.read("name", value::name, default.name, told),
        url: section.read("url", value::web_url, default.url, told),
        auth: elasticsearch_auth(section, environment, told),
        ca_file: section.optional("ca_file", value::path, told),
        deliver: section.read("deliver", value::flag, default.deliver, told),
        batch_documents: section.read("batch_documents", value::amount::<1, 4096>, default.batch_documents, told),
        batch_bytes: section.read("batch_bytes", value::size, default.batch_bytes, told),
        window: section.read("window", value::amount::<1, 16>, default.window, told),
        timeout: section.read("timeout", value::duration, default.timeout, told),
        retention: section.read("retention", value::duration, default.retention, told),
        required: section.read("required", value::flag, default.required, told),
    };
    let bounds = 64 << 10..=64 << 20;
    if !bounds.contains(&sink.batch_bytes) {
        told.push(section.mistake("batch_bytes", "64KiB to 64MiB", &value::write_size(sink.batch_bytes)));
    }
    sink
}

fn elasticsearch_auth(section: &Section<'_>, environment: &Environment, told: Told) -> ElasticsearchAuth {
    let api_key = section.secret("api_key", environment, told);
    let user = section.optional("user", value::text, told);
    let password = section.secret("password", environment, told);
    match (api_key, user, password) {
        (Some(_), Some(user), _) => {
            told.push(section.mistake("user", "only one of user and api_key", &user));
            ElasticsearchAuth::None
        }
        (Some(api_key), None, _) => ElasticsearchAuth::ApiKey(api_key),
        (None, Some(user), Some(password)) => ElasticsearchAuth::Basic { user, password },
        (None, Some(user), None) => {
            told.push(section.mistake("user", "a password beside it", &user));
            ElasticsearchAuth::None
        }
        (None, None, Some(_)) => {
            told.push(section.mistake("password", "a user beside it", "***"));
            ElasticsearchAuth::None
        }
        (None, None, None) => ElasticsearchAuth::None,
    }
}
