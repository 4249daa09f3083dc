//! Writing: what becomes of a batch of submissions.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::engine::{Engine, Op, Tree};
use super::head::Head;
use super::ids::{Ids, Place};
use super::lifecycle::{self, Turn};
use super::runs;
use super::shared::Shared;
use super::trimmed::Trimmed;
use super::{Error, Health, Limit, MAX_BATCH_EVENTS, Receipt, Refused, Status, Store, Submission, read, side};
use crate::event::session::kind::INGEST_FAILED;
use crate::event::{Class, Draft, Event, Invalid, Logged, Offset, StreamId, Timestamp};

/// So many streams' heads are kept in memory; the others are read again when they are written to.
const MAX_HEADS: usize = 16_384;
/// A head is written each time that its stream has become so much longer: how long it is now, its last record
/// tells, and a head with each commit would be half of all that is written.
const HEAD_EVERY: u64 = 64;

/// The one writer of a store.
///
/// It applies batches, which nobody sees yet, and [`Flusher::flush`] makes all that was applied durable and
/// visible; the two may run at the same time in two threads.
pub struct Writer {
    pub(super) shared: Arc<Shared>,
    /// How far trimming has looked since the store was opened.
    pub(super) trimmed: Offset,
    /// The key of the index up to which it has been trimmed.
    pub(super) trimmed_index: Vec<u8>,
    /// What the trimmed events had come to, once it has been read.
    pub(super) folded: Option<Trimmed>,
    /// Sessions that are being pruned.
    pub(super) going: VecDeque<StreamId>,
    next: Offset,
    pub(super) observed: Timestamp,
    heads: HashMap<StreamId, Head>,
    pub(super) ids: Ids,
}

/// Makes durable what was applied.
#[derive(Clone)]
pub struct Flusher {
    shared: Arc<Shared>,
}

/// What became of one submission.
pub type Outcome = Result<Vec<Receipt>, Refused>;

/// A batch while it is being built.
#[derive(Default)]
struct Batch {
    events: Vec<(Event, bool)>,
    /// Events that change their session as a whole, each with the status that it had before.
    turns: Vec<(usize, Status)>,
    /// The events that nobody sent: those by which sessions are resumed.
    resumed: Vec<usize>,
    /// Events of the batch with a sender's id, by stream and id.
    sent: HashMap<(StreamId, Uuid), usize>,
    /// What each submission is answered: the events that it added, or the receipts of those it repeats.
    answers: Vec<Result<Vec<Answer>, Refused>>,
    writes: Vec<Op>,
}

#[derive(Clone, Copy)]
enum Answer {
    Added(usize),
    Repeats(usize),
    Stored(Receipt),
}

impl Store {
    /// The writer, of which there must be one.
    pub fn writer(&self) -> Result<(Writer, Flusher), Error> {
        let shared = self.shared.clone();
        let mut writer = Writer {
            shared: shared.clone(),
            trimmed: 0,
            trimmed_index: Vec::new(),
            folded: None,
            going: VecDeque::new(),
            next: 0,
            observed: Timestamp::default(),
            heads: HashMap::new(),
            ids: Ids::default(),
        };
        writer.load()?;
        Ok((writer, Flusher { shared }))
    }
}

impl Flusher {
    /// Makes everything durable that was applied before, up to the offset `end`, and wakes the readers.
    pub fn flush(&self, end: Offset) -> Result<(), Error> {
        self.shared.engine()?.flush()?;
        self.shared.durable.send_if_modified(|durable| std::mem::replace(durable, end.max(*durable)) < end);
        Ok(())
    }
}

impl Writer {
    fn load(&mut self) -> Result<(), Error> {
        let engine = self.shared.engine()?;
        self.heads.clear();
        (self.trimmed, self.folded) = (0, None);
        self.next = read::log_end(&*engine)?;
        self.find_going(&*engine)?;
        self.ids = Ids::load(&*engine)?;
        self.shared.ids.store(self.ids.total(), Ordering::Relaxed);
        let last = Store { shared: self.shared.clone() }.log_back(self.next, Limit::events(1))?;
        self.observed = last.first().map_or_else(Timestamp::default, |logged| logged.event.observed);
        Ok(())
    }

