//! A store and its model, to which the same things happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use watchpost::event::{Class, Draft, Offset, Timestamp};
use watchpost::store::{
    Disk, Error, Failing, Flusher, Health, Limit, LogReader, Maintainer, Store, Submission, Tree, Write, Writer,
};

use super::expected;
use super::reads;
use super::state::{self, Change, Entry, Record, State};
use super::step::{SINKS, Sending, Sent, Step};

/// So long after an event everything about it is old.
const OLD_MILLIS: i64 = 60 * 24 * 3600 * 1000;

/// A process that has the store open.
struct Open {
    store: Store,
    writer: Writer,
    flusher: Flusher,
    maintainer: Maintainer,
    /// One for each sink, and one that reads anywhere.
    readers: Vec<LogReader>,
}

impl Open {
    fn on(disk: &Disk) -> Self {
        let store = Store::on(disk).expect("the store opens");
        let (writer, flusher) = store.writer().expect("the writer reads where it was");
        let readers = (0..=SINKS).map(|_| store.log_reader()).collect();
        Self { maintainer: store.maintainer(), readers, store, writer, flusher }
    }
}

pub(super) struct World {
    disk: Disk,
    open: Option<Open>,
    /// What the disk has for sure.
    durable: State,
    /// What was applied since the last flush.
    pending: Vec<Change>,
    /// Both together: what the writer sees.
    live: State,
    /// The end of what readers see.
    end: Offset,
    /// How far each sink has ever come.
    received: [Offset; SINKS as usize],
    /// Makes contents differ.
    sent: usize,
}

impl World {
    pub(super) fn new() -> Self {
        let disk = Disk::default();
        let mut world = Self {
            open: Some(Open::on(&disk)),
            disk,
            durable: State::default(),
            pending: Vec::new(),
            live: State::default(),
            end: 0,
            received: [0; SINKS as usize],
            sent: 0,
        };
        // What a session may have comes after its start.
        world.commit(&[Submission::events(state::starts())]);
        world.flush();
        world
    }

    fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("the store is open between steps")
    }

    fn store(&self) -> &Store {
        &self.open.as_ref().expect("the store is open between steps").store
    }

    fn reader(&self, reader: u8) -> &LogReader {
        &self.open.as_ref().expect("the store is open between steps").readers[usize::from(reader)]
    }

    /// Does a step to the store and to the model, and compares what both say.
    pub(super) fn take(&mut self, step: &Step) {
        match step {
            Step::Apply(sendings) => self.apply(sendings),
            Step::Flush => self.flush(),
            Step::ApplyFails(events, loss) => self.apply_fails(events, *loss),
            Step::FlushFails(loss) => self.flush_fails(*loss),
            Step::NoRoom(events) => self.no_room(events),
            Step::Crash(kept) => self.restart(Some(*kept)),
            Step::Reopen => self.restart(None),
            Step::Read { from, events, bytes } => {
                let limit = Limit { events: *events, bytes: *bytes };
                reads::pages(self.store(), self.reader(SINKS), &self.live, self.end, *from, limit);
            }
            Step::Query { .. } => reads::query(self.store(), &self.live, self.end, step),
            Step::Deliver { sink, events } => self.deliver(*sink, *events),
            Step::Index { partial } => self.index(*partial),
            Step::Trim(old) => self.trim(*old),
        }
        assert_eq!(self.disk.unflushed(), self.pending.len(), "batches that were applied and not flushed");
        assert_eq!(*self.store().durable().borrow(), self.end, "the durable end");
    }

    /// What must hold at the end of every history.
    pub(super) fn end(&mut self) {
        self.flush();
        reads::everything(self.store(), &self.live);
        self.restart(None);
        reads::everything(self.store(), &self.live);
    }

    fn changed(&mut self, change: Change) {
        self.live.take(&change);
        self.pending.push(change);
    }

    fn draft(&mut self, sent: &Sent) -> Draft {
        self.sent += 1;
        let mut draft = state::draft(sent, self.sent);
        let Some((id, (_, same))) = draft.id.clone().zip(sent.id) else { return draft };
        match self.live.sent(&draft.session, &id) {
            Some(entry) if same => draft = entry.draft.clone(),
            _ => {}
        }
        draft
    }

    fn submission(&mut self, sending: &Sending) -> Submission {
        let drafts = sending.events.iter().map(|sent| self.draft(sent)).collect();
        let sent = self.sent;
        let value = |size: usize| format!("{sent} {}", "r".repeat(size)).into_bytes();
        let record = sending.record.map(|(record, size)| Write {
            tree: Tree::Snapshots,
            key: format!("record-{record}"),
            value: size.map(value),
        });
        let bad = sending.bad_record.then(|| Write::put(Tree::Snapshots, "", "a key is never empty"));
        Submission { writes: record.into_iter().chain(bad).collect(), ..Submission::events(drafts) }
    }

    fn apply(&mut self, sendings: &[Sending]) {
        let mut submissions: Vec<Submission> = Vec::new();
        for sending in sendings {
            submissions.push(self.submission(sending));
        }
        self.commit(&submissions);
    }

    fn commit(&mut self, submissions: &[Submission]) {
        let (expectations, new) = self.live.expect(submissions);
        let outcomes = self.open().writer.apply(submissions).expect("a healthy disk takes a batch");
        let mut placed: Vec<Option<(Offset, Uuid)>> = vec![None; new.len()];
        for (outcome, expected) in outcomes.iter().zip(&expectations) {
            expected::place(outcome, expected, &mut placed);
        }
        let mut entries: Vec<Arc<Entry>> = new
            .into_iter()
            .zip(&placed)
            .map(|((draft, seq), placed)| {
                let (offset, id) = placed.expect("every new event has its answer");
                assert!(draft.id.as_ref().is_none_or(|sent| sent.event_id(&draft.session) == id), "the event's id");
                Arc::new(Entry { draft, id, seq, offset })
            })
            .collect();
        for (outcome, expected) in outcomes.iter().zip(&expectations) {
            expected::compare(outcome, expected, &entries);
        }
        entries.sort_by_key(|entry| entry.offset);
        let next = self.live.log.len() as Offset;
        let gapless = entries.iter().zip(next..).all(|(entry, offset)| entry.offset == offset);
        assert!(gapless, "the offsets of a batch follow those before");
        let records: Vec<_> = expectations.into_iter().flat_map(|expected| expected.records).collect();
        if !entries.is_empty() || !records.is_empty() {
            self.changed(Change::Batch(entries, records));
        }
        let next = self.live.log.len() as Offset;
        assert_eq!(self.open().writer.next_offset(), next, "the next offset");
    }

    fn flush(&mut self) {
        let open = self.open();
        open.flusher.flush(open.writer.next_offset()).expect("a healthy disk flushes");
        self.all_durable();
    }

    /// Everything that was applied is durable, and seen by all.
    fn all_durable(&mut self) {
        self.durable = self.live.clone();
        self.pending.clear();
        self.end = self.live.log.len() as Offset;
    }

    /// Of what was not flushed only the first `kept` calls are there.
    fn lose(&mut self, kept: usize) {
        self.disk.crash(kept);
        for change in self.pending.drain(..).take(kept) {
            self.durable.take(&change);
        }
        self.live = self.durable.clone();
    }

    fn fresh(&mut self, events: &[Sent]) -> Submission {
        let fresh = events.iter().map(|sent| Sent { id: None, ..sent.clone() });
        Submission::events(fresh.collect::<Vec<_>>().iter().map(|sent| self.draft(sent)).collect())
    }

    fn apply_fails(&mut self, events: &[Sent], loss: Option<usize>) {
        let submission = self.fresh(events);
        self.disk.fail(Failing::Apply);
        let outcome = self.open().writer.apply(&[submission]);
        assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
        self.recover(loss);
    }

    fn flush_fails(&mut self, loss: Option<usize>) {
        self.disk.fail(Failing::Flush);
        let open = self.open();
        let outcome = open.flusher.flush(open.writer.next_offset());
        assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
        self.recover(loss);
    }

    /// The handle is lost, and so may be what was not flushed: the store takes up from what is there.
    fn recover(&mut self, loss: Option<usize>) {
        assert_eq!(*self.store().durable().borrow(), self.end, "nothing became durable by a failure");
        if let Some(kept) = loss {
            self.lose(kept);
        }
        self.open().writer.recover("a failing disk").expect("the disk is well again");
        assert_eq!(self.store().health(), Health::Ok);
        self.all_durable();
    }

    fn no_room(&mut self, events: &[Sent]) {
        let submission = self.fresh(events);
        self.disk.set_free(Some(0));
        let outcome = self.open().writer.apply(&[submission]);
        assert!(matches!(outcome, Err(Error::NoRoom(_))), "{outcome:?}");
        assert!(matches!(self.store().health(), Health::Full(_)), "{:?}", self.store().health());
        self.disk.set_free(None);
    }

    fn restart(&mut self, kept: Option<usize>) {
        self.open = None;
        if let Some(kept) = kept {
            self.lose(kept);
        }
        self.open = Some(Open::on(&self.disk));
        self.all_durable();
        reads::check(self.store());
        let next = self.live.log.len() as Offset;
        assert_eq!(self.open().writer.next_offset(), next, "the next offset after a start");
    }

    fn index(&mut self, partial: bool) {
        let behind = self.open().maintainer.behind();
        self.open().maintainer.pass(partial).expect("the index takes up");
        // What it writes: the index, and records that are packed together.
        while self.disk.unflushed() > self.pending.len() {
            assert!(behind > 0, "a pass with nothing to do writes nothing");
            self.changed(Change::Index);
        }
    }

    fn cursor(sink: u8) -> Record {
        (Tree::Cursors, format!("sink-{sink}"))
    }

    /// How far a sink's cursor in the store stands.
    fn confirmed(&self, sink: u8) -> Option<Offset> {
        let (tree, key) = Self::cursor(sink);
        let value = self.store().get(tree, &key).expect("the cursor is read");
        assert_eq!(value.as_ref(), self.live.records.get(&(tree, key)), "the cursor of sink {sink}");
        let cursor: serde_json::Value = serde_json::from_slice(&value?).expect("the cursor is JSON");
        cursor["offset"].as_u64()
    }

    fn deliver(&mut self, sink: u8, events: usize) {
        let from = self.confirmed(sink).unwrap_or(0);
        let page = self.reader(sink).log(from, Limit::events(events)).expect("the log is read");
        let received = &mut self.received[usize::from(sink)];
        assert!(from <= *received, "the cursor of sink {sink} is beyond what it has taken");
        let expected: Vec<_> =
            self.live.visible(self.end).filter(|entry| entry.offset >= from).take(events).collect();
        reads::same(&page, &expected);
        let Some(last) = page.last() else { return };
        *received = (*received).max(last.offset + 1);
        let value =
            format!(r#"{{"offset":{},"mark":null,"required":{}}}"#, last.offset + 1, sink == 0).into_bytes();
        let (tree, key) = Self::cursor(sink);
        self.store().put(&[Write::put(tree, key.clone(), value.clone())]).expect("the cursor is put");
        self.changed(Change::Batch(Vec::new(), vec![((tree, key), Some(value))]));
    }

    fn trim(&mut self, old: bool) {
        let now = Timestamp::now().plus_millis(if old { OLD_MILLIS } else { 0 });
        let confirmed = self.confirmed(0).unwrap_or(Offset::MAX).min(self.end);
        loop {
            let trimmed = self.open().writer.trim(now).expect("a healthy disk is trimmed");
            if self.disk.unflushed() == self.pending.len() {
                assert_eq!(trimmed, 0, "events that went without a change");
                break;
            }
            self.trimmed(confirmed, trimmed);
        }
        // Records that were packed together go together, once the index has passed them.
        let all = old && confirmed == self.end && self.open().maintainer.behind() == 0;
        let stays = self.live.visible(self.end).find(|entry| entry.draft.session.class() != Class::Session);
        assert!(!all || stays.is_none(), "old, confirmed, and still there: {stays:?}");
    }

    /// Takes over what a trim did, which must have been allowed.
    fn trimmed(&mut self, confirmed: Offset, trimmed: u64) {
        let streams = self.store().streams(None, 100).expect("the streams are read");
        let first_seq: BTreeMap<_, _> = streams.into_iter().map(|info| (info.id, info.first_seq)).collect();
        let before: Vec<_> = self.live.visible(self.live.log.len() as Offset).cloned().collect();
        self.changed(Change::Trim(first_seq));
        let gone: Vec<_> = before.iter().filter(|entry| self.live.is_trimmed(entry)).collect();
        assert_eq!(gone.len() as u64, trimmed, "how many events went");
        for entry in gone {
            assert_ne!(entry.draft.session.class(), Class::Session, "a session is never trimmed: {entry:?}");
            assert!(entry.offset < confirmed, "trimmed before it was confirmed or durable: {entry:?}");
        }
    }
}
