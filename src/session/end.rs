//! How a session ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::event::session::{self, SessionEnded, Text, kind};
use crate::event::{Data, Draft, SenderId, StreamId, Timestamp};

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Well.
    #[default]
    Completed,
    /// In failure.
    Failed,
}

impl Verdict {
    /// Its name in the event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// How a session ends: the data of its `session_ended`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Well or not.
    pub status: Verdict,
    /// The exit code of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What there was of what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Why it was ended, where a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ended; `None`: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
}

impl End {
    /// It went well.
    pub fn completed() -> Self {
        Self::default()
    }

    /// It went wrong.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { status: Verdict::Failed, error: Some(error.into()), ..Self::default() }
    }

    /// The event; `closed` when a person ends what nobody will resume.
    pub(super) fn draft(&self, id: &StreamId, closed: bool) -> Result<Draft, Error> {
        let Self { status, exit_code, error, counts, reason, ts } = self;
        let counts = counts.iter().map(|(name, count)| (Text::from(name.as_str()), *count)).collect();
        let ended = SessionEnded {
            status: Some(status.name().into()),
            exit_code: *exit_code,
            error: error.as_deref().map(Text::from),
            counts: Some(counts).filter(|counts: &BTreeMap<_, _>| !counts.is_empty()),
            closed: closed.then_some(true),
            reason: reason.as_deref().map(Text::from),
        };
        let data = Data::from_value(&ended)?;
        let mut draft = session::draft(id, kind::SESSION_ENDED, data)?;
        // The type is also the sender's id, so that a session ends once.
        (draft.id, draft.ts) = (Some(SenderId::new(kind::SESSION_ENDED)?), *ts);
        Ok(draft)
    }
}