    /// Drops the handle that failed, opens another one, and takes up from what is there.
    pub fn recover(&mut self, reason: &str) -> Result<(), Error> {
        self.shared.reopen(reason)?;
        self.load()
    }

    /// Why the handle is lost, where another writer of records, or the index, noticed it first.
    pub fn lost(&self) -> Option<String> {
        self.shared.lost().clone()
    }

    /// The offset that the next event gets.
    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Refuses while there is no room, before anything is touched, and lets health tell.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn check_room(&self) -> Result<(), Error> {
        let reason = match (self.shared.free(), self.shared.budget_exceeded()) {
            // Without the bytes that are free, so that it stays the same reason while these change.
            (Some(free), _) if free < self.shared.settings.min_free => {
                format!("less than store.min_free is free, which is {} bytes", self.shared.settings.min_free)
            }
            (_, Some(reason)) => reason,
            _ => {
                self.shared.set_health(Health::Ok);
                return Ok(());
            }
        };
        self.shared.set_health(Health::Full(reason.clone()));
        Err(Error::NoRoom(reason))
    }

    /// Applies submissions in one atomic batch, in order; each is taken whole or refused whole.
    ///
    /// Nothing of it is durable or visible before the next flush.
    ///
    /// # Errors
    /// [`Error::NoRoom`] before anything was touched. [`Error::Io`] when it is unknown what became of it:
    /// [`Writer::recover`] has to be called.
    pub fn apply(&mut self, submissions: &[Submission]) -> Result<Vec<Outcome>, Error> {
        self.check_room()?;
        let engine = self.shared.engine()?;
        self.observed = self.observed.max(Timestamp::now());
        let mut batch = Batch::default();
        for submission in submissions {
            let answer = self.take(&*engine, submission, &mut batch)?;
            batch.answers.push(answer);
        }
        let (offsets, mut ops) = self.place(&*engine, &batch)?;
        ops.append(&mut batch.writes);
        let end = self.next + batch.events.len() as u64;
        self.remember(&batch, &offsets);
        ops.extend(self.ids.roll(&*engine, end, self.observed)?);
        if !ops.is_empty() {
            engine.apply(&ops)?;
        }
        self.next = end;
        self.shared.ids.store(self.ids.total(), Ordering::Relaxed);
        self.shared.count_live(&ops);
        let outcomes = batch.receipts(&offsets);
        self.shared.recent.push(|| batch.logged(&offsets));
        Ok(outcomes)
    }

    /// Adds a submission to the batch; on refusal the batch is as it was.
    fn take(
        &mut self,
        engine: &dyn Engine,
        submission: &Submission,
        batch: &mut Batch,
    ) -> Result<Result<Vec<Answer>, Refused>, Error> {
        let begin = batch.events.len();
        if let Some((session, expected)) = &submission.expected_last_seq {
            let last_seq = self.head(engine, session)?.next_seq - 1;
            if last_seq != *expected {
                return Ok(Err(Refused::Moved { session: session.clone(), last_seq }));
            }
        }
        let mut answers = Vec::with_capacity(submission.drafts.len());
        for (index, draft) in submission.drafts.iter().enumerate() {
            match self.take_draft(engine, draft, batch)? {
                Ok(answer) => answers.push(answer),
                Err(why) => {
                    self.undo(begin, batch);
                    return Ok(Err(why.at(index, &draft.session)));
                }
            }
        }
        let writes = batch.writes.len();
        match side::ops(engine, &submission.writes, &mut batch.writes) {
            Ok(()) => Ok(Ok(answers)),
            Err(Error::Invalid(error)) => {
                batch.writes.truncate(writes);
                self.undo(begin, batch);
                Ok(Err(Refused::Invalid { index: submission.drafts.len(), error }))
            }
            Err(error) => Err(error),
        }
    }

