//! Trimming: streams that never end lose their old head, and the disk budget is held.
//!
//! An event is trimmed when it is older than `store.keep_streams` and every required sink has confirmed it.
//! Over the budget the oldest go first whatever their age, and at last also those that a required sink has
//! not confirmed, which is counted and told. Sessions are pruned whole (`forget`). What the trimmed process events
//! had come to is kept, as their fold (`trimmed`).

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;

use super::engine::{Engine, Op, Tree};
use super::record::{self, Span};
use super::shared::Shared;
use super::trimmed::Trimmed;
use super::write::Writer;
use super::{Error, Store, index, key, parts, read};
use crate::event::{Class, Offset, StreamId, Timestamp};

/// The end of the log, for when all of it has been trimmed.
pub(super) const LOG_END: &[u8] = b"c log end";
/// The bytes of events and log that are alive.
pub(super) const LIVE_BYTES: &[u8] = b"c live bytes";

/// sled's file settles at so many tenths of what is alive in it.
const FILE_TENTHS: u64 = 26;
/// From so many hundredths of the budget on, the oldest events are trimmed before their age.
const TRIM_FROM: u64 = 90;
/// One step takes so many records of the log.
const STEP: usize = 64;
/// And looks at so many of the index.
pub(super) const INDEX_STEP: usize = 1024;

