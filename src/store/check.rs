//! Proving the invariants of a store, and counting what is in it.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::engine::{Engine, Tree};
use super::head::Head;
use super::ids::Ids;
use super::transfer::SIDE;
use super::{Error, MAX_VALUE, Room, Stats, Store, StreamInfo, index, parts, read};
use crate::event::session::kind::{SESSION_ENDED, SESSION_STARTED};
use crate::event::{Class, Offset, StreamId};

/// So many violations are told; more are only counted.
const TOLD: usize = 100;

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Events that were read.
    pub events: u64,
    /// Streams that were read.
    pub streams: u64,
    /// What is wrong, a sentence each; the first hundred.
    pub violations: Vec<String>,
    /// How much is wrong in all.
    pub violated: u64,
}

impl Report {
    fn violation(&mut self, text: impl Into<String>) {
        self.violated += 1;
        if self.violations.len() < TOLD {
            self.violations.push(text.into());
        }
    }
}

impl Store {
    /// Reads everything and proves: each stream's seq is gapless and begins at its first seq, a session begins with
    /// `session_started` and nothing follows `session_ended`, the log and the streams' records and meta agree,
    /// cursors stand within the log, the index does not run ahead of it, every record can be read, and no value is
    /// over 6 KB. Takes a few seconds per million events.
    pub fn check(&self) -> Result<Report, Error> {
        let engine = self.shared.engine()?;
        let mut report = Report::default();
        let heads = check_streams(&*engine, &mut report)?;
        check_log(&*engine, &heads, &mut report)?;
        check_index(self, &*engine, &mut report)?;
        check_cursors(self, &mut report)?;
        check_values(&*engine, &mut report)?;
        Ok(report)
    }

    /// Streams in the order of their ids, behind `after`.
    pub fn streams(&self, after: Option<&StreamId>, limit: usize) -> Result<Vec<StreamInfo>, Error> {
        let engine = self.shared.engine()?;
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_str().as_bytes().to_vec()));
        engine
            .range(Tree::SessionMeta, (from, Bound::Unbounded), false)
            .take(limit)
            .map(|pair| info(&*engine, &pair?))
            .collect()
    }

    /// One stream. What is applied counts, which may not be durable yet.
    pub fn head(&self, id: &StreamId) -> Result<Option<StreamInfo>, Error> {
        let head = Head::load(&*self.shared.engine()?, id)?;
        Ok(head.map(|head| stream_info(id.clone(), &head)))
    }

    /// The room that it takes; walks nothing.
    ///
    /// # Errors
    /// [`Error::Recovering`].
    pub fn room(&self) -> Result<Room, Error> {
        let engine = self.shared.engine()?;
        Ok(Room {
            live_bytes: self.shared.live_bytes(),
            disk_bytes: engine.disk_bytes(),
            free_bytes: self.shared.free(),
        })
    }

    /// Counts what is there; walks the streams, not the events.
    pub fn stats(&self) -> Result<Stats, Error> {
        let engine = self.shared.engine()?;
        let streams = engine.range(Tree::SessionMeta, (Bound::Unbounded, Bound::Unbounded), false).count();
        let Room { live_bytes, disk_bytes, free_bytes } = self.room()?;
        Ok(Stats {
            first_offset: self.shared.first(),
            next_offset: self.shared.end(),
            streams: streams as u64,
            live_bytes,
            disk_bytes,
            free_bytes,
            indexed: self.shared.indexed(),
            ids: self.shared.ids.load(Ordering::Relaxed),
        })
    }
}

fn info(engine: &dyn Engine, (key, value): &(Vec<u8>, Vec<u8>)) -> Result<StreamInfo, Error> {
    let id = StreamId::new(String::from_utf8_lossy(key))?;
    let head = Head::unpack(value)?.brought_up(engine, &id)?;
    Ok(stream_info(id, &head))
}

fn stream_info(id: StreamId, head: &Head) -> StreamInfo {
    let Head { first_seq, next_seq, status } = *head;
    StreamInfo { id, first_seq, next_seq, status }
}