    fn take_draft(
        &mut self,
        engine: &dyn Engine,
        draft: &Draft,
        batch: &mut Batch,
    ) -> Result<Result<Answer, Why>, Error> {
        if let Err(error) = draft.validate() {
            return Ok(Err(Why::Invalid(error)));
        }
        if batch.events.len() - batch.resumed.len() >= MAX_BATCH_EVENTS {
            let expected = format!("at most {MAX_BATCH_EVENTS} events in one commit");
            return Ok(Err(Why::Invalid(Invalid::new("events", "", expected))));
        }
        let sent_id = draft.id.as_ref().map(|sent| sent.event_id(&draft.session));
        if let Some(id) = sent_id {
            if let Some(&earlier) = batch.sent.get(&(draft.session.clone(), id)) {
                let same = draft.differs(&batch.events[earlier].0);
                return Ok(same.map_or(Ok(Answer::Repeats(earlier)), |field| Err(Why::Conflict(field, id))));
            }
            if let Some(answer) = self.stored(engine, draft, id)? {
                return Ok(answer);
            }
        }
        if draft.session.class() == Class::Session
            && let Err(wrong) = self.take_turn(engine, draft, batch)?
        {
            return Ok(Err(wrong.into()));
        }
        let place = self.push(engine, draft, sent_id, batch)?;
        Ok(Ok(Answer::Added(place)))
    }

    /// Gives a draft its seq; answers its place in the batch.
    fn push(
        &mut self,
        engine: &dyn Engine,
        draft: &Draft,
        sent_id: Option<Uuid>,
        batch: &mut Batch,
    ) -> Result<usize, Error> {
        let head = self.head(engine, &draft.session)?;
        let seq = head.next_seq;
        head.next_seq += 1;
        let event = self.event(draft, sent_id.unwrap_or_else(Uuid::now_v7), seq);
        let place = batch.events.len();
        if sent_id.is_some() {
            batch.sent.insert((draft.session.clone(), event.id), place);
        }
        batch.events.push((event, sent_id.is_some()));
        Ok(place)
    }

    /// What the next event of a session does to it as a whole; an interrupted one is resumed first.
    fn take_turn(
        &mut self,
        engine: &dyn Engine,
        draft: &Draft,
        batch: &mut Batch,
    ) -> Result<Result<(), lifecycle::Wrong>, Error> {
        let head = self.head(engine, &draft.session)?;
        let (mut before, turn) = match lifecycle::turn(head, draft) {
            Ok(turn) => (head.status, turn),
            Err(wrong) => return Ok(Err(wrong)),
        };
        if turn == Turn::Resumed {
            let resumed = self.resumed(engine, &draft.session, batch)?;
            batch.turns.push((batch.events.len(), before));
            let place = self.push(engine, &resumed, None, batch)?;
            batch.resumed.push(place);
            before = Status::Active;
            self.head(engine, &draft.session)?.status = before;
        }
        let head = self.head(engine, &draft.session)?;
        match lifecycle::turn(head, draft) {
            Ok(Turn::To(status)) => head.status = status,
            Ok(_) if draft.kind.as_str() != INGEST_FAILED => return Ok(Ok(())),
            Ok(_) => {}
            Err(wrong) => return Ok(Err(wrong)),
        }
        batch.turns.push((batch.events.len(), before));
        Ok(Ok(()))
    }

    /// The event by which a session is resumed, as it stands in the store and in the batch.
    fn resumed(&mut self, engine: &dyn Engine, id: &StreamId, batch: &Batch) -> Result<Draft, Error> {
        let mut record = lifecycle::Record::load(engine, id)?;
        let turns = batch.turns.iter().map(|(place, _)| &batch.events[*place].0);
        for event in turns.filter(|event| event.session == *id) {
            record.get_or_insert_with(|| lifecycle::Record::new(event.ts)).apply(event);
        }
        let record = record.ok_or_else(|| Error::Corrupt(format!("nothing is known of the session {id}")))?;
        let now = self.observed;
        lifecycle::resumed(&record, self.head(engine, id)?, id, now)
    }

