//! Any payload: its record is encoded, decoded, and each of its values found.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use prost::Message;
use serde_json::value::RawValue;

use super::{context, event};
use crate::event::Fields;
use crate::otel::logs::record;
use crate::otel::{document, names, wire};

type Decoded = BTreeMap<String, any_value::Value>;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("JSON")),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""\u0041\n""#.to_owned()),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => text(),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| serde_json::to_string(&number).expect("JSON")),
        1 => prop_oneof![Just("1e999"), Just("-0"), Just("-0.0"), Just("123456789012345678901234567890")]
            .prop_map(str::to_owned),
        1 => prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned),
    ]
}

/// Names of known fields, of the object of processes, and any other.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 9] = [
        "state",
        "plan_id",
        "level_index",
        "error.type",
        "error_type",
        "args",
        "counts",
        "pid",
        "geo.location.lat",
    ];
    prop_oneof![2 => prop::sample::select(KNOWN.to_vec()).prop_map(|name| format!("{name:?}")), 1 => text()]
}

fn object(value: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec((name(), value), 0..most).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn value() -> impl Strategy<Value = String> {
    scalar().boxed().prop_recursive(3, 24, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , ")));
        prop_oneof![list, object(inner, 6)]
    })
}

fn payload() -> impl Strategy<Value = String> {
    prop_oneof![9 => object(value(), 8), 1 => object(scalar(), 200)]
}

fn kind() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("proc-main-1", "started"),
        ("proc-main-1", "resources_sampled"),
        ("source-main", "source_down"),
        ("build-17", "session_started"),
        ("build-17", "session_ended"),
        ("build-17", "generation_failed"),
        ("build-17", "level_started"),
        ("build-17", "tea_made"),
        ("hub-project", "deployed"),
    ])
}

/// The fields of an object, the last of each name, as the text that stands there.
fn fields(raw: &str) -> BTreeMap<String, String> {
    let Fields(fields) = serde_json::from_str(raw).expect(raw);
    let name =
        |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().trim_matches('"').to_owned());
    fields.into_iter().map(|(field, value)| (name(field), value.get().to_owned())).collect()
}

/// Whether what stands there is what was decoded.
fn same(raw: &str, found: &any_value::Value) -> bool {
    match (serde_json::from_str(raw), found) {
        (Ok(serde_json::Value::String(text)), any_value::Value::StringValue(found)) => text == *found,
        (Ok(serde_json::Value::Bool(value)), any_value::Value::BoolValue(found)) => value == *found,
        (Ok(serde_json::Value::Number(number)), any_value::Value::IntValue(found)) => {
            number.as_i64().map_or(raw == "-0", |n| n == *found)
        }
        (Ok(serde_json::Value::Number(number)), any_value::Value::DoubleValue(found)) => {
            number.as_f64() == Some(*found)
        }
        (Ok(serde_json::Value::Array(texts)), any_value::Value::ArrayValue(found)) => {
            let found = found.values.iter().map(|value| value.value.clone().expect("a value"));
            let text = |text: &serde_json::Value| Some(any_value::Value::StringValue(text.as_str()?.to_owned()));
            texts.iter().map(text).eq(found.map(Some))
        }
        // A list or an object, or what no type of OTLP can hold: as it stands there.
        (_, any_value::Value::StringValue(found)) => raw == found || raw.trim_matches('"') == found,
        _ => false,
    }
}

fn find(attributes: &Decoded, known: &BTreeSet<&str>, prefix: &str, raw: &str) -> Result<(), TestCaseError> {
    for (name, raw) in fields(raw).into_iter().filter(|(_, raw)| raw != "null") {
        let nameless = format!("watchpost.data.{prefix}{name}");
        let mut places =
            attributes.iter().filter(|(place, _)| known.contains(place.as_str()) || **place == nameless);
        let there = places.any(|(_, found)| same(&raw, found));
        if !there && prefix.is_empty() && name == "state" && raw.starts_with('{') {
            find(attributes, known, "state.", &raw)?;
            continue;
        }
        prop_assert!(there, "{prefix}{name}: {raw} is not in {attributes:#?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_a_payload_has_is_in_its_record((stream, kind) in kind(), data in payload()) {
        let logged = event(stream, kind, &data);
        let record = record(&logged, &context());
        let (mut bytes, mut request) = (Vec::new(), Vec::new());
        wire::log_record(&record, &mut bytes);
        wire::logs_request([(&*record.resource, &*bytes)], &mut request);
        let decoded = ExportLogsServiceRequest::decode(&*request).expect("it decodes");
        let decoded = &decoded.resource_logs[0].scope_logs[0].log_records[0];
        let attributes: Decoded = decoded.attributes.iter().cloned()
            .map(|field| (field.key, field.value.and_then(|value| value.value).expect("a value"))).collect();
        prop_assert_eq!(attributes.len(), decoded.attributes.len(), "a name comes twice");
        let known: BTreeSet<&str> = names::all().map(|name| name.name).collect();
        find(&attributes, &known, "", &data)?;

        let document: serde_json::Value = serde_json::from_slice(&document::document(&record)).expect("JSON");
        let there: BTreeSet<&str> = document["attributes"].as_object().expect("attributes").keys().map(String::as_str).collect();
        let routing = [names::DOCUMENT_ID, names::DATA_STREAM_DATASET, names::DATA_STREAM_NAMESPACE];
        let expected: BTreeSet<&str> = attributes.keys().map(String::as_str).filter(|name| !routing.contains(name)).collect();
        prop_assert_eq!(there, expected);
    }
}
