//! How loud an event is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The severity of an event; one that Watchpost does not know is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Severity {
    /// Of interest to a person who looks for a fault.
    Debug,
    /// The normal course of things.
    Info,
    /// May need a person.
    Warning,
    /// Needs a person.
    Error,
    /// A sender's own word; ranks with `info`.
    Other(Box<str>),
}

impl Severity {
    /// As text, the way it is written in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for Severity {
    fn from(word: String) -> Self {
        match word.as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warning" => Self::Warning,
            "error" => Self::Error,
            _ => Self::Other(word.into()),
        }
    }
}

impl From<Severity> for String {
    fn from(severity: Severity) -> Self {
        severity.as_str().into()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
