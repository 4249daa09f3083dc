//! How a session ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::event::{Data, Draft, Invalid, Kind, SenderId, Severity, StreamId, Subject, Timestamp};

/// The type of the event; also its sender's id, so that a session ends once.
pub(super) const KIND: &str = "session_ended";

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
    pub counts: BTreeMap<String, i64>,
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
        #[derive(Serialize)]
        struct Ended<'a> {
            status: Verdict,
            #[serde(skip_serializing_if = "Option::is_none")]
            exit_code: Option<i64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            counts: &'a BTreeMap<String, i64>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            closed: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        let Self { status, exit_code, error, counts, reason, ts } = self;
        let (error, reason) = (error.as_deref(), reason.as_deref());
        let data =
            Data::from_value(&Ended { status: *status, exit_code: *exit_code, error, counts, closed, reason })?;
        let severity = if *status == Verdict::Failed { Severity::Error } else { Severity::Info };
        let mut draft = draft(id, KIND, severity, data)?;
        (draft.id, draft.ts) = (Some(SenderId::new(KIND)?), *ts);
        Ok(draft)
    }
}

/// A draft of an event of ours.
pub(super) fn draft(id: &StreamId, kind: &str, severity: Severity, data: Data) -> Result<Draft, Invalid> {
    let kind = Kind::new(kind)?;
    let subject = Subject::session(id, &kind)?;
    Ok(Draft::new(id.clone(), kind, subject, severity, data))
}
