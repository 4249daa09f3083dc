//! The fields that a query can name, and what kind each is. Pure.

use crate::event::Invalid;
use crate::otel::names::{self, Form, Kind};

/// A field that can be searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Its path in the document.
    pub(super) path: String,
    /// How it is compared.
    pub(super) sort: Sort,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As a whole, letter by letter.
    Keyword,
    /// By its words, whatever their case.
    Text,
    /// As a number.
    Number,
    /// True or false.
    Bool,
    /// As a time.
    Time,
}

impl Field {
    /// The field of that name; an attribute's `attributes.` may be left out.
    pub(super) fn named(name: &str) -> Result<Self, Invalid> {
        let sort = match name {
            "@timestamp" | "observed_timestamp" => Sort::Time,
            "severity_number" => Sort::Number,
            "severity_text" | "event_name" => Sort::Keyword,
            "body.text" => Sort::Text,
            _ => return Self::attribute(name.strip_prefix("attributes.").unwrap_or(name)),
        };
        Ok(Self { path: name.into(), sort })
    }

    fn attribute(name: &str) -> Result<Self, Invalid> {
        let path = || format!("attributes.{name}");
        if name.starts_with(names::DATA_FIELD.trim_end_matches("<field>")) {
            return Ok(Self { path: path(), sort: Sort::Keyword });
        }
        let known = names::all().find(|known| known.name == name);
        let Some(Kind::Attribute(form)) = known.map(|known| known.kind) else { return Err(unknown(name)) };
        let sort = match form {
            Form::Int | Form::Double => Sort::Number,
            Form::Bool => Sort::Bool,
            Form::Text | Form::Texts | Form::Json => Sort::Keyword,
        };
        Ok(Self { path: path(), sort })
    }
}

fn unknown(name: &str) -> Invalid {
    let only_there = ["trace_id", "span_id"].contains(&name) || name.starts_with("resource.");
    let expected = match only_there {
        true => "a field of the event itself: what spans and services it belongs to is known in Elasticsearch",
        false => {
            "@timestamp, observed_timestamp, severity_text, severity_number, event_name, body.text, or an \
                  attribute of TELEMETRY.md"
        }
    };
    Invalid::new("field", name, expected)
}
