//! Prometheus's alert rules: promtool reads them and runs their tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::support::promtool;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/prometheus")
}

/// The files of a folder in there with what they hold, in order of name.
fn files(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder().join(name)).expect("a folder");
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let file = |path: PathBuf| {
        let within = path.strip_prefix(folder()).expect("in there").to_string_lossy().into_owned();
        (within, std::fs::read_to_string(&path).expect("UTF-8"))
    };
    paths.into_iter().map(file).collect()
}

/// The files of the rules.
pub(super) fn texts() -> Vec<(String, String)> {
    files("rules")
}

fn alerts(texts: &[(String, String)], key: &str) -> BTreeSet<String> {
    let lines = texts.iter().flat_map(|(_, text)| text.lines());
    lines.filter_map(|line| line.trim().strip_prefix(key)).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn promtool_reads_the_rules() {
    let files = files("rules");
    let names = files.iter().map(|(name, _)| name.as_str());
    promtool::run(&folder(), &["check", "rules"].into_iter().chain(names).collect::<Vec<_>>());
}

#[test]
fn the_rules_pass_their_tests_and_each_has_one() {
    let tests = files("tests");
    let names = tests.iter().map(|(name, _)| name.as_str());
    promtool::run(&folder(), &["test", "rules"].into_iter().chain(names).collect::<Vec<_>>());
    let fired: Vec<(String, String)> = tests.into_iter().filter(|(_, text)| text.contains("exp_labels:")).collect();
    assert_eq!(alerts(&texts(), "- alert:"), alerts(&fired, "alertname:"));
}

#[test]
fn each_alert_has_a_severity_a_summary_a_description_and_a_dashboard() {
    for (name, text) in texts() {
        for alert in text.split("- alert:").skip(1) {
            let title = alert.lines().next().expect("a name").trim();
            for key in ["severity: ", "summary: ", "description: ", "dashboard: /d/watchpost-"] {
                assert_eq!(alert.matches(key).count(), 1, "{name}: {title}: {key}");
            }
        }
    }
}
