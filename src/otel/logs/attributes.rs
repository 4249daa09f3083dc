//! The attributes of an event's record.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::fields::{self, Row};
use crate::event::{Class, Event, Fields};
use crate::otel::names::{self, Form};
use crate::otel::{Attribute, Value, document, time};

/// How many attributes are looked through one by one; from there on an index is kept.
const FEW: usize = 64;

/// What every record has.
pub(in crate::otel) const ALWAYS: [&str; 9] = [
    names::EVENT_ID,
    names::EVENT_TYPE,
    names::EVENT_SEQ,
    names::EVENT_SUBJECT,
    names::STREAM_ID,
    names::STREAM_CLASS,
    names::DOCUMENT_ID,
    names::DATA_STREAM_DATASET,
    names::DATA_STREAM_NAMESPACE,
];

/// What a record has beside, whatever its payload, where it is known.
pub(in crate::otel) const WHERE_KNOWN: [&str; 10] = [
    names::SESSION_ID,
    names::SOURCE_NAME,
    names::HOST_NAME,
    names::USER_NAME,
    names::HUB_ID,
    names::ORIGIN_SERVICE,
    names::CORRELATION_ID,
    names::TRACE_PARENT_ID,
    names::EVENT_HOPS,
    names::EVENT_TIME,
];

/// All attributes of an event: what every event has, then its payload.
pub(super) fn of(event: &Event) -> Vec<Attribute<'_>> {
    whole(event).0
}

/// The names of those that its payload has.
pub(in crate::otel) fn payload_names(event: &Event) -> Vec<Cow<'static, str>> {
    let (attributes, common) = whole(event);
    attributes.into_iter().skip(common).map(|(name, _)| name).collect()
}

/// All attributes, and how many of them are not of the payload.
fn whole(event: &Event) -> (Vec<Attribute<'_>>, usize) {
    let mut found = Attributes { list: Vec::with_capacity(32), index: HashMap::new() };
    envelope(event, &mut found);
    let common = found.list.len();
    if let Ok(Fields(payload)) = serde_json::from_str(event.data.get()) {
        let rows = fields::of(event.session.class(), event.kind.as_str());
        found.object(&payload, "", rows);
    }
    found.list[common..].reverse();
    (found.list, common)
}

fn envelope<'a>(event: &'a Event, found: &mut Attributes<'a>) {
    let class = event.session.class();
    let mut put = |name: &'static str, value: Value<'a>| found.push(name.into(), value);
    let id = event.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned();
    put(names::EVENT_ID, id.clone().into());
    put(names::EVENT_TYPE, event.kind.as_str().into());
    put(names::EVENT_SEQ, event.seq.into());
    put(names::EVENT_SUBJECT, event.subject.as_str().into());
    put(names::STREAM_ID, event.session.as_str().into());
    put(names::STREAM_CLASS, class_name(class).into());
    put(names::DOCUMENT_ID, id.into());
    put(names::DATA_STREAM_DATASET, document::DATASET.into());
    put(names::DATA_STREAM_NAMESPACE, document::day(event.observed).into());
    if class == Class::Session {
        put(names::SESSION_ID, event.session.as_str().into());
    }
    let origin = &event.origin;
    for (name, value) in [
        (names::SOURCE_NAME, &origin.source),
        (names::HOST_NAME, &origin.host),
        (names::USER_NAME, &origin.user),
        (names::HUB_ID, &origin.hub_id),
        (names::ORIGIN_SERVICE, &origin.service),
    ] {
        if let Some(value) = value {
            put(name, (&**value).into());
        }
    }
    if let Some(id) = event.correlation_id {
        put(names::CORRELATION_ID, id.to_string().into());
    }
    if let Some(parent) = event.trace.as_ref().and_then(|trace| trace.parent_id.as_deref()) {
        put(names::TRACE_PARENT_ID, parent.into());
    }
    if event.hops > 0 {
        put(names::EVENT_HOPS, u64::from(event.hops).into());
    }
    if !time::can_be_told(event.ts) {
        put(names::EVENT_TIME, event.ts.to_string().into());
    }
}

/// A class of streams as an attribute has it.
pub(super) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Process => "process",
        Class::Source => "source",
        Class::Session => "session",
        Class::Hub => "hub",
        Class::Observer => "observer",
    }
}

struct Attributes<'a> {
    list: Vec<Attribute<'a>>,
    /// Where each stands, once they are many.
    index: HashMap<Cow<'static, str>, usize>,
}

