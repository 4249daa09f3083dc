//! What a payload's fields are, as JSON Schema and as rows for people.

use serde::Serialize;
use serde_json::Value;

use super::Type;

/// A known field of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// What stands there: `string`, `integer`, `number`, `boolean`, `[string]` or `{string: integer}`.
    #[serde(rename = "type")]
    pub form: String,
    /// What it says.
    pub about: String,
}

/// The JSON Schema (2020-12) of a type's payload, made from the struct that reads it. It is as open as the reader:
/// no field is required, any field may be `null`, others may stand beside.
pub fn schema(of: &Type) -> Value {
    let mut schema = of.bare_schema();
    schema.insert("title".into(), of.name.into());
    schema.to_value()
}

/// The known fields of a type's payload, in the order of its example.
pub fn fields(of: &Type) -> Vec<Field> {
    let schema = schema(of);
    let mut fields: Vec<Field> = schema["properties"].as_object().into_iter().flatten().map(field).collect();
    fields.sort_by_key(|field| of.example.find(&format!("\"{}\":", field.name)));
    fields
}

fn field((name, property): (&String, &Value)) -> Field {
    let about = property["description"].as_str().unwrap_or_default();
    Field { name: name.clone(), form: form(property), about: about.into() }
}

/// The type of a value; that it may be null goes without saying.
fn form(property: &Value) -> String {
    let types = property["type"].as_array().map_or(std::slice::from_ref(&property["type"]), Vec::as_slice);
    match types.iter().filter_map(Value::as_str).find(|word| *word != "null") {
        Some("array") => format!("[{}]", form(&property["items"])),
        Some("object") => format!("{{string: {}}}", form(&property["additionalProperties"])),
        Some(word) => word.into(),
        None => "any".into(),
    }
}
