//! Reading a payload whose sender nobody vouches for.

use std::collections::BTreeMap;

use serde::de::value::MapDeserializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Error, Value};

use super::Text;
use crate::event::Fields;

/// A payload as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read<T> {
    /// The known fields that have the right type.
    pub value: T,
    /// The known fields that have another type and are left out of `value`, by name;
    /// `data` where the payload is no JSON object at all.
    pub wrong: Vec<String>,
}

impl<T: Serialize> Read<T> {
    /// The same, with the known fields as JSON.
    pub(super) fn to_value(&self) -> Read<Value> {
        // Payloads are strings, numbers and lists of them: nothing in them could fail to be written.
        Read { value: serde_json::to_value(&self.value).unwrap_or_default(), wrong: self.wrong.clone() }
    }
}

/// Reads a payload as a type. It never fails: unknown fields are passed over, a known field that is `null` or
/// missing is `None`, and one of the wrong type is left out and named. The text itself stays as it came.
///
/// Nothing is copied but text with escapes. Of a field that comes twice, the last one counts.
pub fn read<'a, T: Deserialize<'a> + Default>(data: &'a str) -> Read<T> {
    // serde would take a list for the fields in their order.
    if data.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(data)
    {
        return Read { value, wrong: Vec::new() };
    }
    by_field(data)
}

/// The slow path: each field is tried by itself, then those that are right are read together.
fn by_field<'a, T: Deserialize<'a> + Default>(data: &'a str) -> Read<T> {
    let Ok(Fields(found)) = serde_json::from_str::<Fields<'a>>(data) else {
        return Read { value: T::default(), wrong: vec!["data".into()] };
    };
    // The last one of each name; a name that is no Unicode text is nobody's field.
    let named = |(name, value): (&'a RawValue, &'a RawValue)| Some((serde_json::from_str(name.get()).ok()?, value));
    let mut fields: BTreeMap<Text<'a>, &'a RawValue> = found.into_iter().filter_map(named).collect();
    // What is null is as good as missing.
    fields.retain(|_, value| value.get() != "null");
    if fields.contains_key(&Text::from("error.type")) {
        fields.remove(&Text::from("error_type"));
    }
    let mut wrong = Vec::new();
    fields.retain(|name, value| {
        let right = together::<T>(std::iter::once((name, &*value))).is_ok();
        if !right {
            wrong.push(name.to_string());
        }
        right
    });
    Read { value: together(fields.iter()).unwrap_or_default(), wrong }
}

/// Reads fields as the object that they make up.
fn together<'f, 'a: 'f, T: Deserialize<'a>>(
    fields: impl Iterator<Item = (&'f Text<'a>, &'f &'a RawValue)>,
) -> Result<T, Error> {
    T::deserialize(MapDeserializer::new(fields.map(|(name, value)| (name.as_str(), *value))))
}