/// Each stream's events against its meta.
fn check_streams(engine: &dyn Engine, report: &mut Report) -> Result<HashMap<StreamId, StreamInfo>, Error> {
    let mut heads = HashMap::new();
    for pair in engine.range(Tree::SessionMeta, (Bound::Unbounded, Bound::Unbounded), false) {
        let head = info(engine, &pair?)?;
        report.streams += 1;
        let (id, mut next, mut last) = (&head.id, head.first_seq, None);
        let read = read::visit_stream(engine, id, 0, |seq, packed| {
            if seq != next {
                report.violation(format!("{id}: seq {next} is missing, {seq} stands in its place"));
            }
            if last.is_some_and(|last| packed.offset <= last) {
                report.violation(format!("{id}:{seq}: offset {} is not behind the one before", packed.offset));
            }
            if let Err(error) = packed.unpack(id, seq) {
                report.violation(error.to_string());
            }
            if id.class() == Class::Session {
                if (seq == 1) != (packed.kind == SESSION_STARTED) {
                    report.violation(format!("{id}:{seq}: a session begins with session_started, and only there"));
                }
                if packed.kind == SESSION_ENDED && seq + 1 != head.next_seq {
                    report.violation(format!("{id}:{seq}: something follows session_ended"));
                }
            }
            (next, last) = (seq + 1, Some(packed.offset));
            report.events += 1;
            Ok(true)
        });
        if let Err(error) = read {
            report.violation(format!("{id}: {error}"));
        }
        if next != head.next_seq {
            report.violation(format!("{id}: the events end before seq {next}, the meta says {}", head.next_seq));
        }
        heads.insert(head.id.clone(), head);
    }
    let mut last = None;
    for pair in engine.range(Tree::Events, (Bound::Unbounded, Bound::Unbounded), false) {
        let (key, _) = pair?;
        let name = key.split(|byte| *byte == b':').next().map(<[u8]>::to_vec);
        if name == last {
            continue;
        }
        let id = StreamId::new(String::from_utf8_lossy(name.as_deref().unwrap_or_default()));
        if !id.as_ref().is_ok_and(|id| heads.contains_key(id)) {
            report.violation(format!("events of the stream {id:?}, which has no meta"));
        }
        last = name;
    }
    Ok(heads)
}

/// The log against the streams: every event stands in it once, at its offset.
fn check_log(engine: &dyn Engine, heads: &HashMap<StreamId, StreamInfo>, report: &mut Report) -> Result<(), Error> {
    let mut next: Option<Offset> = None;
    let mut logged: HashMap<StreamId, u64> = HashMap::new();
    let mut count = 0;
    for record in read::log_records(engine, 0) {
        let (mut offset, spans) = record?;
        if next.is_some_and(|next| offset < next) {
            report.violation(format!("the log's record at {offset} overlaps the one before"));
        }
        for span in spans {
            let Some(head) = heads.get(&span.session) else {
                report.violation(format!("the log at {offset} names {}, which has no meta", span.session));
                continue;
            };
            let expected = logged.insert(span.session.clone(), span.first_seq + span.count);
            if expected.is_some_and(|expected| expected != span.first_seq) && span.first_seq > head.first_seq {
                report.violation(format!("{}: the log goes on with seq {}", span.session, span.first_seq));
            }
            read::visit_span(engine, &span, |seq, packed| {
                count += 1;
                let at = offset + (seq - span.first_seq);
                if packed.offset != at {
                    report.violation(format!("{}:{seq} stands at {at}, it says {}", span.session, packed.offset));
                }
                Ok(true)
            })?;
            offset += span.count;
        }
        next = Some(offset);
    }
    if count != report.events {
        report.violation(format!("the log has {count} events, the streams have {}", report.events));
    }
    for (id, head) in heads {
        let end = logged.get(id).copied();
        // Of a stream that is trimmed to its end, the log may still have a record that it shares with another.
        if end.is_some_and(|end| end != head.next_seq) && head.first_seq < head.next_seq {
            report.violation(format!("{id}: the log ends before seq {end:?}, the meta says {}", head.next_seq));
        }
    }
    Ok(())
}

