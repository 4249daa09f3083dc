//! Attributes of a span, put together.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::otel::{Attribute, Value};
use crate::state::session::{MAX_TEXT, cut};

/// The most texts of one list.
const MAX_LISTED: usize = 64;

/// Text as a span carries it: at most 1,024 bytes.
pub(super) fn short(text: &str) -> &str {
    cut(text, MAX_TEXT)
}

/// Attributes in the order in which they were told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Set(pub(super) Vec<Attribute<'static>>);

impl Set {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value<'static>>) -> Self {
        self.0.push((Cow::Borrowed(name), value.into()));
        self
    }

    pub(super) fn text(self, name: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.with(name, short(text).to_owned()),
            None => self,
        }
    }

    pub(super) fn texts<'a>(self, name: &'static str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<_> = texts.into_iter().take(MAX_LISTED).map(|text| short(text).to_owned().into()).collect();
        if texts.is_empty() { self } else { self.with(name, Value::Texts(texts)) }
    }

    /// What is told as it is, where it is told.
    pub(super) fn some<T: Into<Value<'static>>>(self, name: &'static str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// These, and others that are none of these.
    pub(super) fn and(mut self, others: Set) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Takes in others, each in the place of what it was before.
    pub(super) fn merge(&mut self, others: Set) {
        for (name, value) in others.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.0.push((name, value)),
            }
        }
    }
}
