//! The sections of OTLP and Elasticsearch, and the standard variables.

use std::time::Duration;

use super::*;

fn otlp(text: &str, environment: &[(&str, &str)]) -> Option<Otlp> {
    read(text, environment, NONE).expect("no mistakes").0.otlp
}

fn logs(text: &str, environment: &[(&str, &str)]) -> Exporter {
    otlp(text, environment).and_then(|otlp| otlp.logs).expect("logs are sent")
}

#[test]
fn without_a_section_and_without_the_variables_nothing_is_sent() {
    assert_eq!(otlp("", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), None);
    assert_eq!(otlp("otlp:\n", &[]), Some(Otlp::default()));
    assert_eq!(otlp("otlp: {signals: [spans]}\n", &[]).map(|otlp| otlp.logs), Some(None));
    assert!(otlp("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1")]).is_some_and(|otlp| otlp.logs.is_some()));
}

#[test]
fn a_variable_of_one_signal_asks_for_that_alone() {
    let one = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:1")];
    let (settings, _) = read("", &one, NONE).expect("no mistakes");
    let otlp = settings.otlp.expect("asked for");
    assert_eq!(otlp.spans.map(|spans| spans.endpoint).as_deref(), Some("http://a:1"));
    // Else they would wait at a receiver that nobody has, and pruning with them.
    assert_eq!((otlp.logs, otlp.metrics, settings.telemetry.exporter), (None, None, None));
}

#[test]
fn the_variable_of_a_signal_is_over_that_of_all_and_the_file_is_over_both() {
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317/"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
    ];
    let all = otlp("", &environment).expect("asked for");
    let (logs, spans) = (all.logs.expect("logs"), all.spans.expect("spans"));
    assert_eq!((logs.endpoint.as_str(), logs.compression), ("http://logs:4317", Compression::Zstd));
    assert_eq!((spans.endpoint.as_str(), spans.compression), ("http://all:4317", Compression::Gzip));
    assert_eq!((spans.timeout, all.metrics_interval), (Duration::from_millis(2500), Duration::from_secs(15)));
    let text = "otlp: {endpoint: 'http://file:1', timeout: 1s, compression: none, metrics_interval: 5s}\n";
    let all = otlp(text, &environment).expect("there");
    let logs = all.logs.expect("logs");
    assert_eq!((logs.endpoint.as_str(), logs.compression), ("http://file:1", Compression::None));
    assert_eq!((logs.timeout, all.metrics_interval), (Duration::from_secs(1), Duration::from_secs(5)));
}

#[test]
fn over_http_the_path_of_the_signal_is_put_behind_a_general_endpoint_only() {
    let http = "otlp: {protocol: http/protobuf}\n";
    assert_eq!(logs(http, &[]).endpoint, "http://127.0.0.1:4318/v1/logs");
    let general = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a/otlp/")];
    assert_eq!(logs(http, &general).endpoint, "https://a/otlp/v1/logs");
    let own = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://a/in")];
    assert_eq!(logs(http, &own).endpoint, "https://a/in");
    let (settings, _) = read(http, &general, NONE).expect("no mistakes");
    assert_eq!(settings.telemetry.exporter.map(|own| own.endpoint).as_deref(), Some("https://a/otlp"));
    let text = "otlp: {endpoint: 'http://a', protocol: http/protobuf, logs_endpoint: 'http://b/logs'}\n";
    assert_eq!(logs(text, &[]).endpoint, "http://b/logs");
}

#[test]
fn headers_are_percent_encoded_and_secret() {
    let given = [("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20a+b==, x-tenant=main")];
    let headers = logs("otlp:\n", &given).headers;
    let shown: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(shown, [("authorization", "Basic a+b=="), ("x-tenant", "main")]);
    let (settings, _) = read("otlp:\n", &given, NONE).expect("no mistakes");
    assert!(show(&settings).contains("headers: \"authorization=***,x-tenant=***\""), "{}", show(&settings));
}

#[test]
fn own_telemetry_goes_there_too_unless_it_is_to_stay() {
    let export = |text: &str| read(text, &[], NONE).expect("no mistakes").0.telemetry.exporter.is_some();
    assert!(export("otlp:\n") && !export("") && !export("otlp:\ntelemetry: {export: false}\n"));
}

#[test]
fn every_mistake_is_told_once_with_its_place() {
    check_mistakes(
        "otlp: {endpoint: 'ftp://a', protocol: http/json, compression: lz4, headers: secret, client_key_file: /k, timeout: 1m}\n",
        &[
            "w.yaml:1: otlp.client_key_file: expected client_cert_file beside it",
            "w.yaml:1: otlp.compression: expected gzip, zstd or none, found `lz4`",
            "w.yaml:1: otlp.endpoint: expected a URL that begins with http:// or https://, found `ftp://a`",
            "w.yaml:1: otlp.headers: expected headers as name=value, with commas between and percent-encoded values, found `***`",
            "w.yaml:1: otlp.protocol: expected grpc or http/protobuf, found `http/json`",
            "w.yaml:1: otlp.timeout: expected at most 25s, found `1m`",
        ],
    );
    check_mistakes(
        "elasticsearch: {api_key: a, user: b, password: c}\n",
        &["w.yaml:1: elasticsearch.user: expected only one of user and api_key, found `b`"],
    );
    for auth in ["api_key: a", "user: a, password: b"] {
        check_mistakes(
            &format!("elasticsearch: {{url: 'https://us:s3cret@a:9200', {auth}}}\n"),
            &[
                "w.yaml:1: elasticsearch.url: expected no user in there beside api_key or user, found `https://***@a:9200`",
            ],
        );
    }
    let wrong = [("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), ("OTEL_EXPORTER_OTLP_HEADERS", "secret")];
    let told = read("otlp:\n", &wrong, NONE).expect_err("two mistakes").to_string();
    assert!(told.contains("$OTEL_EXPORTER_OTLP_TIMEOUT: otlp: expected milliseconds"), "{told}");
    assert!(!told.contains("secret") && told.starts_with("2 mistakes"), "{told}");
}

#[test]
fn no_two_sinks_have_one_name() {
    check_mistakes(
        "jetstream: {name: main}\notlp: {name: main}\nelasticsearch: {name: main}\n",
        &["w.yaml:3: elasticsearch.name: expected a name that no sink of the section jetstream has, found `main`"],
    );
    check_mistakes(
        "otlp: {name: a}\nelasticsearch: {name: a-spans}\n",
        &["w.yaml:2: elasticsearch.name: expected a name that no sink of the section otlp has, found `a-spans`"],
    );
}

#[test]
fn the_sections_that_the_example_shows_as_comments_read_as_the_defaults() {
    let settings = Settings {
        otlp: Some(Otlp::default()),
        elasticsearch: Some(Elasticsearch::default()),
        telemetry: Telemetry { exporter: Some(Exporter::default()) },
        ..Settings::default()
    };
    let text = ["otlp", "elasticsearch"].map(|section| write::section_of(section, &settings)).concat();
    assert_eq!(read(&text, &[], NONE), Ok((settings, Vec::new())));
    let example = example();
    for line in text.lines() {
        assert!(example.contains(&format!("\n# {line}\n")), "{line}");
    }
}
