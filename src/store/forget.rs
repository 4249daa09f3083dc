//! Pruning sessions: those that have ended go by age and by count, whole, a few records a step.
//!
//! A session that goes is marked first, so that it is not told of any more and a crash in the middle is taken
//! up again. Its events then go from its head, in each step together with what the log says of them, so that
//! log and streams agree at any time; what is known of it as a whole goes with the last of them.

use std::ops::Bound;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;

use super::engine::{Engine, Op, Tree};
use super::history::{self, Listed};
use super::lifecycle::Record;
use super::record::{self, Span};
use super::write::Writer;
use super::{Error, Store, index, key, lifecycle, parts, prune, read, runs};
use crate::event::{Offset, StreamId, Timestamp};

/// One step takes so many events.
const STEP: usize = 512;
/// Once so many times what is alive has been written, and so many bytes…
const REFRESH_TIMES: u64 = 4;
/// …the engine is opened again when sessions have been pruned.
const REFRESH_BYTES: u64 = 32 << 20;

/// What a step of pruning has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Sessions of which nothing is left.
    pub sessions: u64,
    /// Events.
    pub events: u64,
}

impl Pruned {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The head of a session that goes.
struct Front {
    /// The first seq that is left.
    first_seq: u64,
    /// Where in the log the events stand.
    offsets: Vec<Offset>,
    ops: Vec<Op>,
    freed: u64,
}

impl Writer {
    /// Marks what may go now; answers how many sessions those are. [`Writer::forget`] then takes them.
    ///
    /// # Errors
    /// As with [`Writer::apply`].
    pub fn mark_prunable(&mut self, now: Timestamp) -> Result<u64, Error> {
        let store = Store { shared: self.shared.clone() };
        let prunable = store.prunable(now)?;
        self.mark(prunable.iter().map(|session| &session.id))?;
        Ok(prunable.len() as u64)
    }

