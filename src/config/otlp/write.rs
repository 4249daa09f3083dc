//! These sections as YAML; secrets are masked.

use super::{Compression, Elasticsearch, ElasticsearchAuth, Exporter, Otlp, Protocol};
use crate::config::value::{write_duration, write_size};
use crate::config::without_password;
use crate::config::write::{list, masked, quoted};

pub(in crate::config) fn otlp(otlp: &Otlp, key: &str) -> Option<String> {
    let signals = [("logs", &otlp.logs), ("spans", &otlp.spans), ("metrics", &otlp.metrics)];
    let given = || signals.iter().filter_map(|(word, exporter)| Some((*word, exporter.as_ref()?)));
    let first = given().next().map(|(_, exporter)| exporter);
    let endpoint = |word: &str| {
        let (_, exporter) = given().find(|(signal, _)| *signal == word)?;
        (!is_general(exporter, first?)).then(|| quoted(&without_password(&exporter.endpoint)))
    };
    match key {
        "name" => Some(quoted(&otlp.name)),
        "signals" => Some(list(&given().map(|(word, _)| word.to_owned()).collect::<Vec<_>>())),
        "logs_endpoint" => endpoint("logs"),
        "spans_endpoint" => endpoint("spans"),
        "metrics_endpoint" => endpoint("metrics"),
        "batch_records" => Some(otlp.batch_records.to_string()),
        "batch_bytes" => Some(write_size(otlp.batch_bytes)),
        "window" => Some(otlp.window.to_string()),
        "metrics_interval" => Some(write_duration(otlp.metrics_interval)),
        "max_series" => Some(otlp.max_series.to_string()),
        "required" => Some(otlp.required.to_string()),
        _ => exporter(first?, key),
    }
}

/// The endpoint without the signal's path, and whether it is that of all signals.
fn base(exporter: &Exporter) -> &str {
    let endpoint = exporter.endpoint.as_str();
    let paths = ["/v1/logs", "/v1/traces", "/v1/metrics"];
    match exporter.protocol {
        Protocol::Grpc => endpoint,
        Protocol::HttpProtobuf => paths.iter().find_map(|path| endpoint.strip_suffix(path)).unwrap_or(endpoint),
    }
}

fn is_general(exporter: &Exporter, first: &Exporter) -> bool {
    base(exporter) == base(first)
}

fn exporter(exporter: &Exporter, key: &str) -> Option<String> {
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    match key {
        "endpoint" => Some(quoted(&without_password(base(exporter)))),
        "protocol" => Some(match exporter.protocol {
            Protocol::Grpc => "grpc".into(),
            Protocol::HttpProtobuf => "http/protobuf".into(),
        }),
        "compression" => Some(match exporter.compression {
            Compression::None => "none".into(),
            Compression::Gzip => "gzip".into(),
            Compression::Zstd => "zstd".into(),
        }),
        "headers" if !exporter.headers.is_empty() => {
            let masked: Vec<String> = exporter.headers.iter().map(|(name, _)| format!("{name}=***")).collect();
            Some(quoted(&masked.join(",")))
        }
        "timeout" => Some(write_duration(exporter.timeout)),
        "ca_file" => exporter.ca_file.as_deref().map(path),
        "client_cert_file" => exporter.client_certificate.as_ref().map(|(certificate, _)| path(certificate)),
        "client_key_file" => exporter.client_certificate.as_ref().map(|(_, key)| path(key)),
        _ => None,
    }
}

pub(in crate::config) fn elasticsearch(sink: &Elasticsearch, key: &str) -> Option<String> {
    match (key, &sink.auth) {
        ("name", _) => Some(quoted(&sink.name)),
        ("url", _) => Some(quoted(&without_password(&sink.url))),
        ("user", ElasticsearchAuth::Basic { user, .. }) => Some(quoted(user)),
        ("password", ElasticsearchAuth::Basic { password, .. }) => masked(Some(password)),
        ("api_key", ElasticsearchAuth::ApiKey(api_key)) => masked(Some(api_key)),
        ("ca_file", _) => sink.ca_file.as_ref().map(|path| quoted(&path.to_string_lossy())),
        ("deliver", _) => Some(sink.deliver.to_string()),
        ("batch_documents", _) => Some(sink.batch_documents.to_string()),
        ("batch_bytes", _) => Some(write_size(sink.batch_bytes)),
        ("window", _) => Some(sink.window.to_string()),
        ("timeout", _) => Some(write_duration(sink.timeout)),
        ("retention", _) => Some(write_duration(sink.retention)),
        ("required", _) => Some(sink.required.to_string()),
        _ => None,
    }
}
