//! What the sink keeps beside the cursor, and what it tells about the stream it finds again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::event::{Offset, Timestamp};

/// The sink's mark: which stream it wrote to, and how far that is confirmed.
///
/// Every message of ours up to `sequence` stands for an event below the cursor's offset; so a read from there
/// to the stream's end finds all that arrived and was not confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Stands in the header of each of our messages; made once for a cursor.
    pub(super) writer: Uuid,
    /// When the stream was made, in nanoseconds since the epoch, by the server's clock.
    pub(super) created: i64,
    /// The last confirmed sequence; 0 before the first.
    pub(super) sequence: u64,
    /// The `Nats-Msg-Id` of the message that has that sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// A hole that is being filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) heal: Option<Heal>,
}

/// A hole in the stream that the store fills.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Heal {
    /// Where the cursor stood when the loss was noticed: the end of the hole.
    pub(super) until: Offset,
    /// What was committed before this would have expired in the stream, and is not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<Timestamp>,
    /// How many events were sent again so far.
    pub(super) sent: u64,
}

impl Mark {
    /// The mark of a cursor; `None` at the very first, and for one that is not ours to read.
    pub(super) fn read(value: &Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }

    /// As it is saved.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Takes up a confirmed message, which may not be the newest.
    pub(super) fn confirm(&mut self, sequence: u64, id: String) {
        if sequence > self.sequence {
            self.sequence = sequence;
            self.id = Some(id);
        }
    }
}

/// The stream as it is found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// When it was made.
    pub(super) created: i64,
    /// The last sequence that it gave out.
    pub(super) last: u64,
    /// The `Nats-Msg-Id` of the message at the mark's sequence: `None` when there is no such message any
    /// more, `Some(None)` when it has no id.
    pub(super) id: Option<Option<String>>,
}

/// Why what was confirmed is not there any more; `None` when it is, or has expired.
pub(super) fn loss(mark: &Mark, found: &Found) -> Option<String> {
    if found.created != mark.created {
        return Some("it was made anew".into());
    }
    if found.last < mark.sequence {
        return Some(format!("it ends at {}, and {} had been confirmed", found.last, mark.sequence));
    }
    match &found.id {
        // A single message may also have been deleted by hand, or by a limit on its subject.
        Some(id) if mark.sequence > 0 && *id != mark.id => {
            Some(format!("its message {} is another than the one confirmed", mark.sequence))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark { writer: Uuid::from_u128(7), created: 100, sequence: 50, id: Some("a".into()), heal: None }
    }

    fn found() -> Found {
        Found { created: 100, last: 60, id: Some(Some("a".into())) }
    }

    #[test]
    fn a_stream_that_lost_what_it_had_confirmed_is_noticed() {
        let check = |found: Found, lost: bool| assert_eq!(loss(&mark(), &found).is_some(), lost, "{found:?}");
        check(found(), false);
        check(Found { last: 50, ..found() }, false);
        check(Found { id: None, ..found() }, false);
        check(Found { created: 101, ..found() }, true);
        check(Found { last: 49, id: None, ..found() }, true);
        check(Found { id: Some(Some("b".into())), ..found() }, true);
        check(Found { id: Some(None), ..found() }, true);
    }

    #[test]
    fn is_saved_and_read_again_and_anything_else_is_a_first_time() {
        let heal = Heal { until: 9, not_before: Some(Timestamp::from_millis(5)), sent: 2 };
        let mark = Mark { heal: Some(heal), ..mark() };
        assert_eq!(Mark::read(&mark.write()), Some(mark));
        assert_eq!(Mark::read(&Value::Null), None);
        assert_eq!(Mark::read(&serde_json::json!({"other": 1})), None);
    }

    #[test]
    fn only_a_newer_message_moves_it() {
        let mut mark = mark();
        mark.confirm(49, "older".into());
        assert_eq!((mark.sequence, mark.id.as_deref()), (50, Some("a")));
        mark.confirm(51, "newer".into());
        assert_eq!((mark.sequence, mark.id.as_deref()), (51, Some("newer")));
    }
}
