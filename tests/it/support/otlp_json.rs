//! OTLP as JSON, made plain.

use serde_json::{Map, Value};

/// The records of a request, which lie at these three levels of it, but for `attributes` and `resource`, which are
/// plain objects.
pub(crate) fn records(request: &Value, [resources, scopes, records]: [&str; 3]) -> Vec<Value> {
    let mut all = Vec::new();
    for resource in list(request, resources) {
        let of = plain(&resource["resource"]["attributes"]);
        for record in list(resource, scopes).iter().flat_map(|scope| list(scope, records)) {
            let mut record = record.clone();
            record["attributes"] = plain(&record["attributes"]);
            record["resource"] = of.clone();
            all.push(record);
        }
    }
    all
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// OTLP's list of attributes as an object; integers, which it writes as text, are numbers.
fn plain(attributes: &Value) -> Value {
    let one = |attribute: &Value| Some((attribute["key"].as_str()?.to_owned(), plain_value(&attribute["value"])));
    Value::Object(attributes.as_array().into_iter().flatten().filter_map(one).collect::<Map<_, _>>())
}

fn plain_value(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return Value::Null };
    match kind.as_str() {
        "intValue" => value.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from),
        "arrayValue" => list(value, "values").iter().map(plain_value).collect(),
        "kvlistValue" => plain(&value["values"]),
        _ => value.clone(),
    }
}
