//! docs/: what the pages tell to write is what is taken.

use serde_json::Value;
use watchpost::config::{self, Base, Environment, Sources};

use super::{read, top, yaml};

const SECRETS: [(&str, &str); 5] = [
    ("/etc/watchpost/otlp.headers", "authorization=Bearer 0123456789abcdef\n"),
    ("/etc/watchpost/ca.pem", "a certificate"),
    ("/etc/watchpost/client.pem", "a certificate"),
    ("/etc/watchpost/client.key", "a key"),
    ("/run/watchpost/token", "0123456789abcdef0123456789abcdef"),
];

/// Loads a configuration whose files are in a folder of ours.
fn check(text: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut text = text.to_owned();
    for (path, content) in SECRETS {
        let file = dir.path().join(path.rsplit_once('/').expect("a name").1);
        std::fs::write(&file, content).expect("a file");
        text = text.replace(path, &file.display().to_string());
    }
    let (file, environment) = (Some(("watchpost.yaml", text.as_str())), Environment::default());
    let sources = Sources { base: Base::Empty, file, environment: &environment, flags: &[] };
    let _settings = config::load(&sources).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}"));
}

/// The fenced blocks of YAML of a page.
fn blocks(page: &str) -> Vec<String> {
    read(page).split("```yaml\n").skip(1).map(|rest| rest.split("```").next().expect("an end").to_owned()).collect()
}

#[test]
fn the_configurations_of_the_pages_and_of_compose_are_valid() {
    let pages = ["docs/vendors.md", "docs/collector.md", "docs/own-telemetry.md"];
    let mut checked = 0;
    for block in pages.into_iter().flat_map(blocks).filter(|block| block.contains("otlp:")) {
        check(&block);
        checked += 1;
    }
    assert_eq!(checked, 4);
    check(&read("compose/watchpost.yaml"));
}

/// Whether all that one says stands in the other too.
fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| within(value, other)))
        }
        _ => part == whole,
    }
}

#[test]
fn what_a_collector_is_told_to_take_over_is_what_is_shipped() {
    let shipped = yaml(
        &read("otel-collector.yaml")
            .replace("${env:COLLECTOR_ELASTICSEARCH:-http://127.0.0.1:9200}", "http://127.0.0.1:9200"),
    );
    let parts: Vec<_> =
        blocks("docs/collector.md").into_iter().filter(|block| block.starts_with("exporters:")).collect();
    assert_eq!(parts.len(), 1);
    assert!(within(&yaml(&parts[0]), &shipped), "{}", parts[0]);
    for name in ["sending_queue", "file_storage", "fsync", "max_elapsed_time", "num_consumers", "memory_limiter"] {
        assert!(read("docs/collector.md").contains(name) && read("otel-collector.yaml").contains(name), "{name}");
    }
}

#[test]
fn the_times_that_are_told_are_those_that_are_set() {
    let sizing = read("docs/sizing.md");
    let check = |told: &str, file: &str, set: &str| {
        assert!(sizing.lines().any(|line| line.contains(told)), "docs/sizing.md: {told}");
        assert!(read(file).contains(set), "{file}: {set}");
    };
    check("| 30 days in `compose/compose.yaml` |", "compose/compose.yaml", "retention.time=30d");
    check("| 14 days | `block_retention`", "compose/tempo.yaml", "block_retention: 336h");
    check("1 GiB each", "otel-collector.yaml", "queue_size: 1073741824");
    let defaults = config::example();
    for (told, set) in [("| 30 days |", "keep_streams: 30d"), ("| 14 days, the last 500 |", "keep_sessions: 14d")] {
        assert!(sizing.contains(told) && defaults.contains(set), "{told} {set}");
    }
    for (told, set) in [("| 1 day |", "max_age: 1d"), ("| 90 days, a data stream a day |", "retention: 90d")] {
        assert!(sizing.contains(told) && defaults.contains(set), "{told} {set}");
    }
    assert!(top().join("docs/own-telemetry.md").exists());
}
