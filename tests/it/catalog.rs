//! `watchpost catalog`, as a person runs it.

use std::process::{Command, Output};

use serde_json::Value;
use watchpost::event::session::types;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.env_clear().arg("catalog").args(args).output().expect("it runs")
}

fn printed(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(args: &[&str]) -> Vec<Value> {
    printed(args).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn each_type_is_told_with_its_fields_an_example_severity_and_telemetry() {
    let told = printed(&[]);
    for known in types() {
        let start = format!("\n{} ({})\n  {}\n", known.name, known.severity, known.about);
        let rest = told.split_once(&start).unwrap_or_else(|| panic!("{} is missing", known.name)).1;
        let entry = rest.split_once("\n\n").expect("an end").0;
        assert!(entry.contains(known.telemetry) && entry.contains(known.example), "{entry}");
        let example: Value = serde_json::from_str(known.example).expect("JSON");
        for field in example.as_object().expect("an object").keys() {
            assert!(entry.contains(&format!("\n    {field} ")), "{field}: {entry}");
        }
    }
    insta::assert_snapshot!(
        printed(&["provider_response_received"]) + &printed(&["node_generation_failed", "--schema"])
    );
}

#[test]
fn what_is_printed_as_an_example_validates_against_what_is_printed_as_its_schema() {
    let (rows, schemas) = (lines(&["--json"]), lines(&["--schema"]));
    assert_eq!((rows.len(), schemas.len()), (types().len(), types().len()));
    for (row, schema) in rows.iter().zip(&schemas) {
        assert_eq!(row["type"], schema["title"]);
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        assert!(validator.is_valid(&row["example"]), "{row}");
        assert!(!validator.is_valid(&Value::Bool(true)), "{schema}");
    }
    assert_eq!(lines(&["scan_progress", "--json"]), [rows[27].clone()]);
}

#[test]
fn a_type_that_is_not_in_it_is_named_with_the_nearest_one() {
    let output = run(&["scan_complete"]);
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("a similar value exists: 'scan_completed'"), "{told}");
}

#[test]
fn telemetry_md_is_what_the_catalog_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/TELEMETRY.md");
    let file = std::fs::read_to_string(path).expect("TELEMETRY.md");
    assert!(file == printed(&["--telemetry"]), "TELEMETRY.md is old: watchpost catalog --telemetry > TELEMETRY.md");
    for known in types() {
        assert!(file.contains(&format!("| `session.{}` |", known.name)), "{}", known.name);
    }
}
