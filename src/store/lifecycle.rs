//! Sessions as a whole: what each event of one does to it, what is known of it, and the list of all.
//!
//! ```text
//! obs_sessions  session → start, end, status, trace, the data of `session_started`
//! obs_index     l start session → status and command: the list, in the order of the starts
//! ```
//! The rules are the writer's, so that they hold whoever sends: `session_started` is seq 1 and comes only
//! there, nothing follows `session_ended`, and an interrupted session is resumed by a `session_resumed` before
//! its next event. A session that `ingest_failed` has failed may be written to on: how it ends decides.

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Op, Tree};
use super::head::Head;
use super::{Error, Status, parts};
use crate::event::session::{self, SessionEnded, SessionResumed, SessionStarted, kind, read};
use crate::event::{Data, Draft, Event, Invalid, StreamId, Timestamp, Trace};

/// The most characters of a command that the list keeps.
const MAX_COMMAND: usize = 200;

/// What is known of a session as a whole; of another stream, its start alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) start: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Timestamp>,
    pub(super) status: Status,
    /// How many stretches between a start, or a resume, and an end, or an interruption.
    #[serde(default)]
    pub(super) segments: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) interrupted: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<Trace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Data>,
    /// The seq of the event that gave it its status, and the status that it had before.
    #[serde(default)]
    pub(super) turned: u64,
    #[serde(default)]
    pub(super) before: Status,
    /// Whether it is being pruned, in several steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) going: bool,
}

/// What an event does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// It is resumed first.
    Resumed,
    /// It gets that status by this event.
    To(Status),
}

/// Why an event may not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    Invalid(Invalid),
    NotStarted,
    Ended,
}

/// What an event does to the session whose head this is.
pub(super) fn turn(head: &Head, draft: &Draft) -> Result<Turn, Wrong> {
    let invalid = |expected: &str| Err(Wrong::Invalid(Invalid::new("type", draft.kind.as_str(), expected)));
    match (draft.kind.as_str(), head.status) {
        (kind::SESSION_STARTED, _) if head.next_seq == 1 => Ok(Turn::To(Status::Active)),
        (_, _) if head.next_seq == 1 => Err(Wrong::NotStarted),
        (_, Status::Completed | Status::Failed) => Err(Wrong::Ended),
        (kind::SESSION_STARTED, _) => invalid("another type: session_started stands only at the beginning"),
        (kind::SESSION_RESUMED, _) => invalid("another type: session_resumed is written by the store itself"),
        (kind::SESSION_INTERRUPTED, Status::Active) => Ok(Turn::To(Status::Interrupted)),
        (kind::SESSION_INTERRUPTED | kind::INGEST_FAILED, _) if head.status == Status::Interrupted => {
            invalid("another type: the session is interrupted")
        }
        (kind::SESSION_ENDED, status) => {
            let ended = read::<SessionEnded<'_>>(draft.data.get()).value;
            match (ended.status.as_deref(), ended.closed) {
                (Some("completed" | "failed"), closed) if status == Status::Interrupted && closed != Some(true) => {
                    Ok(Turn::Resumed)
                }
                (Some("completed"), _) => Ok(Turn::To(Status::Completed)),
                (Some("failed"), _) => Ok(Turn::To(Status::Failed)),
                (other, _) => Err(Wrong::Invalid(Invalid::new(
                    "data.status",
                    other.unwrap_or_default(),
                    "completed or failed",
                ))),
            }
        }
        (_, Status::Interrupted) => Ok(Turn::Resumed),
        _ => Ok(Turn::None),
    }
}