    /// The answer to a draft whose id is there already.
    fn stored(
        &mut self,
        engine: &dyn Engine,
        draft: &Draft,
        id: Uuid,
    ) -> Result<Option<Result<Answer, Why>>, Error> {
        for Place { offset, seq } in self.ids.find(engine, &draft.session, id)? {
            let mut event = None;
            read::visit_stream(engine, &draft.session, seq, |found, packed| {
                if found == seq && packed.offset == offset {
                    event = Some(packed.unpack(&draft.session, seq)?.event);
                }
                Ok(false)
            })?;
            let receipt = Receipt { id, offset, seq, duplicate: true };
            match event {
                Some(event) if event.id != id => {}
                Some(event) => {
                    let field = draft.differs(&event);
                    return Ok(Some(
                        field.map_or(Ok(Answer::Stored(receipt)), |field| Err(Why::Conflict(field, id))),
                    ));
                }
                None if seq < self.head(engine, &draft.session)?.first_seq => {
                    return Ok(Some(Ok(Answer::Stored(receipt))));
                }
                None => {}
            }
        }
        Ok(None)
    }

    fn event(&self, draft: &Draft, id: Uuid, seq: u64) -> Event {
        Event {
            id,
            ts: draft.ts.unwrap_or(self.observed),
            observed: self.observed,
            session: draft.session.clone(),
            seq,
            kind: draft.kind.clone(),
            subject: draft.subject.clone(),
            severity: draft.severity.clone(),
            origin: draft.origin.clone(),
            correlation_id: draft.correlation_id,
            trace: draft.trace.clone(),
            hops: draft.hops,
            data: draft.data.clone(),
        }
    }

    fn undo(&mut self, begin: usize, batch: &mut Batch) {
        batch.resumed.retain(|place| *place < begin);
        for place in (begin..batch.events.len()).rev() {
            let Some((event, _)) = batch.events.pop() else { break };
            batch.sent.remove(&(event.session.clone(), event.id));
            if let Some(head) = self.heads.get_mut(&event.session) {
                head.next_seq -= 1;
                if let Some((_, before)) = batch.turns.pop_if(|(turned, _)| *turned == place) {
                    head.status = before;
                }
            }
        }
    }

    pub(super) fn head(&mut self, engine: &dyn Engine, id: &StreamId) -> Result<&mut Head, Error> {
        if !self.heads.contains_key(id) {
            let fresh = Head { first_seq: 1, next_seq: 1, status: Status::Active };
            self.heads.insert(id.clone(), Head::load(engine, id)?.unwrap_or(fresh));
        }
        self.heads.get_mut(id).ok_or_else(|| Error::Corrupt(id.to_string()))
    }

    /// Lets go of the head of a stream that is no more.
    pub(super) fn forget_head(&mut self, id: &StreamId) {
        self.heads.remove(id);
    }

