//! Snapshots of large sessions, so that who opens one need not wait for a replay of it all.

use std::collections::BTreeSet;

use super::replay;
use crate::event::StreamId;
use crate::store::{self, Store};

/// A session of so many events is large.
const LARGE: u64 = 20_000;

/// A snapshot is made behind so many more events at the latest: while they are read, sled has their pages in memory.
const MOST: u64 = 200_000;

/// The sessions that were found to be large and have not ended since.
#[derive(Debug, Default)]
pub(super) struct Large {
    ids: BTreeSet<StreamId>,
}

impl Large {
    /// Saves the snapshots that are due, among the large sessions and those that are written to. It blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn turn(&mut self, store: &Store, written: Vec<StreamId>) -> Result<(), store::Error> {
        let ids: BTreeSet<StreamId> = std::mem::take(&mut self.ids).into_iter().chain(written).collect();
        for id in ids {
            let Some(session) = store.session(&id)?.filter(|session| session.events >= LARGE) else { continue };
            let saved = replay::saved_seq(store, &id)?;
            if is_due(saved, session.events, session.end.is_some()) {
                replay::refresh(store, &id)?;
            }
            if session.end.is_none() {
                self.ids.insert(id);
            }
        }
        Ok(())
    }
}

/// Of a session that goes on whenever it is half as long again as its snapshot, or much longer; and once it has ended.
fn is_due(saved: u64, events: u64, ended: bool) -> bool {
    let more = events.saturating_sub(saved);
    if ended { more > 0 } else { more > (saved / 2).min(MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Draft, Kind, Severity, Subject};
    use crate::store::Submission;

    #[test]
    fn a_snapshot_is_due_after_half_as_much_again_or_much() {
        for (saved, events, ended, due) in [
            (0, LARGE, false, true),
            (LARGE, LARGE + LARGE / 2, false, false),
            (LARGE, LARGE + LARGE / 2 + 1, false, true),
            (10 * MOST, 11 * MOST, false, false),
            (10 * MOST, 11 * MOST + 1, false, true),
            (LARGE, LARGE + 1, true, true),
            (LARGE, LARGE, true, false),
        ] {
            assert_eq!(is_due(saved, events, ended), due, "{saved} of {events}");
        }
    }

    #[test]
    fn a_large_session_has_a_snapshot_while_it_runs_and_after_its_end() {
        let store = Store::memory();
        let (mut writer, flusher) = store.writer().expect("the writer");
        let id = StreamId::new("s").expect("an id");
        let mut write = |kind: &str, data: &str, count: u64| {
            let kind = Kind::new(kind).expect("a type");
            let subject = Subject::session(&id, &kind).expect("a subject");
            let data = Data::parse(data.into()).expect("an object");
            let draft = Draft::new(id.clone(), kind, subject, Severity::Info, data);
            for first in (0..count).step_by(500) {
                let drafts = vec![draft.clone(); (count - first).min(500) as usize];
                writer.apply(&[Submission::events(drafts)]).expect("room").remove(0).expect("taken");
            }
            flusher.flush(writer.next_offset()).expect("durable");
        };
        let mut large = Large::default();
        let mut saved = |written: bool| {
            large.turn(&store, written.then(|| id.clone()).into_iter().collect()).expect("a good store");
            (replay::saved_seq(&store, &id).expect("no error"), large.ids.len())
        };
        write("session_started", "{}", 1);
        assert_eq!(saved(true), (0, 0));
        write("file_changed", "{}", LARGE);
        assert_eq!(saved(true), (LARGE + 1, 1));
        write("file_changed", "{}", LARGE / 4);
        assert_eq!(saved(true), (LARGE + 1, 1), "not yet half as much again");
        write("file_changed", "{}", LARGE * 3 / 4);
        assert_eq!(saved(true), (2 * LARGE + 1, 1));
        write("file_changed", "{}", 10);
        write("session_ended", r#"{"status":"completed"}"#, 1);
        // Nobody writes to it any more.
        assert_eq!(saved(false), (2 * LARGE + 12, 0));
    }
}
