//! The index template: our own, small enough for a bare server. Pure.

use serde_json::{Map, Value, json};

use crate::otel::names::{self, Form, Kind};

/// The data streams of our documents, one a day.
pub const PATTERN: &str = "logs-watchpost.otel-*";

/// Over the templates for `logs-*` that Elasticsearch comes with (100 to 200).
const PRIORITY: u32 = 300;

/// The longest text that is found as a whole, in characters: with four bytes each, what Lucene takes of a term.
const LONGEST: u32 = 8191;

/// The template, with a lifecycle policy's name where there is one.
///
/// An attribute of the table of names has its type; any other is a keyword, whatever it holds, so that two
/// senders of one name never disagree. A value that is not of its attribute's type is kept, and not found by it.
/// Attributes are also found without `attributes.` before them, as OpenTelemetry's own mapping has it, and a
/// field beyond the thousandth of a day is kept, and not found by name.
pub fn template(policy: Option<&str>) -> Value {
    let mut settings = json!({
        "index.auto_expand_replicas": "0-1",
        "index.mapping.ignore_malformed": true,
        "index.mapping.total_fields.limit": 1000,
        "index.mapping.total_fields.ignore_dynamic_beyond_limit": true,
    });
    if let Some(policy) = policy {
        settings["index.lifecycle.name"] = policy.into();
    }
    json!({
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "data_stream": {},
        "_meta": {"made_by": "watchpost", "version": env!("CARGO_PKG_VERSION")},
        "template": {"settings": settings, "mappings": mappings()},
    })
}

fn mappings() -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": LONGEST});
    json!({
        "dynamic": false,
        "dynamic_templates": [{"any_attribute": {
            "path_match": ["attributes.*", "resource.attributes.*", "scope.attributes.*"],
            "match_mapping_type": "*",
            "mapping": keyword,
        }}],
        "properties": {
            "@timestamp": {"type": "date_nanos"},
            "observed_timestamp": {"type": "date_nanos"},
            "severity_number": {"type": "byte"},
            "severity_text": keyword,
            "event_name": keyword,
            "trace_id": keyword,
            "span_id": keyword,
            "body": {"properties": {"text": {"type": "text"}}},
            "attributes": {"type": "passthrough", "dynamic": true, "priority": 20, "properties": attributes()},
            "resource": {"properties": {
                "attributes": {"type": "passthrough", "dynamic": true, "priority": 10},
            }},
            "scope": {"properties": {"name": keyword, "version": keyword}},
            "data_stream": {"properties": {"type": keyword, "dataset": keyword, "namespace": keyword}},
        },
    })
}

/// The attributes that are not keywords.
fn attributes() -> Map<String, Value> {
    let typed = |name: &names::Name| {
        let form = match name.kind {
            Kind::Attribute(Form::Int) => "long",
            Kind::Attribute(Form::Double) => "double",
            Kind::Attribute(Form::Bool) => "boolean",
            _ => return None,
        };
        Some((name.name.to_owned(), json!({"type": form})))
    };
    names::all().filter_map(typed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_types_of_the_table_of_names() {
        let template = template(None);
        let attributes = &template["template"]["mappings"]["properties"]["attributes"]["properties"];
        assert_eq!(attributes[names::EVENT_SEQ]["type"], "long");
        assert_eq!(attributes.get(names::EVENT_ID), None, "a keyword, as any other");
    }

    #[test]
    fn a_policy_is_named_only_where_there_is_one() {
        let named = |policy| template(policy)["template"]["settings"].get("index.lifecycle.name").cloned();
        assert_eq!(named(None), None);
        assert_eq!(named(Some("watchpost")), Some("watchpost".into()));
    }
}