/// The index against the log: zones do not overlap, nothing in it is beyond what it has come to, and that is
/// not beyond the log. The remembered ids: all can be read.
fn check_index(store: &Store, engine: &dyn Engine, report: &mut Report) -> Result<(), Error> {
    let mut last: Option<Offset> = None;
    for zone in index::zones(engine)? {
        if last.is_some_and(|last| last > zone.first) {
            report.violation(format!("the index's zone at {} overlaps the one before", zone.first));
        }
        last = Some(zone.end);
    }
    if last.unwrap_or(0) > store.range().end {
        report.violation(format!("the index has come to {last:?}, the log ends at {}", store.range().end));
    }
    let mut greatest = 0;
    for end in index::ends(engine) {
        match end {
            Ok(end) => greatest = greatest.max(end),
            Err(error) => report.violation(error.to_string()),
        }
    }
    // Read last, as it may be moving on.
    let reached = index::reached(engine)?;
    if greatest > reached {
        report.violation(format!("a record of the index ends at {greatest}, it has come to {reached}"));
    }
    if let Err(error) = Ids::load(engine) {
        report.violation(error.to_string());
    }
    Ok(())
}

fn check_cursors(store: &Store, report: &mut Report) -> Result<(), Error> {
    let end = store.range().end;
    for (name, value) in store.scan(Tree::Cursors, "", None, usize::MAX)? {
        match serde_json::from_slice::<serde_json::Value>(&value).ok().and_then(|cursor| cursor["offset"].as_u64())
        {
            Some(offset) if offset <= end => {}
            Some(offset) => report.violation(format!("the cursor {name} is at {offset}, the log ends at {end}")),
            None => report.violation(format!("the cursor {name} cannot be read")),
        }
    }
    Ok(())
}

fn check_values(engine: &dyn Engine, report: &mut Report) -> Result<(), Error> {
    for tree in Tree::ALL {
        for pair in engine.range(tree, (Bound::Unbounded, Bound::Unbounded), false) {
            let (key, value) = pair?;
            if value.len() > MAX_VALUE {
                report.violation(format!("{}: {} has {} bytes", tree.name(), key.escape_ascii(), value.len()));
            }
        }
    }
    for tree in SIDE {
        for pair in parts::whole(engine, tree, (Bound::Unbounded, Bound::Unbounded), false) {
            if let Err(fault) = pair {
                report.violation(fault.to_string());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, testing};
    use crate::store::engine::Op;

    #[test]
    fn what_cannot_be_read_in_the_index_and_among_the_ids_is_told() {
        let check = |op: Op, told: &str| {
            let store = Store::memory();
            store.shared.engine().and_then(|engine| Ok(engine.apply(&[op])?)).expect("room");
            let report = store.check().expect("a check");
            assert!(report.violated == 1 && report.violations[0].contains(told), "{report:?}");
        };
        let offset = 7u64.to_be_bytes();
        check(Op::put(Tree::Index, [b"t", &b"started\0"[..], &offset].concat(), b""), "ends at 8");
        check(Op::put(Tree::Index, [b"t", &b"started\0"[..], &offset].concat(), b"\xff"), "a record of the index");
        check(Op::put(Tree::Ids, offset, b""), "a segment of ids");
    }

    #[test]
    fn a_session_that_does_not_begin_with_its_start_or_goes_on_behind_its_end_is_told() {
        let id_of = |seq: u64| uuid::Uuid::from_u128(seq.into());
        let event = |seq, kind| Event { id: id_of(seq), seq, ..testing::event("s", kind) };
        let events = [event(1, "other"), event(2, "session_ended"), event(3, "other")];
        let store = Store::memory();
        let mut ops = Vec::new();
        let placed = events.iter().map(|event| (event, event.seq - 1, false));
        let span = crate::store::runs::put_events(placed, &mut ops).expect("packed");
        crate::store::runs::put_log(0, span.as_slice(), &mut ops).expect("packed");
        let head = Head { first_seq: 1, next_seq: 4, status: crate::store::Status::Active };
        ops.push(Op::put(Tree::SessionMeta, "s", head.pack().expect("packed")));
        store.shared.engine().and_then(|engine| Ok(engine.apply(&ops)?)).expect("room");
        let told = store.check().expect("a check").violations;
        let expected =
            ["s:1: a session begins with session_started, and only there", "s:2: something follows session_ended"];
        assert_eq!(told, expected);
    }
}