    /// Gives each event its offset, a stream's events beside each other, and packs them.
    fn place(&mut self, engine: &dyn Engine, batch: &Batch) -> Result<(Vec<Offset>, Vec<Op>), Error> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: HashMap<&StreamId, usize> = HashMap::new();
        for (place, (event, _)) in batch.events.iter().enumerate() {
            let group = *group_of.entry(&event.session).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(place);
        }
        let mut offsets = vec![0; batch.events.len()];
        let (mut spans, mut ops) = (Vec::with_capacity(groups.len()), Vec::new());
        let mut next = self.next;
        for group in groups {
            for &place in &group {
                offsets[place] = next;
                next += 1;
            }
            let placed = group.iter().map(|&place| {
                let (event, sent_id) = &batch.events[place];
                (event, offsets[place], *sent_id)
            });
            spans.extend(runs::put_events(placed, &mut ops)?);
        }
        runs::put_log(self.next, &spans, &mut ops)?;
        for span in &spans {
            if span.first_seq == 1 && span.session.class() != Class::Session {
                let start = Timestamp::from_millis(span.least_ts);
                lifecycle::Record::new(start).save(engine, &span.session, &mut ops)?;
            }
            if span.first_seq == 1 || span.first_seq / HEAD_EVERY != (span.first_seq + span.count) / HEAD_EVERY {
                let head = self.head(engine, &span.session)?.pack()?;
                ops.push(Op::put(Tree::SessionMeta, span.session.as_str(), head));
            }
        }
        for (id, record) in turned(engine, batch)? {
            record.save(engine, id, &mut ops)?;
            ops.push(Op::put(Tree::SessionMeta, id.as_str(), self.head(engine, id)?.pack()?));
        }
        if self.heads.len() > MAX_HEADS {
            self.heads.clear();
        }
        Ok((offsets, ops))
    }

    fn remember(&mut self, batch: &Batch, offsets: &[Offset]) {
        for (&place, offset) in batch.sent.values().map(|place| (place, offsets[*place])) {
            let event = &batch.events[place].0;
            self.ids.insert(&event.session, event.id, Place { offset, seq: event.seq });
        }
    }
}

/// The sessions that the batch changes as a whole, as they are behind it.
fn turned<'a>(engine: &dyn Engine, batch: &'a Batch) -> Result<BTreeMap<&'a StreamId, lifecycle::Record>, Error> {
    let mut turned: BTreeMap<&StreamId, lifecycle::Record> = BTreeMap::new();
    for event in batch.turns.iter().map(|(place, _)| &batch.events[*place].0) {
        let record = match turned.entry(&event.session) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let stored = lifecycle::Record::load(engine, &event.session)?;
                entry.insert(stored.unwrap_or_else(|| lifecycle::Record::new(event.ts)))
            }
        };
        record.apply(event);
    }
    Ok(turned)
}

enum Why {
    Invalid(Invalid),
    Conflict(&'static str, Uuid),
    NotStarted,
    Ended,
}

impl From<lifecycle::Wrong> for Why {
    fn from(wrong: lifecycle::Wrong) -> Self {
        match wrong {
            lifecycle::Wrong::Invalid(error) => Self::Invalid(error),
            lifecycle::Wrong::NotStarted => Self::NotStarted,
            lifecycle::Wrong::Ended => Self::Ended,
        }
    }
}

impl Why {
    fn at(self, index: usize, session: &StreamId) -> Refused {
        match self {
            Self::Invalid(error) => Refused::Invalid { index, error },
            Self::Conflict(field, id) => Refused::Conflict { index, field, id },
            Self::NotStarted => Refused::NotStarted { index, session: session.clone() },
            Self::Ended => Refused::Ended { index, session: session.clone() },
        }
    }
}

impl Batch {
    fn receipts(&mut self, offsets: &[Offset]) -> Vec<Outcome> {
        let answers = std::mem::take(&mut self.answers);
        let receipt = |place: usize, duplicate| {
            let event = &self.events[place].0;
            Receipt { id: event.id, offset: offsets[place], seq: event.seq, duplicate }
        };
        let answer = |answer: Answer| match answer {
            Answer::Added(place) => receipt(place, false),
            Answer::Repeats(place) => receipt(place, true),
            Answer::Stored(receipt) => receipt,
        };
        answers.into_iter().map(|answers| Ok(answers?.into_iter().map(answer).collect())).collect()
    }

    /// Its events in the order of the log.
    fn logged(self, offsets: &[Offset]) -> Vec<Logged> {
        let placed = self.events.into_iter().zip(offsets);
        let mut logged: Vec<Logged> =
            placed.map(|((event, _), offset)| Logged { offset: *offset, event: Arc::new(event) }).collect();
        logged.sort_unstable_by_key(|logged| logged.offset);
        logged
    }
}