    /// Marks the oldest session that has ended, whatever its age, where the budget is near its end; at the end
    /// itself also one that a required sink has not all of, which is told.
    ///
    /// # Errors
    /// As with [`Writer::apply`].
    pub fn mark_for_budget(&mut self) -> Result<bool, Error> {
        let store = Store { shared: self.shared.clone() };
        let (engine, end) = store.reader()?;
        let confirmed = prune::confirmed(&store)?;
        for listed in history::list(&*engine, history::everything(), false) {
            let Listed { id, entry, .. } = listed?;
            if entry.ended.is_none() || entry.going {
                continue;
            }
            let whole = history::last(&*engine, end, &id)?.is_some_and(|(_, offset)| offset < confirmed);
            if whole || self.is_over_budget() {
                if !whole {
                    tracing::warn!(session = %id, "pruned before every required sink confirmed it: store.max_bytes");
                }
                self.mark([&id].into_iter())?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there are sessions of which something is left to take.
    pub fn is_pruning(&self) -> bool {
        !self.going.is_empty()
    }

    fn mark<'a>(&mut self, sessions: impl Iterator<Item = &'a StreamId>) -> Result<(), Error> {
        let engine = self.shared.engine()?;
        for id in sessions {
            let Some(record) = Record::load(&*engine, id)?.filter(|record| !record.going) else { continue };
            let mut ops = Vec::new();
            Record { going: true, ..record }.save(&*engine, id, &mut ops)?;
            engine.apply(&ops)?;
            self.going.push_back(id.clone());
        }
        Ok(())
    }

    /// Opens the engine again where much has been written since it was opened; says whether it did.
    ///
    /// sled keeps a segment of its file, half a megabyte, as long as one small record in it lives, and finds that
    /// most of them can be used again only when it is opened: else the file would grow by a quarter of all that
    /// is written, however much is pruned.
    ///
    /// # Errors
    /// [`Error::Io`]: [`Writer::recover`] has to be called.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let written = self.shared.written.load(Ordering::Relaxed);
        if written < self.shared.live_bytes() * REFRESH_TIMES + REFRESH_BYTES {
            return Ok(false);
        }
        self.shared.engine()?.flush()?;
        self.shared.refresh()
    }

    /// Finds the sessions that were marked before the store was opened.
    pub(super) fn find_going(&mut self, engine: &dyn Engine) -> Result<(), Error> {
        let listed = history::list(engine, history::everything(), false);
        let going = listed.filter(|listed| listed.as_ref().map_or(true, |listed| listed.entry.going));
        self.going = going.map(|listed| Ok(listed?.id)).collect::<Result<_, Error>>()?;
        Ok(())
    }

    /// Takes a piece of a session that is marked. To be called again until it is nothing.
    ///
    /// # Errors
    /// As with [`Writer::apply`].
    pub fn forget(&mut self) -> Result<Pruned, Error> {
        let Some(id) = self.going.front().cloned() else { return Ok(Pruned::default()) };
        let shared = self.shared.clone();
        let _rewriting = match shared.rewriting.try_lock() {
            Ok(rewriting) => rewriting,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The writer does not wait for the index: the next step will come.
            Err(TryLockError::WouldBlock) => return Ok(Pruned::default()),
        };
        let engine = shared.engine()?;
        let mut head = take_head(&*engine, &id)?;
        let mut pruned = Pruned { sessions: 0, events: head.offsets.len() as u64 };
        if head.offsets.last().is_some_and(|last| *last >= shared.indexed()) {
            // What is not indexed yet may still be packed.
            return Ok(Pruned::default());
        }
        cut_log(&*engine, &id, &mut head)?;
        match read::has(&*engine, &id, head.first_seq)? {
            true => {
                let known = self.head(&*engine, &id)?;
                known.first_seq = head.first_seq;
                head.ops.push(Op::put(Tree::SessionMeta, id.as_str(), known.pack()?));
            }
            false => {
                forget_whole(&*engine, &id, &mut head.ops)?;
                pruned.sessions = 1;
            }
        }
        head.ops.extend(index::trim(&*engine, shared.first(), &mut self.trimmed_index, prune::INDEX_STEP)?);
        head.ops.push(Op::put(Tree::Index, prune::LOG_END, key::offset(self.next_offset())));
        engine.apply(&head.ops)?;
        if pruned.sessions > 0 {
            self.going.pop_front();
            self.forget_head(&id);
        }
        shared.live_bytes.fetch_sub(head.freed as i64, Ordering::Relaxed);
        let first = read::log_first(&*engine)?.unwrap_or(self.next_offset());
        shared.set_first(first);
        shared.forget_zones(first);
        Ok(pruned)
    }
}

/// The first events of a session, whole records of them, and what takes them away.
fn take_head(engine: &dyn Engine, id: &StreamId) -> Result<Front, Error> {
    let mut head = Front { first_seq: 0, offsets: Vec::new(), ops: Vec::new(), freed: 0 };
    let range = (Bound::Included(key::stream(id)), Bound::Included(key::event(id, u64::MAX)));
    for pair in engine.range(Tree::Events, range, false) {
        let (key, stored) = pair?;
        if key::is_event(id, &key) {
            if head.offsets.len() >= STEP {
                break;
            }
            let whole = parts::join(engine, Tree::Events, &key, stored.clone())?;
            head.first_seq = read::seq_of(&key)?;
            for packed in record::events(&whole) {
                head.offsets.push(record::unpack(packed?)?.offset);
                head.first_seq += 1;
            }
        }
        head.freed += (key.len() + stored.len()) as u64;
        head.ops.push(Op::remove(Tree::Events, key));
    }
    Ok(head)
}

/// Takes what the log says of the events that go out of it.
fn cut_log(engine: &dyn Engine, id: &StreamId, head: &mut Front) -> Result<(), Error> {
    let mut end = 0;
    for at in std::mem::take(&mut head.offsets) {
        if at < end {
            continue;
        }
        let floor = (Bound::Unbounded, Bound::Included(key::offset(at)));
        let Some((key, value)) = engine.range(Tree::Log, floor, true).next().transpose()? else { continue };
        let first = key::number(&key).ok_or_else(|| Error::Corrupt("a key of the log".into()))?;
        let spans = record::unpack_spans(&value)?;
        end = first + record::count(&spans);
        head.freed += (key.len() + value.len()) as u64;
        head.ops.push(Op::remove(Tree::Log, key));
        let begin = head.ops.len();
        for (offset, spans) in without(first, spans, id, head.first_seq) {
            runs::put_log(offset, &spans, &mut head.ops)?;
        }
        let kept: usize = head.ops[begin..].iter().map(Op::bytes).sum();
        head.freed = head.freed.saturating_sub(kept as u64);
    }
    Ok(())
}

/// A record of the log without a session's events before a seq: each stretch between two holes for itself, as
/// a record tells only where its first span begins.
fn without(first: Offset, spans: Vec<Span>, id: &StreamId, first_seq: u64) -> Vec<(Offset, Vec<Span>)> {
    let (mut pieces, mut at) = (Vec::<(Offset, Vec<Span>)>::new(), first);
    let mut next = None;
    for mut span in spans {
        let cut = if span.session == *id { first_seq.saturating_sub(span.first_seq).min(span.count) } else { 0 };
        at += cut;
        (span.first_seq, span.count) = (span.first_seq + cut, span.count - cut);
        let end = at + span.count;
        match pieces.last_mut() {
            _ if span.count == 0 => {}
            Some((_, spans)) if next == Some(at) => spans.push(span),
            _ => pieces.push((at, vec![span])),
        }
        next = (end > at).then_some(end).or(next);
        at = end;
    }
    pieces
}

/// Takes what is known of a session as a whole, and its saved folds.
fn forget_whole(engine: &dyn Engine, id: &StreamId, ops: &mut Vec<Op>) -> Result<(), Error> {
    let key = id.as_str().as_bytes();
    if let Some(record) = Record::load(engine, id)? {
        ops.push(Op::remove(Tree::Index, lifecycle::list_key(record.start, id)));
    }
    let stored = engine.get(Tree::Sessions, key)?.unwrap_or_default();
    parts::remove(Tree::Sessions, key, 0, &stored, ops);
    ops.push(Op::remove(Tree::Sessions, key));
    ops.push(Op::remove(Tree::SessionMeta, key));
    let folds = format!("session/{id}/").into_bytes();
    for pair in engine.range(Tree::Folds, (Bound::Included(folds.clone()), Bound::Unbounded), false) {
        let (key, _) = pair?;
        if !key.starts_with(&folds) {
            break;
        }
        ops.push(Op::remove(Tree::Folds, key));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(session: &str, first_seq: u64, count: u64) -> Span {
        let session = StreamId::new(session).expect("an id");
        Span { session, first_seq, count, least_ts: 0, greatest_ts: 0 }
    }

    fn check(first_seq: u64, expected: &[(Offset, Vec<Span>)]) {
        let spans = vec![span("a", 1, 2), span("b", 1, 3), span("a", 3, 2), span("a", 5, 1), span("c", 1, 1)];
        let id = StreamId::new("a").expect("an id");
        assert_eq!(without(10, spans, &id, first_seq), expected, "{first_seq}");
    }

    #[test]
    fn what_stands_behind_a_hole_keeps_its_offset() {
        let (b, c) = (span("b", 1, 3), span("c", 1, 1));
        check(3, &[(12, vec![b.clone(), span("a", 3, 2), span("a", 5, 1), c.clone()])]);
        check(4, &[(12, vec![b.clone()]), (16, vec![span("a", 4, 1), span("a", 5, 1), c.clone()])]);
        check(9, &[(12, vec![b]), (18, vec![c])]);
        check(
            1,
            &[(10, vec![span("a", 1, 2), span("b", 1, 3), span("a", 3, 2), span("a", 5, 1), span("c", 1, 1)])],
        );
    }
}
