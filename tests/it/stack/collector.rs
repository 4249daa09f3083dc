//! otel-collector.yaml: nothing in it loses data, and the tests run it but for what no registry carries.

use std::process::Command;

use serde_json::{Value, json};

use super::super::support::collector::binary;
use super::{output, read, top, yaml};

fn shipped() -> Value {
    yaml(&read("otel-collector.yaml"))
}

fn substituted(more: &[&str]) -> String {
    output(Command::new(top().join("scripts/collector-config.sh")).arg("/somewhere").args(more))
}

fn exporters(config: &Value) -> impl Iterator<Item = (&String, &Value)> {
    config["exporters"].as_object().expect("exporters").iter()
}

/// The exporters of a pipeline.
fn sent_to(config: &Value, signal: &str) -> Value {
    config["service"]["pipelines"][signal]["exporters"].clone()
}

#[test]
fn the_collector_of_the_tests_is_the_shipped_one_but_for_what_it_writes_to_files() {
    let check = |more: &[&str], gone: &[(&str, &str, &str)]| {
        let mut expected = shipped();
        for (signal, exporter, file) in gone {
            let name = format!("file/{file}");
            let exporters = expected["exporters"].as_object_mut().expect("exporters");
            assert!(exporters.remove(*exporter).is_some(), "{exporter}");
            let path = format!("/somewhere/{file}.jsonl");
            exporters.insert(name.clone(), json!({"path": path, "rotation": {"max_megabytes": 1_000_000}}));
            expected["service"]["pipelines"][signal]["exporters"] = json!([name]);
        }
        assert_eq!(yaml(&substituted(more)), expected);
    };
    let logs = ("logs", "elasticsearch", "logs");
    check(&[], &[logs, ("traces", "otlp_grpc/tempo", "spans")]);
    check(&["--with-tempo"], &[logs]);
}

#[test]
fn the_collector_takes_the_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    for more in [&[][..], &["--with-tempo"][..]] {
        let file = dir.path().join("collector.yaml");
        std::fs::write(&file, substituted(more)).expect("a file");
        // The folder of the queues must be there to be valid.
        let mut command = Command::new(binary());
        output(command.arg("validate").arg("--config").arg(&file).env("COLLECTOR_STORAGE", dir.path()));
    }
}

#[test]
fn each_signal_goes_to_its_backend_through_a_queue_on_disk_and_is_tried_without_end() {
    let config = shipped();
    assert_eq!(sent_to(&config, "logs"), json!(["elasticsearch"]));
    assert_eq!(sent_to(&config, "traces"), json!(["otlp_grpc/tempo"]));
    assert_eq!(sent_to(&config, "metrics"), json!(["otlp_http/prometheus"]));
    assert_eq!(config["extensions"]["file_storage"]["fsync"], true);
    assert_eq!(exporters(&config).count(), 3);
    for (name, exporter) in exporters(&config) {
        let queue = &exporter["sending_queue"];
        assert_eq!(queue["enabled"], true, "{name}");
        assert_eq!(queue["storage"], "file_storage", "{name}");
        if name != "elasticsearch" {
            assert_eq!(exporter["retry_on_failure"]["max_elapsed_time"], "0s", "{name}");
        }
    }
    for (signal, pipeline) in config["service"]["pipelines"].as_object().expect("pipelines") {
        // The batch processor would answer before anything is kept.
        assert_eq!(pipeline["processors"], json!(["memory_limiter"]), "{signal}");
        assert_eq!(pipeline["receivers"], json!(["otlp"]), "{signal}");
    }
    assert_eq!(config["service"]["extensions"], json!(["health_check", "file_storage"]));
}

#[test]
fn samples_reach_prometheus_in_order_and_alone() {
    let queue = &shipped()["exporters"]["otlp_http/prometheus"]["sending_queue"];
    assert_eq!(queue["num_consumers"], 1);
    assert_eq!(queue["batch"], Value::Null);
}

/// The facts of the exporter that no registry carries, so that none of its defaults is met.
#[test]
fn the_elasticsearch_exporter_writes_an_event_once_and_keeps_what_an_outage_meets() {
    let exporter = shipped()["exporters"]["elasticsearch"].clone();
    assert_eq!(exporter["logs_dynamic_id"]["enabled"], true);
    assert_eq!(exporter["suppress_conflict_errors"], true);
    // Ignored since v0.145; what routes are the record's attributes, and an index of its own would overrule them.
    for ignored in ["mapping", "logs_index", "logs_dynamic_index", "retry_on_failure"] {
        assert_eq!(exporter[ignored], Value::Null, "{ignored}");
    }
    assert_eq!(exporter["timeout"], "0s");
    let retry = &exporter["retry"];
    assert_eq!(retry["enabled"], true);
    assert!(retry["max_retries"].as_u64().expect("a number") >= 1_000_000_000);
    let tried: Vec<u64> = serde_json::from_value(retry["retry_on_status"].clone()).expect("statuses");
    for status in [403, 429, 500, 502, 503, 504] {
        assert!(tried.contains(&status), "{status}");
    }
    // A document that does not fit, or is there already, would be tried for ever.
    assert!(!tried.contains(&400) && !tried.contains(&409));
}

#[test]
fn every_address_is_a_variable_whose_default_is_on_loopback() {
    let text = read("otel-collector.yaml");
    let variables: Vec<_> =
        text.split("${env:").skip(1).map(|rest| rest.split('}').next().expect("an end")).collect();
    assert!(variables.len() > 8);
    for variable in &variables {
        let (name, default) = variable.split_once(":-").expect("a default");
        let local = default.contains("127.0.0.1") || !default.contains(':');
        assert!(name.starts_with("COLLECTOR_") && local, "{variable}");
    }
    let written: Vec<_> =
        text.lines().filter(|line| line.contains("endpoint") && !line.contains("${env:")).collect();
    assert_eq!(written, Vec::<&str>::new());
}
