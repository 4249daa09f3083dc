//! What a source tells of itself, on its own stream.

use serde::{Deserialize, Serialize};

/// The types of these events.
pub mod kind {
    /// The supervisor no longer answers.
    pub const SOURCE_DOWN: &str = "source_down";
    /// It answers again.
    pub const SOURCE_UP: &str = "source_up";
}

/// The payload of `source_down` and `source_up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceData {
    /// The source's name.
    pub source: String,
    /// Where it reads from.
    pub url: String,
    /// How many polls in a row had failed.
    pub failed_polls: u32,
    /// What the last one answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it was down, in milliseconds (`source_up`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_ms: Option<u64>,
}
