//! The catalog proves itself: examples, schemas and readers say the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::event::Severity;

fn object(json: &str) -> Value {
    serde_json::from_str(json).expect(json)
}

fn properties(known: &Type) -> Vec<(String, Value)> {
    let schema = schema(known);
    let properties = schema["properties"].as_object().expect("properties");
    properties.iter().map(|(name, property)| (name.clone(), property.clone())).collect()
}

/// Whether the type's schema takes a payload.
fn takes(known: &Type, payload: &Value) -> bool {
    jsonschema::draft202012::new(&schema(known)).expect("a schema").is_valid(payload)
}

#[test]
fn the_29_types_of_the_document_and_three_of_ours() {
    let names: BTreeSet<&str> = types().iter().map(|known| known.name).collect();
    assert_eq!(names.len(), 29 + 3);
    for known in types() {
        assert!(crate::event::Kind::new(known.name).is_ok_and(|kind| !kind.as_str().contains(['.', '-'])));
        assert!(std::ptr::eq(find(known.name).expect("known"), known));
        assert!(!known.about.is_empty() && !known.telemetry.is_empty(), "{}", known.name);
    }
    assert!(find("tea_made").is_none());
}

#[test]
fn every_example_validates_against_its_schema_and_reads_back_equal() {
    for known in types() {
        let example = object(known.example);
        assert!(takes(known, &example), "{}: {}", known.name, schema(known));
        let read = known.known(known.example);
        assert_eq!((read.wrong, &read.value), (vec![], &example), "{}", known.name);
        let again = known.known(&read.value.to_string());
        assert_eq!((again.wrong, again.value), (vec![], example), "{}", known.name);
    }
}

#[test]
fn every_example_has_every_field_and_every_field_a_description() {
    for known in types() {
        let properties = properties(known);
        let example = object(known.example);
        let shown: BTreeSet<&String> = example.as_object().expect("an object").keys().collect();
        assert_eq!(shown, properties.iter().map(|(name, _)| name).collect(), "{}", known.name);
        for (name, property) in &properties {
            let described = property["description"].as_str().is_some_and(|text| text.ends_with(['.', '…']));
            assert!(described, "{}: {name}: {property}", known.name);
        }
    }
}

#[test]
fn a_known_field_of_the_wrong_type_is_left_out_and_named() {
    let wrongs = [json!({"a": [1]}), json!([[]]), json!(-1.5), json!("word"), json!(true)];
    for known in types() {
        let example = object(known.example);
        for name in example.as_object().expect("an object").keys() {
            let mut refused = 0;
            for wrong in &wrongs {
                let mut payload = example.clone();
                payload[name] = wrong.clone();
                let read = known.known(&payload.to_string());
                let mut expected = payload.clone();
                if !read.wrong.is_empty() {
                    refused += 1;
                    assert_eq!(read.wrong, [name.as_str()], "{}", known.name);
                    expected.as_object_mut().expect("an object").remove(name);
                }
                assert_eq!(read.value, expected, "{}: the other fields are as they were", known.name);
                assert_eq!(takes(known, &payload), read.wrong.is_empty(), "{}: {payload}", known.name);
            }
            assert!(refused >= 4, "{}: {name} takes {refused} of {} wrong values", known.name, wrongs.len());
        }
    }
}

#[test]
fn unknown_fields_ignored() {
    for known in types() {
        let mut payload = object(known.example);
        payload["from_the_future"] = json!({"deep": [1, {"a": null}]});
        let read = known.known(&payload.to_string());
        assert_eq!((read.wrong, read.value), (vec![], object(known.example)), "{}", known.name);
        assert!(takes(known, &payload), "{}", known.name);
    }
}

#[test]
fn every_field_may_be_missing_or_null() {
    for known in types() {
        let read = known.known("{}");
        assert_eq!((read.wrong, read.value), (vec![], json!({})), "{}", known.name);
        let mut nulls = object(known.example);
        nulls.as_object_mut().expect("an object").values_mut().for_each(|value| *value = Value::Null);
        assert_eq!(known.known(&nulls.to_string()).value, json!({}), "{}", known.name);
        assert!(takes(known, &nulls) && takes(known, &json!({})), "{}", known.name);
    }
}

#[test]
fn what_cannot_be_read_spoils_nothing_else() {
    let check = |data: &str, plan: Option<&str>, level: Option<u64>, wrong: &[&str]| {
        let read = read::<LevelStarted>(data);
        let found = (read.value.plan_id.as_deref(), read.value.level_index, read.wrong);
        assert_eq!(found, (plan, level, wrong.iter().map(|&name| name.into()).collect()), "{data}");
    };
    check(r#"{"plan_id":"p","level_index":2}"#, Some("p"), Some(2), &[]);
    check(r#" {"plan_id":7,"level_index":2}"#, None, Some(2), &["plan_id"]);
    check(r#"{"level_index":-2,"plan_id":["p"]}"#, None, None, &["level_index", "plan_id"]);
    check(r#"{"level_index":2,"level_index":3}"#, None, Some(3), &[]);
    check(r#"{"level_index":2,"level_index":"3"}"#, None, None, &["level_index"]);
    check(r#"{"plan\u005fid":"p","level_index":2.5}"#, Some("p"), None, &["level_index"]);
    check(r#"{"\ud800":1,"plan_id":"\ud800","level_index":2}"#, None, Some(2), &["plan_id"]);
    check(r#"["p",2]"#, None, None, &["data"]);
    check(r#"{"plan_id":"p""#, None, None, &["data"]);
    let both = read::<GenerationFailed>(r#"{"error_type":"a","error.type":"b"}"#);
    assert_eq!((both.value.error_type.as_deref(), both.wrong), (Some("b"), vec![]));
    for other in [r#"{"error_type":"a"}"#, r#"{"error_type":"a","error.type":null}"#] {
        assert_eq!(read::<GenerationFailed>(other).value.error_type.as_deref(), Some("a"), "{other}");
    }
}

#[test]
fn text_is_borrowed_where_it_can_be() {
    let data = r#"{"args":["plain","with \"quotes\""],"cwd":"/tmp"}"#;
    let read = read::<SessionStarted>(data).value;
    let within = |text: &Text| data.as_bytes().as_ptr_range().contains(&text.as_ptr());
    let args = read.args.expect("args");
    assert!(within(&args[0]) && !within(&args[1]) && read.cwd.is_some_and(|cwd| within(&cwd)));
    assert_eq!(&*args[1], "with \"quotes\"");
}

#[test]
fn how_loud_an_event_is() {
    assert_eq!(severity(kind::SESSION_ENDED, r#"{"status":"completed"}"#), Severity::Info);
    assert_eq!(severity(kind::SESSION_ENDED, r#"{"status":"failed","exit_code":"x"}"#), Severity::Error);
    assert_eq!(severity(kind::NODE_GENERATION_FAILED, "{}"), Severity::Error);
    assert_eq!(severity(kind::SESSION_INTERRUPTED, "{}"), Severity::Warning);
    assert_eq!(severity("tea_made", "{}"), Severity::Info);
}
