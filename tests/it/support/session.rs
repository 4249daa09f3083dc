//! Sessions of the standard workload in a store.

use watchpost::demo::{Step, Workload};
use watchpost::event::{Data, Draft, Kind, Severity, StreamId, Subject, Timestamp};
use watchpost::state::session::{Fact, Session};
use watchpost::store::{Flusher, Store, Submission, Writer};

/// When the session begins.
const START: i64 = 1_760_608_411_000;

/// A session that a workload is written to, an event at a time or many.
pub(crate) struct Written {
    pub(crate) store: Store,
    pub(crate) id: StreamId,
    /// The state after what was written so far, folded from the steps themselves.
    pub(crate) live: Session,
    steps: Box<dyn Iterator<Item = Step>>,
    writer: Writer,
    flusher: Flusher,
}

impl Written {
    pub(crate) fn new(store: Store, id: &str, workload: &Workload) -> Self {
        let (writer, flusher) = store.writer().expect("the writer");
        let id = StreamId::new(id).expect("an id");
        Self { store, id, live: Session::default(), steps: Box::new(workload.steps()), writer, flusher }
    }

    /// Commits the next events, up to so many; answers how many there were.
    pub(crate) fn write(&mut self, count: usize) -> usize {
        let drafts: Vec<Draft> = self.steps.by_ref().take(count).map(|step| draft(&self.id, &step)).collect();
        for drafts in drafts.chunks(500) {
            let submission = Submission::events(drafts.to_vec());
            self.writer.apply(&[submission]).expect("room").remove(0).expect("taken");
        }
        self.flusher.flush(self.writer.next_offset()).expect("durable");
        for draft in &drafts {
            let ts = draft.ts.expect("a time");
            let seq = self.live.seq() + 1;
            self.live.take(&Fact { seq, ts, kind: draft.kind.as_str(), data: draft.data.get() });
        }
        drafts.len()
    }

    /// Closes the store.
    pub(crate) fn close(self) -> (StreamId, Session) {
        (self.id, self.live)
    }
}

/// A step of a workload as an event of a session.
pub(crate) fn draft(id: &StreamId, step: &Step) -> Draft {
    let kind = Kind::new(step.kind).expect("a type");
    let subject = Subject::session(id, &kind).expect("a subject");
    let data = Data::parse(step.data.clone()).expect("an object");
    let ts = Timestamp::from_millis(START + step.at_ms as i64);
    Draft { ts: Some(ts), ..Draft::new(id.clone(), kind, subject, Severity::Info, data) }
}
