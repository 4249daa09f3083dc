//! Packing: small records of one stream, and of the log, are put together in the background.
//!
//! Who emits one event at a time leaves one record an event, and sled pays by the record, in memory and at
//! the next open. Once a block has been indexed its records are rewritten, a few changes at a time;
//! readers notice when the record that they look for has gone into another one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::engine::{Engine, Op, Tree};
use super::record::{self, MAX_RUN, Run, Span};
use super::{Error, key, parts, read};
use crate::event::{Offset, StreamId};

/// How packing treats the writer, which waits while a batch is applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// So many changes a batch, or what one new record needs.
    batch: usize,
    /// Between two batches.
    pause: Duration,
}

impl Pace {
    /// Where there is time: batches that take a fraction of a commit.
    pub(super) const GENTLE: Self = Self { batch: 8, pause: Duration::from_millis(2) };
    /// Where much is written there is no time to wait.
    pub(super) const HURRIED: Self = Self { batch: 256, pause: Duration::ZERO };
}

/// What is to be changed, and how many bytes less there are then.
struct Packing {
    ops: Vec<Op>,
    pace: Pace,
    saved: u64,
}

/// Packs what stands in a stretch of the log; answers how many bytes less are alive. To be called while
/// nothing is trimmed.
pub(super) fn stretch(engine: &dyn Engine, first: Offset, end: Offset, pace: Pace) -> Result<u64, Error> {
    let mut streams: BTreeMap<StreamId, (u64, u64)> = BTreeMap::new();
    for record in read::log_records(engine, first) {
        let (offset, spans) = record?;
        if offset >= end {
            break;
        }
        for span in spans {
            let last = span.first_seq + span.count;
            let seqs = streams.entry(span.session).or_insert((span.first_seq, last));
            *seqs = (seqs.0.min(span.first_seq), seqs.1.max(last));
        }
    }
    let mut packing = Packing { ops: Vec::new(), pace, saved: 0 };
    for (id, (first_seq, end_seq)) in streams {
        packing.stream(engine, &id, first_seq, end_seq)?;
    }
    packing.log(engine, first, end)?;
    engine.apply(&packing.ops)?;
    Ok(packing.saved)
}

impl Packing {
    /// Carries out what is planned once it is enough, as each group stands for itself.
    fn apply(&mut self, engine: &dyn Engine) -> Result<(), Error> {
        if self.ops.len() >= self.pace.batch {
            engine.apply(&std::mem::take(&mut self.ops))?;
            std::thread::sleep(self.pace.pause);
        }
        Ok(())
    }

    /// Adds what packs a stream's records that begin at `first_seq..end_seq`, the one before them included.
    fn stream(&mut self, engine: &dyn Engine, id: &StreamId, first_seq: u64, end_seq: u64) -> Result<(), Error> {
        let before = (Bound::Included(key::stream(id)), Bound::Excluded(key::event(id, first_seq)));
        let floor = engine.range(Tree::Events, before, true).next().transpose()?.map(|(key, _)| key);
        // The key of a part is that of no record: then what is before is a record that is full anyway.
        let from = floor.filter(|key| key::is_event(id, key)).unwrap_or_else(|| key::event(id, first_seq));
        let range = (Bound::Included(from), Bound::Excluded(key::event(id, end_seq)));
        let mut group: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        for pair in engine.range(Tree::Events, range, false) {
            let (key, stored) = pair?;
            let small = key::is_event(id, &key) && parts::count(&stored) == 0;
            if !small || bytes + stored.len() > MAX_RUN {
                self.group(engine, &std::mem::take(&mut group))?;
                bytes = 0;
            }
            if small {
                bytes += stored.len();
                group.push((key, stored));
            }
        }
        self.group(engine, &group)
    }

