//! Attributes and their values.

use std::borrow::Cow;

use super::proto::{BYTES, EIGHT, VARINT, bytes, field_len, head, key, varint, varint_len};
use crate::otel::Value;

/// Fields of `KeyValue`.
const NAME: u8 = key(1, BYTES);
const VALUE: u8 = key(2, BYTES);

/// Fields of `AnyValue`.
const TEXT: u8 = key(1, BYTES);
const BOOL: u8 = key(2, VARINT);
const INT: u8 = key(3, VARINT);
const DOUBLE: u8 = key(4, EIGHT);
const LIST: u8 = key(5, BYTES);

/// Of `ArrayValue`.
const ELEMENT: u8 = key(1, BYTES);

/// A field that holds a `KeyValue`.
#[inline]
pub(super) fn attribute(field: u8, name: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    let len = value_len(value);
    head(field, field_len(name.len()) + field_len(len), out);
    bytes(NAME, name.as_bytes(), out);
    head(VALUE, len, out);
    any_value(value, out);
}

/// How long the field is that [`attribute`] writes.
pub(super) fn attribute_len(name: &str, value: &Value<'_>) -> usize {
    field_len(field_len(name.len()) + field_len(value_len(value)))
}

/// A field that holds an `AnyValue` with a text.
pub(super) fn text_value(field: u8, text: &str, out: &mut Vec<u8>) {
    head(field, field_len(text.len()), out);
    bytes(TEXT, text.as_bytes(), out);
}

fn any_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.extend_from_slice(&[BOOL, u8::from(*value)]),
        Value::Int(value) => {
            out.push(INT);
            varint(value.cast_unsigned(), out);
        }
        Value::Double(value) => {
            out.push(DOUBLE);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Text(text) => bytes(TEXT, text.as_bytes(), out),
        Value::Texts(texts) => {
            head(LIST, list_len(texts), out);
            texts.iter().for_each(|text| text_value(ELEMENT, text, out));
        }
    }
}

fn value_len(value: &Value<'_>) -> usize {
    match value {
        Value::Bool(_) => 2,
        Value::Int(value) => 1 + varint_len(value.cast_unsigned()),
        Value::Double(_) => 9,
        Value::Text(text) => field_len(text.len()),
        Value::Texts(texts) => field_len(list_len(texts)),
    }
}

fn list_len(texts: &[Cow<'_, str>]) -> usize {
    texts.iter().map(|text| field_len(field_len(text.len()))).sum()
}
