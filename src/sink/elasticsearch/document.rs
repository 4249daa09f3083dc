//! A document on its way.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::Logged;
use crate::otel::document::{data_stream, document};
use crate::otel::{Tracker, logs};
use crate::sink::{Again, MAX_SENT};

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there, now or from before.
    There,
    /// It will never be, for this reason.
    Refused(String),
}

/// A document, with the line that says where it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// Both lines of a bulk request.
    pub(super) lines: Vec<u8>,
    /// Where in there the document itself begins; a line's end follows it.
    begin: usize,
    /// What became of it, once that is known.
    pub(super) fate: Option<Fate>,
}

/// The line before a document.
#[derive(Serialize, Deserialize)]
struct Action {
    create: Place,
}

#[derive(Serialize, Deserialize)]
struct Place {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
}

/// What a dead letter keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    stream: String,
    id: String,
    document: Box<RawValue>,
}

impl Document {
    /// That of an event, which is folded on the way.
    pub(super) fn of(logged: &Logged, tracker: &mut Tracker) -> Self {
        let told = tracker.apply(&logged.event);
        let json = document(&logs::record(logged, &told.context));
        Self::new(data_stream(&logged.event), logged.event.id.to_string(), &json)
    }

    /// That of a letter: as it was sent, else as its event tells by itself.
    pub(super) fn again(again: &Again) -> Self {
        let kept = again.sent.as_deref().and_then(|sent| serde_json::from_str(sent).ok());
        match kept {
            Some(Kept { stream, id, document }) => Self::new(stream, id, document.get().as_bytes()),
            None => Self::of(&again.logged, &mut Tracker::default()),
        }
    }

    fn new(index: String, id: String, json: &[u8]) -> Self {
        let action = Action { create: Place { index, id } };
        // Two texts cannot fail to be JSON.
        let mut lines = serde_json::to_vec(&action).unwrap_or_default();
        lines.push(b'\n');
        let begin = lines.len();
        lines.extend_from_slice(json);
        lines.push(b'\n');
        Self { lines, begin, fate: None }
    }

    /// What a letter keeps of it; nothing where that is too long.
    pub(super) fn keep(&self) -> Option<String> {
        let (action, document) = self.lines.split_at(self.begin);
        let Action { create: Place { index: stream, id } } = serde_json::from_slice(action).ok()?;
        let document = serde_json::from_slice(document).ok()?;
        let kept = serde_json::to_string(&Kept { stream, id, document }).ok()?;
        (kept.len() <= MAX_SENT).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Timestamp, testing};

    fn logged() -> Logged {
        let time = Timestamp::from_millis(1_760_608_411_000);
        let subject = testing::subject("core.process.default.web.started");
        let event = testing::event("proc-main-1", "started");
        let event = Event { id: uuid::Uuid::from_u128(7), ts: time, observed: time, subject, ..event };
        Logged { offset: 0, event: event.into() }
    }

    #[test]
    fn a_letter_gives_back_what_was_sent() {
        let document = Document::of(&logged(), &mut Tracker::default());
        let sent = document.keep().expect("a short one");
        assert!(sent.starts_with(r#"{"stream":"logs-watchpost.otel-20251016","id":"00000000-0000-0000"#), "{sent}");
        let changed = Event { seq: 9, ..Event::clone(&logged().event) };
        let changed = Logged { offset: 1, event: changed.into() };
        let again = Document::again(&Again { logged: changed.clone(), sent: Some(sent) });
        assert_eq!(again, document, "whatever the event would be now");
        assert_ne!(Document::again(&Again { logged: changed, sent: None }), document);
    }
}
