//! How a payload is declared, and text that it borrows.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Text of a payload, borrowed from its JSON wherever nothing in it is escaped.
///
/// A `Cow` alone would be copied inside an `Option` or a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As text of its own.
    pub fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// That of a string, in place: a derived one would be a definition of its own, with the docs of this struct.
impl JsonSchema for Text<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// Declares the payload of a type: every field is optional, a field that is not there is not written, and the
/// field's doc comment is its description in the JSON Schema and in `watchpost catalog`.
macro_rules! payload {
    ($(#[doc = $about:literal])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
        payload!(@known $name, $name, [$($about)*]);
    };
    ($(#[doc = $about:literal])* $name:ident<'a> { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(bound(deserialize = "'de: 'a"))]
        pub struct $name<'a> {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
        payload!(@known $name<'_>, $name<'static>, [$($about)*]);
    };
    (@known $name:ty, $owned:ty, [$($about:literal)*]) => {
        impl crate::event::session::catalog::Known for $name {
            const ABOUT: &'static str = concat!($($about),*).trim_ascii();

            fn schema() -> schemars::Schema {
                schemars::schema_for!($owned)
            }

            fn known(data: &str) -> crate::event::session::Read<serde_json::Value> {
                crate::event::session::read::<$name>(data).to_value()
            }
        }
    };
}

pub(super) use payload;
