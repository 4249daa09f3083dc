//! compose/: what `docker compose up` would start, checked without Docker.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::super::support::prometheus::promtool;
use super::super::support::started::paths;
use super::{output, read, top, yaml};

/// The file as `docker compose` understands it.
fn compose() -> &'static Value {
    static COMPOSE: OnceLock<Value> = OnceLock::new();
    COMPOSE.get_or_init(|| {
        let checker = paths("compose-spec.sh", &["WATCHPOST_COMPOSE_SPEC"]).remove(0);
        let mut command = Command::new(checker);
        let command = command.args(["-format", "json", "compose.yaml"]).current_dir(top().join("compose"));
        serde_json::from_str(&output(command)).expect("JSON")
    })
}

fn services() -> impl Iterator<Item = (&'static String, &'static Value)> {
    compose()["services"].as_object().expect("services").iter()
}

fn service(name: &str) -> &'static Value {
    let service = &compose()["services"][name];
    assert!(service.is_object(), "no service {name}");
    service
}

fn list(value: &'static Value) -> impl Iterator<Item = &'static Value> {
    value.as_array().into_iter().flatten()
}

/// Whether it does its work and ends.
fn ends(name: &str) -> bool {
    name == "prepare" || name.ends_with("-setup")
}

#[test]
fn compose_has_every_part_of_the_stack() {
    let names: BTreeSet<_> = services().map(|(name, _)| name.as_str()).collect();
    let parts = ["nats", "collector", "elasticsearch", "kibana", "prometheus", "tempo", "grafana", "watchpost"];
    for part in parts {
        assert!(names.contains(part), "{part}");
    }
}

#[test]
fn every_image_is_pinned_and_every_service_has_a_memory_limit() {
    for (name, service) in services() {
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let pinned = tag.chars().any(|c| c.is_ascii_digit()) && tag.contains('.');
        assert!(pinned || image == "watchpost:local" && service["build"].is_object(), "{name}: {image}");
        assert!(service["mem_limit"].is_string() || service["mem_limit"].is_number(), "{name}");
    }
    // Those that are built here are the same. Prometheus 3.14 is 0.314 as a module.
    let collector = tag("collector");
    assert!(read("scripts/collector/builder.yaml").contains(&format!("\n  version: {collector}\n")));
    let prometheus = tag("prometheus").replace("v3.", "v0.3");
    assert!(read("scripts/prometheus/go.mod").contains(&format!("prometheus/prometheus {prometheus}\n")));
}

fn tag(name: &str) -> &'static str {
    let image = service(name)["image"].as_str().expect("an image");
    image.rsplit_once(':').expect("a tag").1
}

#[test]
fn every_port_is_published_on_loopback_alone() {
    let mut published = BTreeSet::new();
    for (name, service) in services() {
        for port in list(&service["ports"]) {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
            assert!(published.insert(port["published"].as_str().expect("a port")), "{name}: {port} twice");
        }
    }
    assert!(published.len() > 8);
}

#[test]
fn every_service_that_stays_is_asked_how_it_is() {
    for (name, service) in services().filter(|(name, _)| !ends(name)) {
        let probed = &compose()["services"][format!("{name}-probe")];
        let asked = if probed.is_object() { probed } else { service };
        let test: Vec<_> = list(&asked["healthcheck"]["test"]).filter_map(Value::as_str).collect();
        assert_eq!(test.first(), Some(&"CMD"), "{name} is never asked");
        if probed.is_object() {
            assert!(test.iter().any(|word| word.contains(&format!("http://{name}:"))), "{name}: {test:?}");
            // Its image has no shell.
            assert!(service["healthcheck"].is_null(), "{name}");
        }
    }
    for name in ["collector", "tempo"] {
        service(&format!("{name}-probe"));
    }
}

#[test]
fn what_stays_is_started_again_and_what_ends_is_not() {
    for (name, service) in services().filter(|(name, _)| !name.ends_with("-probe")) {
        let expected = if ends(name) { Value::Null } else { "unless-stopped".into() };
        assert_eq!(service["restart"], expected, "{name}");
    }
}

#[test]
fn every_dependency_is_waited_for_as_it_can_be() {
    for (name, service) in services() {
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            let awaited = &compose()["services"][other];
            match how["condition"].as_str().expect("a condition") {
                "service_completed_successfully" => assert!(ends(other), "{name}: {other} does not end"),
                "service_healthy" => assert!(awaited["healthcheck"].is_object(), "{name}: {other} is not asked"),
                condition => panic!("{name}: {other} is only {condition}"),
            }
        }
    }
    let before = service("collector")["depends_on"].as_object().expect("some");
    assert!(before.contains_key("elasticsearch-setup"), "documents could come before their template");
}