impl Shared {
    pub(super) fn live_bytes(&self) -> u64 {
        u64::try_from(self.live_bytes.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Counts what a batch of new events brings.
    pub(super) fn count_live(&self, ops: &[Op]) {
        let of_log = ops.iter().filter(|op| matches!(op.tree, Tree::Events | Tree::Log));
        let bytes = of_log.map(Op::bytes).sum::<usize>();
        self.live_bytes.fetch_add(bytes as i64, Ordering::Relaxed);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many hundredths of the budget are used.
    fn budget_used(&self) -> u64 {
        let Some(max) = self.settings.max_bytes else { return 0 };
        (self.live_bytes() * FILE_TENTHS / 10).saturating_mul(100) / max.max(1)
    }

    /// Why no more is taken, where the budget is used up.
    pub(super) fn budget_exceeded(&self) -> Option<String> {
        let used = self.budget_used();
        let live = self.live_bytes();
        (used >= 100)
            .then(|| format!("{live} live bytes need {used} % of store.max_bytes, and nothing more can be trimmed"))
    }
}

/// How far every required sink has confirmed; the end of the log where there is none.
pub(super) fn confirmed(store: &Store) -> Result<Offset, Error> {
    #[derive(serde::Deserialize)]
    struct Cursor {
        offset: Offset,
        #[serde(default)]
        required: bool,
    }
    let cursors = store.scan(Tree::Cursors, "", None, usize::MAX)?;
    let cursors = cursors.iter().filter_map(|(_, value)| serde_json::from_slice::<Cursor>(value).ok());
    Ok(cursors.filter(|cursor| cursor.required).map(|cursor| cursor.offset).min().unwrap_or(Offset::MAX))
}

/// One step of trimming while it is worked out.
struct Step {
    ops: Vec<Op>,
    head: Trimmed,
    /// The first seq that each stream keeps.
    firsts: HashMap<StreamId, u64>,
    freed: u64,
    events: u64,
    /// How far every required sink has confirmed, and how many of the events it has not.
    confirmed: Offset,
    unconfirmed: u64,
}

impl Writer {
    /// Whether so much of the budget is used that trimming should not wait.
    pub fn wants_trim(&self) -> bool {
        self.shared.budget_used() >= TRIM_FROM
    }

    /// Whether the budget is used up.
    pub(super) fn is_over_budget(&self) -> bool {
        self.shared.budget_used() >= 100
    }

    /// Trims a few records of the log; answers how many events went. To be called again until it is none.
    ///
    /// # Errors
    /// As with [`Writer::apply`].
    pub fn trim(&mut self, now: Timestamp) -> Result<u64, Error> {
        let shared = self.shared.clone();
        let _rewriting = match shared.rewriting.try_lock() {
            Ok(rewriting) => rewriting,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The writer does not wait for the index: the next step will come.
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        let store = Store { shared: shared.clone() };
        let (engine, confirmed) = (self.shared.engine()?, confirmed(&store)?);
        let used = self.shared.budget_used();
        let oldest = now.plus_millis(-(self.shared.settings.keep_streams.as_millis() as i64));
        let before = if used >= TRIM_FROM { Timestamp::from_millis(i64::MAX) } else { oldest };
        // What is not indexed yet may still be packed, and is young.
        let most = if used >= 100 { Offset::MAX } else { confirmed }.min(self.shared.indexed());
        let head = match self.folded.take() {
            Some(head) => head,
            None => Trimmed::load(&store)?,
        };
        self.trimmed = self.trimmed.max(head.next);
        let (firsts, ops) = (HashMap::new(), Vec::new());
        let mut step = Step { ops, head, firsts, freed: 0, events: 0, confirmed, unconfirmed: 0 };
        for record in read::log_stored(&*engine, self.trimmed.max(self.shared.first())).take(STEP) {
            let (offset, spans) = record?;
            let end = offset + record::count(&spans);
            if end > most || !step.take_record(&*engine, offset, &spans, before)? {
                break;
            }
            self.trimmed = end;
        }
        if step.ops.is_empty() && step.firsts.is_empty() {
            self.folded = Some(step.head);
            return Ok(0);
        }
        step.head.next = self.trimmed;
        self.finish(&*engine, step)
    }

    fn finish(&mut self, engine: &dyn Engine, mut step: Step) -> Result<u64, Error> {
        for (id, first_seq) in std::mem::take(&mut step.firsts) {
            step.cut_stream(engine, &id, first_seq)?;
            let head = self.head(engine, &id)?;
            head.first_seq = head.first_seq.max(first_seq);
            step.ops.push(Op::put(Tree::SessionMeta, id.as_str(), head.pack()?));
        }
        let first = self.shared.first();
        step.ops.extend(index::trim(engine, first, &mut self.trimmed_index, INDEX_STEP)?);
        step.ops.push(Op::put(Tree::Index, LOG_END, key::offset(self.next_offset())));
        step.head.save(engine, &mut step.ops)?;
        step.ops.extend(self.ids.before_trim(engine, self.trimmed, self.next_offset(), self.observed)?);
        engine.apply(&step.ops)?;
        self.folded = Some(step.head);
        self.shared.live_bytes.fetch_sub(step.freed as i64, Ordering::Relaxed);
        let first = read::log_first(engine)?.unwrap_or(self.next_offset());
        self.shared.set_first(first);
        self.shared.forget_zones(first);
        if step.unconfirmed > 0 {
            tracing::warn!(
                events = step.unconfirmed,
                "trimmed beyond what every required sink confirmed: store.max_bytes"
            );
        }
        Ok(step.events)
    }
}

/// Whether all of a span's events were committed before a time: its last one was, as `observed` never runs
/// backwards.
fn is_old(engine: &dyn Engine, span: &Span, before: Timestamp) -> Result<bool, Error> {
    let end = span.first_seq + span.count;
    let mut old = true;
    read::visit_stream(engine, &span.session, end - 1, |seq, packed| {
        old = seq >= end || packed.observed < before.as_millis();
        Ok(false)
    })?;
    Ok(old)
}

impl Step {
    /// Takes all spans of a record but those of sessions, if all are old; whether nothing is left to take.
    fn take_record(
        &mut self,
        engine: &dyn Engine,
        offset: Offset,
        spans: &[Span],
        before: Timestamp,
    ) -> Result<bool, Error> {
        let (sessions, others): (Vec<_>, Vec<_>) =
            spans.iter().partition(|span| span.session.class() == Class::Session);
        for span in &others {
            if !is_old(engine, span, before)? {
                return Ok(false);
            }
        }
        for span in others {
            self.take_span(engine, span)?;
        }
        if sessions.is_empty() {
            self.freed += (record::pack_spans(spans)?.len() + 8) as u64;
            self.ops.push(Op::remove(Tree::Log, key::offset(offset)));
        }
        Ok(true)
    }

    fn take_span(&mut self, engine: &dyn Engine, span: &Span) -> Result<(), Error> {
        let (begin, process) = (self.events, span.session.class() == Class::Process);
        read::visit_span(engine, span, |seq, packed| {
            self.events += 1;
            self.unconfirmed += u64::from(packed.offset >= self.confirmed);
            if process {
                self.head.apply(&packed.unpack(&span.session, seq)?.event);
            }
            Ok(true)
        })?;
        if self.events > begin {
            self.firsts.insert(span.session.clone(), span.first_seq + span.count);
        }
        Ok(())
    }

    /// Adds what takes a stream's events before a seq away.
    fn cut_stream(&mut self, engine: &dyn Engine, id: &StreamId, first_seq: u64) -> Result<(), Error> {
        let range = (Bound::Included(key::stream(id)), Bound::Excluded(key::event(id, first_seq)));
        for pair in engine.range(Tree::Events, range, false) {
            let (key, stored) = pair?;
            self.freed += (key.len() + stored.len()) as u64;
            // A record that was packed may reach beyond.
            let kept = if key::is_event(id, &key) {
                record::tail(&stored[1..], read::seq_of(&key)?, first_seq)?
            } else {
                None
            };
            if let Some(kept) = kept {
                self.freed = self.freed.saturating_sub((key.len() + kept.len()) as u64);
                parts::put(Tree::Events, &key::event(id, first_seq), &kept, &mut self.ops);
            }
            self.ops.push(Op::remove(Tree::Events, key));
        }
        Ok(())
    }
}