    /// Adds what makes one record of several.
    fn group(&mut self, engine: &dyn Engine, group: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        let [(first, _), rest @ ..] = group else { return Ok(()) };
        if rest.is_empty() {
            return Ok(());
        }
        let mut run = Run::default();
        for (key, stored) in group {
            for packed in record::events(&stored[1..]) {
                if !run.push(packed?) {
                    return Err(Error::Corrupt(format!("{}: a record grew by being packed", key.escape_ascii())));
                }
            }
        }
        let value = run.into_value();
        let before: usize = group.iter().map(|(key, stored)| key.len() + stored.len()).sum();
        self.saved += before.saturating_sub(first.len() + 1 + value.len()) as u64;
        parts::put(Tree::Events, first, &value, &mut self.ops);
        self.ops.extend(rest.iter().map(|(key, _)| Op::remove(Tree::Events, key.clone())));
        self.apply(engine)
    }

    /// Adds what packs the log's records in a stretch.
    fn log(&mut self, engine: &dyn Engine, first: Offset, end: Offset) -> Result<(), Error> {
        let range = (Bound::Included(key::offset(first)), Bound::Excluded(key::offset(end)));
        let mut group: Vec<(Vec<u8>, Vec<Span>)> = Vec::new();
        let mut next = None;
        let mut bytes = 0;
        for pair in engine.range(Tree::Log, range, false) {
            let (key, value) = pair?;
            let spans = record::unpack_spans(&value)?;
            // Behind a hole a record begins anew, as a record tells only where its first span begins.
            if next != key::number(&key) || bytes + value.len() > MAX_RUN {
                self.log_group(engine, &std::mem::take(&mut group), bytes)?;
                bytes = 0;
            }
            next = key::number(&key).map(|first| first + record::count(&spans));
            bytes += value.len();
            group.push((key, spans));
        }
        self.log_group(engine, &group, bytes)
    }

    fn log_group(
        &mut self,
        engine: &dyn Engine,
        group: &[(Vec<u8>, Vec<Span>)],
        bytes: usize,
    ) -> Result<(), Error> {
        let [(first, _), rest @ ..] = group else { return Ok(()) };
        if rest.is_empty() {
            return Ok(());
        }
        let mut spans: Vec<Span> = Vec::new();
        for span in group.iter().flat_map(|(_, spans)| spans) {
            match spans.last_mut() {
                Some(last) if last.session == span.session && last.first_seq + last.count == span.first_seq => {
                    last.count += span.count;
                    last.least_ts = last.least_ts.min(span.least_ts);
                    last.greatest_ts = last.greatest_ts.max(span.greatest_ts);
                }
                _ => spans.push(span.clone()),
            }
        }
        let value = record::pack_spans(&spans)?;
        self.saved += (bytes + rest.len() * first.len()).saturating_sub(value.len()) as u64;
        self.ops.push(Op::put(Tree::Log, first.clone(), value));
        self.ops.extend(rest.iter().map(|(key, _)| Op::remove(Tree::Log, key.clone())));
        self.apply(engine)
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{Data, Draft, Kind, Severity, StreamId, Subject};
    use crate::store::{Disk, Store, Submission};

    #[test]
    fn one_stream_alone_is_packed_in_many_small_batches_too() {
        let disk = Disk::default();
        let store = Store::on(&disk).expect("an empty disk");
        let (mut writer, flusher) = store.writer().expect("an empty store");
        let kind = Kind::new("started").expect("a type");
        let subject = Subject::process("core.process", "default", "web", &kind).expect("a subject");
        let stream = StreamId::new("proc-main-1").expect("an id");
        let data = Data::parse("{}".into()).expect("an object");
        let draft = Draft::new(stream, kind, subject, Severity::Info, data);
        for _ in 0..1000 {
            writer.apply(&[Submission::events(vec![draft.clone()])]).expect("room");
        }
        flusher.flush(writer.next_offset()).expect("durable");
        store.maintainer().pass(true).expect("a pass");
        // A thousand records of the stream, and as many of the log, have gone; some thirty go into a new one.
        assert!(disk.unflushed() > 40, "{} batches", disk.unflushed());
        assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
    }
}
