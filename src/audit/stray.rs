//! What a backend has and the log does not: whether the log has let go of it, or never had it.

use std::collections::HashMap;

use super::{Brief, Difference, Error};
use crate::client::Reader;
use crate::event::{Class, StreamId};

/// The most streams whose beginning is remembered.
const MAX_STREAMS: usize = 10_000;

/// Judges them.
pub(super) struct Strays<'a> {
    reader: &'a Reader,
    /// Of each stream that was asked for, the seq before which the log had let go of everything; what it has let
    /// go of since is asked for again.
    first: HashMap<StreamId, u64>,
}

impl<'a> Strays<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, first: HashMap::new() }
    }

    /// What is wrong with it; nothing where the log has let go of it.
    pub(super) async fn judge(&mut self, event: &Brief) -> Result<Option<Difference>, Error> {
        if let Ok(id) = event.id.parse()
            && self.reader.event(id).await?.is_some()
        {
            // It was committed, or it happened, at another time than it says there.
            return Ok(Some(Difference::Different));
        }
        let Ok(stream) = StreamId::new(&event.session) else { return Ok(Some(Difference::Extra)) };
        // The log may be trimmed while it is compared.
        let known = self.first.get(&stream).is_some_and(|first| event.seq < *first);
        let let_go = known || event.seq < self.first(stream).await?;
        Ok((!let_go).then_some(Difference::Extra))
    }

    async fn first(&mut self, stream: StreamId) -> Result<u64, Error> {
        let first = match self.reader.stream(&stream).await? {
            Some(known) => known.first_seq,
            // A pruned session leaves nothing behind; the other streams never end.
            None if stream.class() == Class::Session => u64::MAX,
            None => 0,
        };
        if self.first.len() >= MAX_STREAMS {
            self.first.clear();
        }
        self.first.insert(stream, first);
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Draft, Kind, Severity, Subject, Timestamp};
    use crate::store::{Store, Submission};

    fn draft() -> Draft {
        let (stream, kind) = (StreamId::new("proc-main-1").expect("an id"), Kind::new("started").expect("a type"));
        let subject = Subject::process("core.process", "default", "web", &kind).expect("a subject");
        Draft::new(stream, kind, subject, Severity::Info, Data::parse("{}".into()).expect("an object"))
    }

    #[tokio::test]
    async fn what_is_trimmed_while_the_audit_runs_is_not_extra() {
        let store = Store::memory();
        let (mut writer, flusher) = store.writer().expect("the writer");
        for _ in 0..2 {
            writer.apply(&[Submission::events(vec![draft()])]).expect("room").remove(0).expect("taken");
        }
        flusher.flush(writer.next_offset()).expect("durable");
        store.maintainer().pass(true).expect("a pass");
        let reader = Reader::Store { store: store.clone(), prefixes: Vec::new() };
        let mut strays = Strays::new(&reader);
        let event = |seq| Brief { session: "proc-main-1".into(), seq, ..Brief::default() };
        assert_eq!(strays.judge(&event(2)).await.expect("readable"), Some(Difference::Extra));
        while writer.trim(Timestamp::now().plus_millis(31 * 24 * 3600 * 1000)).expect("a step") > 0 {}
        assert_eq!(strays.judge(&event(2)).await.expect("readable"), None);
        assert_eq!(strays.judge(&event(3)).await.expect("readable"), Some(Difference::Extra));
    }
}