impl<'a> Attributes<'a> {
    /// The fields of an object. They are taken from the last to the first, so that of a field that comes twice
    /// the last one has the name, as everywhere.
    fn object(&mut self, fields: &[(&'a RawValue, &'a RawValue)], prefix: &str, rows: &[Row]) {
        let mut aliases = Vec::new();
        for (name, value) in fields.iter().rev() {
            let name = decoded(name.get());
            let name = if prefix.is_empty() { name } else { [prefix, &name].concat().into() };
            match fields::is_alias(&name) {
                true => aliases.push((name, value.get())),
                false => self.field(&name, value.get(), rows),
            }
        }
        for (name, value) in aliases {
            self.field(&name, value, rows);
        }
    }

    /// One field: under its own name where the value has the type that this has, else as `watchpost.data.<field>`.
    fn field(&mut self, name: &str, raw: &'a str, rows: &[Row]) {
        if name == fields::STATE
            && rows.iter().any(|row| row.field.starts_with(fields::STATE_PREFIX))
            && let Ok(Fields(state)) = serde_json::from_str(raw)
            && !state.is_empty()
        {
            return self.object(&state, fields::STATE_PREFIX, rows);
        }
        let row = rows.iter().find(|row| row.field == name);
        if let Some((known, value)) = row.and_then(|row| Some((row.attribute, formed(raw, row)?))) {
            match self.place(known) {
                None => return self.push(known.into(), value),
                Some(place) if self.list[place].1 == value => return,
                Some(_) => {}
            }
        }
        if let Some(value) = free(name, raw) {
            let name = [names::DATA_PREFIX, name].concat();
            if self.place(&name).is_none() {
                self.push(name.into(), value);
            }
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        match self.list.len() {
            0..FEW => self.list.iter().position(|(known, _)| known == name),
            _ => self.index.get(name).copied(),
        }
    }

    fn push(&mut self, name: Cow<'static, str>, value: Value<'a>) {
        self.list.push((name, value));
        let (len, names) = (self.list.len(), |place: usize| self.list[place].0.clone());
        match len {
            0..FEW => {}
            FEW => self.index = (0..len).map(|place| (names(place), place)).collect(),
            _ => drop(self.index.insert(names(len - 1), len - 1)),
        }
    }
}

/// The text of a JSON string; one that is no Unicode text as it stands there.
fn decoded(raw: &str) -> Cow<'_, str> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    match inner.contains('\\') {
        false => inner.into(),
        true => serde_json::from_str::<String>(raw).map_or_else(|_| inner.into(), Cow::Owned),
    }
}

/// A value of a known type, if it has that type.
fn formed<'a>(raw: &'a str, row: &Row) -> Option<Value<'a>> {
    let value = scalar(raw)?;
    let first = raw.as_bytes().first();
    match (row.form, value) {
        (Form::Json, Value::Text(_)) if matches!(first, Some(b'{' | b'[')) => Some(raw.into()),
        (Form::Texts, Value::Text(_)) if first == Some(&b'[') => {
            let texts: Vec<String> = serde_json::from_str(raw).ok()?;
            Some(Value::Texts(texts.into_iter().map(Cow::Owned).collect()))
        }
        (Form::Text, Value::Text(text)) if first == Some(&b'"') => {
            Some(if row.listed { Value::Texts(vec![text]) } else { Value::Text(text) })
        }
        (Form::Int, value @ Value::Int(_)) | (Form::Bool, value @ Value::Bool(_)) => Some(value),
        (Form::Double, value @ Value::Double(_)) => Some(value),
        (Form::Double, Value::Int(whole)) if (whole as f64) as i64 == whole => Some(Value::Double(whole as f64)),
        _ => None,
    }
}

/// A value whose type nobody knows: a scalar as it is, all else as JSON; nothing for `null`.
fn free<'a>(name: &str, raw: &'a str) -> Option<Value<'a>> {
    match scalar(raw)? {
        // The Collector's exporter would join two of these to one attribute, and the direct sink would not.
        Value::Double(_) if name.ends_with("geo.location.lat") || name.ends_with("geo.location.lon") => {
            Some(raw.into())
        }
        value => Some(value),
    }
}

/// A JSON value; what OTLP's types cannot hold as the text that stands there.
fn scalar(raw: &str) -> Option<Value<'_>> {
    Some(match raw.as_bytes().first()? {
        b'n' => return None,
        b't' => true.into(),
        b'f' => false.into(),
        b'"' => decoded(raw).into(),
        b'{' | b'[' => raw.into(),
        _ if raw.contains(['.', 'e', 'E']) => match raw.parse() {
            Ok(number) if f64::is_finite(number) => number.into(),
            _ => raw.into(),
        },
        _ => raw.parse::<i64>().map_or_else(|_| raw.into(), Value::from),
    })
}
