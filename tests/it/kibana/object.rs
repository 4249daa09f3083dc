//! The saved objects as they stand in the repository, and what is in one.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Where the index of a saved search is named.
const INDEX: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";

/// One object, with the JSON in its texts read.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) json: Value,
}

/// All of them, in the order in which they are imported.
pub(super) fn objects() -> Vec<Object> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/kibana/watchpost.ndjson");
    let text = std::fs::read_to_string(path).expect("UTF-8");
    let object = |line: &str| Object { json: opened(serde_json::from_str(line).expect(line)) };
    text.lines().map(object).collect()
}

/// A value where each text under a key that says so is the JSON that it holds.
fn opened(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(opened).collect(),
        Value::Object(values) => {
            let one = |(key, value): (String, Value)| {
                let inner = value.as_str().filter(|_| key.ends_with("JSON") || key == "fieldFormatMap");
                let inner = inner.map(|text| {
                    serde_json::from_str(text).unwrap_or_else(|error| panic!("{key}: {error}: {text}"))
                });
                (key, opened(inner.unwrap_or(value)))
            };
            Value::Object(values.into_iter().map(one).collect())
        }
        other => other,
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn texts<'a>(values: impl IntoIterator<Item = &'a Value>) -> impl Iterator<Item = String> {
    values.into_iter().map(text)
}

impl Object {
    pub(super) fn kind(&self) -> &str {
        self.json["type"].as_str().expect("a type")
    }

    pub(super) fn key(&self) -> (String, String) {
        (self.kind().to_owned(), self.json["id"].as_str().expect("an id").to_owned())
    }

    fn attributes(&self) -> &Value {
        &self.json["attributes"]
    }

    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes()[attribute].as_str()
    }

    /// The name of each reference, and the type and id that it is to.
    pub(super) fn references(&self) -> Vec<(String, (String, String))> {
        let one = |one: &Value| (text(&one["name"]), (text(&one["type"]), text(&one["id"])));
        self.json["references"].as_array().expect("references").iter().map(one).collect()
    }

    /// The names of references that its content needs.
    pub(super) fn named_inside(&self) -> BTreeSet<String> {
        match self.kind() {
            "search" => {
                let source = &self.attributes()["kibanaSavedObjectMeta"]["searchSourceJSON"];
                assert_eq!(source["indexRefName"], INDEX);
                BTreeSet::from([INDEX.to_owned()])
            }
            "lens" => self.layers().map(|(name, _)| format!("indexpattern-datasource-layer-{name}")).collect(),
            "dashboard" => {
                let name =
                    |panel: &Value| format!("{}:{}", text(&panel["panelIndex"]), text(&panel["panelRefName"]));
                self.panels().iter().map(name).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The panels of a dashboard.
    pub(super) fn panels(&self) -> &[Value] {
        self.attributes()["panelsJSON"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The layers of a lens, by name.
    fn layers(&self) -> impl Iterator<Item = (&String, &Value)> {
        let layers = &self.attributes()["state"]["datasourceStates"]["formBased"]["layers"];
        layers.as_object().into_iter().flatten()
    }

    /// The columns that a lens computes.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        self.layers()
            .flat_map(|(_, layer)| layer["columns"].as_object().expect("columns").keys().cloned())
            .collect()
    }

    /// The columns that a lens puts in order and shows.
    pub(super) fn used_columns(&self) -> BTreeSet<String> {
        let ordered: BTreeSet<String> = self
            .layers()
            .flat_map(|(_, layer)| texts(layer["columnOrder"].as_array().expect("an order")))
            .collect();
        let shown = &self.attributes()["state"]["visualization"];
        let layers = shown["layers"].as_array().cloned().unwrap_or_else(|| vec![shown.clone()]);
        let mut used = BTreeSet::new();
        for layer in &layers {
            used.extend(texts(
                ["xAccessor", "splitAccessor", "metricAccessor"].iter().filter_map(|key| layer.get(key)),
            ));
            used.extend(texts(layer["accessors"].as_array().into_iter().flatten()));
            used.extend(texts(layer["columns"].as_array().into_iter().flatten().map(|column| &column["columnId"])));
        }
        assert_eq!(ordered, used, "{:?}: what is in order and what is shown", self.key());
        let sorted = self.layers().flat_map(|(_, layer)| layer["columns"].as_object().expect("columns").values());
        let by = texts(sorted.filter_map(|column| column["params"]["orderBy"].get("columnId")));
        assert!(by.collect::<BTreeSet<_>>().is_subset(&used), "{:?}: what it is in order of", self.key());
        used
    }

    /// What it asks, in KQL; nothing where it asks for everything.
    pub(super) fn query(&self) -> String {
        let attributes = self.attributes();
        let query = match self.kind() {
            "search" => &attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]["query"],
            "lens" => &attributes["state"]["query"],
            _ => return String::new(),
        };
        assert_eq!(query["language"], "kuery");
        query["query"].as_str().expect("a query").to_owned()
    }

    /// Every field that it names.
    pub(super) fn fields(&self) -> BTreeSet<String> {
        let attributes = self.attributes();
        let mut fields = BTreeSet::new();
        fields.extend(texts(attributes["columns"].as_array().into_iter().flatten()));
        fields.extend(texts(attributes.get("timeFieldName")));
        fields.extend(attributes["fieldFormatMap"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        let columns = self.layers().flat_map(|(_, layer)| layer["columns"].as_object().expect("columns").values());
        let sources = texts(columns.map(|column| &column["sourceField"]));
        fields.extend(sources.filter(|field| field != "___records___"));
        fields.extend(asked(&self.query()));
        fields
    }
}

/// The fields in a query: what stands before a colon, outside quotes.
fn asked(query: &str) -> Vec<String> {
    let outside: String = query.split('"').step_by(2).collect();
    let before =
        outside.split(':').map(|part| part.trim_end().rsplit([' ', '(']).next().unwrap_or_default().to_owned());
    let mut fields: Vec<String> = before.collect();
    fields.pop();
    fields
}

#[test]
fn the_fields_of_a_query_stand_before_its_colons() {
    assert_eq!(asked(r#"a.b: ("x: y" OR "z") AND (c_d: * OR NOT e:1)"#), ["a.b", "c_d", "e"]);
    assert!(asked("").is_empty());
}