impl Record {
    /// Of a stream that begins then.
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            end: None,
            status: Status::Active,
            segments: 0,
            interrupted: None,
            trace: None,
            metadata: None,
            turned: 0,
            before: Status::Active,
            going: false,
        }
    }

    /// Takes what an event of a session tells of it as a whole.
    pub(super) fn apply(&mut self, event: &Event) {
        (self.turned, self.before) = (event.seq, self.status);
        match event.kind.as_str() {
            kind::SESSION_STARTED => {
                *self = Self { turned: event.seq, segments: 1, ..Self::new(event.ts) };
                (self.trace, self.metadata) = (event.trace.clone(), Some(event.data.clone()));
            }
            kind::SESSION_RESUMED => {
                (self.status, self.interrupted) = (Status::Active, None);
                self.segments += 1;
            }
            kind::SESSION_INTERRUPTED => {
                (self.status, self.interrupted) = (Status::Interrupted, Some(event.ts));
            }
            kind::INGEST_FAILED => self.status = Status::Failed,
            kind::SESSION_ENDED => {
                let failed = read::<SessionEnded<'_>>(event.data.get()).value.status.as_deref() == Some("failed");
                self.status = if failed { Status::Failed } else { Status::Completed };
                (self.end, self.interrupted) = (Some(event.ts), None);
            }
            _ => {}
        }
    }

    pub(super) fn load(engine: &dyn Engine, id: &StreamId) -> Result<Option<Self>, Error> {
        let key = id.as_str().as_bytes();
        let Some(stored) = engine.get(Tree::Sessions, key)? else { return Ok(None) };
        unpack(&parts::join(engine, Tree::Sessions, key, stored)?).map(Some)
    }

    /// Adds what stores it, and its place in the list where it is a session's.
    pub(super) fn save(&self, engine: &dyn Engine, id: &StreamId, ops: &mut Vec<Op>) -> Result<(), Error> {
        let key = id.as_str().as_bytes();
        let old = engine.get(Tree::Sessions, key)?.unwrap_or_default();
        let value = serde_json::to_vec(self).map_err(|e| Error::Corrupt(e.to_string()))?;
        let kept = parts::put(Tree::Sessions, key, &value, ops);
        parts::remove(Tree::Sessions, key, kept, &old, ops);
        ops.extend(self.listed(id)?);
        Ok(())
    }

    /// Its place in the list.
    pub(super) fn listed(&self, id: &StreamId) -> Result<Option<Op>, Error> {
        if self.segments == 0 {
            return Ok(None);
        }
        let command: String = self.command().chars().take(MAX_COMMAND).collect();
        let entry = Entry { status: self.status, ended: self.end, going: self.going, command };
        let entry = postcard::to_allocvec(&entry).map_err(|e| Error::Corrupt(e.to_string()))?;
        Ok(Some(Op::put(Tree::Index, list_key(self.start, id), entry)))
    }

    /// What was run, in short.
    pub(super) fn command(&self) -> String {
        self.metadata.as_ref().map(command).unwrap_or_default()
    }
}

/// What was run, in short, by the data of a `session_started`.
pub(super) fn command(metadata: &Data) -> String {
    let started = read::<SessionStarted<'_>>(metadata.get()).value;
    let first = [started.command_summary, started.name, started.command].into_iter().flatten().next();
    first.map(|text| text.to_string()).unwrap_or_default()
}

pub(super) fn unpack(value: &[u8]) -> Result<Record, Error> {
    serde_json::from_slice(value).map_err(|e| Error::Corrupt(format!("what is known of a session: {e}")))
}

/// What the list says of a session, so that most can be passed over without reading more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) status: Status,
    pub(super) ended: Option<Timestamp>,
    pub(super) going: bool,
    pub(super) command: String,
}

/// The place of a session in the list: the starts in order, then the ids.
pub(super) fn list_key(start: Timestamp, id: &StreamId) -> Vec<u8> {
    [&list_start(start)[..], id.as_str().as_bytes()].concat()
}

/// What the places of all sessions begin with that started then.
pub(super) fn list_start(start: Timestamp) -> [u8; 9] {
    let mut key = [b'l'; 9];
    // With the sign turned over, so that what is before 1970 comes first.
    key[1..].copy_from_slice(&(start.as_millis().cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key
}

/// The start and the session that a key of the list stands for.
pub(super) fn of_list_key(key: &[u8]) -> Result<(Timestamp, StreamId), Error> {
    let parse = || {
        let (start, id) = key.strip_prefix(b"l")?.split_first_chunk::<8>()?;
        let start = Timestamp::from_millis((u64::from_be_bytes(*start) ^ (1 << 63)).cast_signed());
        Some((start, StreamId::new(std::str::from_utf8(id).ok()?).ok()?))
    };
    parse().ok_or_else(|| Error::Corrupt("a key of the list of sessions".into()))
}

/// The event that goes before the next one of an interrupted session.
pub(super) fn resumed(record: &Record, head: &Head, id: &StreamId, now: Timestamp) -> Result<Draft, Error> {
    let since = record.interrupted.unwrap_or(now);
    let away_ms = u64::try_from(now.as_millis() - since.as_millis()).unwrap_or_default();
    let resumed = SessionResumed {
        segment: Some(record.segments + 1),
        interrupted_seq: Some(head.next_seq - 1),
        away_ms: Some(away_ms),
    };
    let mut draft = session::draft(id, kind::SESSION_RESUMED, Data::from_value(&resumed)?)?;
    draft.trace = record.trace.as_ref().map(|trace| Trace {
        trace_id: trace.trace_id.clone(),
        span_id: None,
        parent_id: None,
    });
    Ok(draft)
}