#[test]
fn what_is_mounted_is_there_and_every_volume_is_declared() {
    let declared = compose()["volumes"].as_object().expect("volumes");
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        for mount in list(&service["volumes"]) {
            let source = mount["source"].as_str().expect("a source");
            match mount["type"].as_str().expect("a type") {
                "bind" => {
                    assert!(std::path::Path::new(source).exists(), "{name}: {source} is not there");
                    assert_eq!(mount["read_only"], true, "{name}: {source} could be changed");
                }
                "volume" => assert!(used.insert(source) || declared.contains_key(source), "{name}: {source}"),
                other => panic!("{name}: {other}"),
            }
        }
    }
    assert_eq!(used, declared.keys().map(String::as_str).collect());
}

#[test]
fn the_collector_is_the_shipped_one_and_every_variable_is_its_own() {
    let collector = service("collector");
    let mounted = list(&collector["volumes"]).find(|mount| mount["target"] == "/etc/otelcol/config.yaml");
    let source = mounted.expect("the configuration")["source"].as_str().expect("a source");
    assert!(source.ends_with("/otel-collector.yaml") && !source.contains("compose/"), "{source}");
    let text = read("otel-collector.yaml");
    let environment = collector["environment"].as_object().expect("variables");
    for name in environment.keys() {
        assert!(text.contains(&format!("${{env:{name}:-")), "{name} is none of otel-collector.yaml's");
    }
    let limit = collector["mem_limit"].as_str().and_then(|text| text.strip_suffix('m')).expect("megabytes");
    assert!(limit.parse::<u64>().expect("a number") > 400, "less than its own limit");
}

#[test]
fn nats_keeps_messages_and_tells_how_it_is() {
    let words: Vec<_> = list(&service("nats")["command"]).filter_map(Value::as_str).collect();
    assert!(words.contains(&"-js") && words.windows(2).any(|pair| pair == ["-m", "8222"]), "{words:?}");
}

#[test]
fn nothing_is_scraped_that_is_also_pushed() {
    let config = yaml(&read("compose/prometheus/prometheus.yml"));
    let jobs = config["scrape_configs"].as_array().expect("jobs");
    let targets: Vec<_> = jobs
        .iter()
        .flat_map(|job| job["static_configs"][0]["targets"].as_array().expect("targets"))
        .map(|target| target.as_str().expect("a target"))
        .collect();
    // Watchpost pushes; the Collector's own metrics are scraped, and not what it forwards (a prometheus exporter).
    assert_eq!(targets, ["localhost:9090", "collector:8888", "tempo:3200"]);
    assert!(!read("otel-collector.yaml").contains("\n  prometheus:"), "the Collector offers what it forwards");
}

#[test]
fn prometheus_takes_what_is_pushed_late_and_promotes_the_labels_of_the_dashboards() {
    output(Command::new(promtool()).args(["check", "config"]).arg(top().join("compose/prometheus/prometheus.yml")));
    let config = yaml(&read("compose/prometheus/prometheus.yml"));
    assert_eq!(config["storage"]["tsdb"]["out_of_order_time_window"], "30m");
    let promoted: Vec<_> = config["otlp"]["promote_resource_attributes"].as_array().expect("some").clone();
    assert_eq!(promoted, ["service.name", "service.namespace", "service.instance.id"]);
    let words: Vec<_> = list(&service("prometheus")["command"]).filter_map(Value::as_str).collect();
    assert!(words.contains(&"--web.enable-otlp-receiver") && words.contains(&"--enable-feature=exemplar-storage"));
}

#[test]
fn the_image_is_small_and_runs_without_rights() {
    let text = read("compose/Dockerfile");
    let stages: Vec<_> = text.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2);
    assert!(stages[0].ends_with(" AS build"));
    let user = text.lines().rfind(|line| line.starts_with("USER ")).expect("a user");
    assert_eq!(user, "USER 65532:65532");
    let (_, last) = text.split_once(stages[1]).expect("the last stage");
    assert!(!last.contains("\nRUN "), "what runs in the last stage stays in the image");
    assert!(read("Cargo.toml").contains(&format!("rust-version = \"{}\"", &stages[0]["FROM rust:".len()..][..4])));
}

#[test]
fn the_token_is_made_where_the_stack_runs_and_is_nowhere_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = read("compose/prepare.sh");
    for folder in ["collector", "tempo", "token"] {
        std::fs::create_dir(dir.path().join(folder)).expect("a folder");
    }
    // As it stands, but in a folder of ours, and for the user that we are.
    let here = dir.path().display().to_string();
    let script = ["collector", "tempo", "token"].iter().fold(script, |script, folder| {
        script
            .replace(&format!(" /{folder}"), &format!(" {here}/{folder}"))
            .replace(&format!(">/{folder}"), &format!(">{here}/{folder}"))
    });
    let script = script.lines().filter(|line| !line.trim().starts_with("chown")).collect::<Vec<_>>().join("\n");
    let run = || {
        output(Command::new("sh").args(["-c", &script]));
        std::fs::read_to_string(dir.path().join("token/token")).expect("a token")
    };
    let token = run();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token:?}");
    assert_eq!(run(), token);
    assert!(read("compose/watchpost.yaml").contains("token_file: /run/watchpost/token"));
}
