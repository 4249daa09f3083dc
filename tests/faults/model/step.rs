//! What may happen to a store.

use proptest::prelude::*;

/// So many streams are written to; see `state::stream`.
pub(super) const STREAMS: u8 = 5;
/// So many sender's ids are drawn for each stream, so that they repeat.
const IDS: u8 = 6;
/// So many records beside the log are written.
const RECORDS: u8 = 3;
/// So many sinks are delivered to; the first is required.
pub(super) const SINKS: u8 = 2;

/// An event that is sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) stream: u8,
    /// About how many bytes its payload has.
    pub(super) size: usize,
    /// The sender's id, and whether a repeat has the content that was sent before.
    pub(super) id: Option<(u8, bool)>,
    /// Chooses type, subject and time.
    pub(super) kind: u8,
}

/// Events and records that are committed together.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) events: Vec<Sent>,
    /// A record beside the log, by number, and the size that it gets; `None` removes it.
    pub(super) record: Option<(u8, Option<usize>)>,
    /// Whether a second record goes along that the store refuses, and all with it.
    pub(super) bad_record: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One batch is applied.
    Apply(Vec<Sending>),
    /// Everything is made durable.
    Flush,
    /// The disk refuses a batch; then so many of those before are lost (none: nothing), and it is opened again.
    ApplyFails(Vec<Sent>, Option<usize>),
    /// The same with a flush.
    FlushFails(Option<usize>),
    /// A batch comes while there is no room.
    NoRoom(Vec<Sent>),
    /// The process is killed, and of what was not flushed only the first so many batches are there.
    Crash(usize),
    /// The process ends and another one starts.
    Reopen,
    /// A follower reads on from a place, so many at once.
    Read { from: u8, events: usize, bytes: usize },
    /// A query, so many at once.
    Query {
        subject: u8,
        kind: u8,
        stream: Option<u8>,
        since: Option<u8>,
        until: Option<u8>,
        newest_first: bool,
        limit: usize,
    },
    /// A sink takes so many events; its cursor moves.
    Deliver { sink: u8, events: usize },
    /// The index takes up what it can.
    Index { partial: bool },
    /// What is old and confirmed is trimmed; `true`: everything is old.
    Trim(bool),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..300usize, 2 => 1500..2500usize, 2 => 5500..6800usize, 1 => 15_000..25_000usize, 1 => 60_000..64_000usize]
}

fn sent() -> impl Strategy<Value = Sent> {
    let id = prop::option::of((0..IDS, prop::bool::weighted(0.8)));
    (0..STREAMS, size(), id, any::<u8>()).prop_map(|(stream, size, id, kind)| Sent { stream, size, id, kind })
}

fn sending() -> impl Strategy<Value = Sending> {
    let record = prop::option::weighted(0.3, (0..RECORDS, prop::option::weighted(0.8, size())));
    (prop::collection::vec(sent(), 0..6), record, prop::bool::weighted(0.05))
        .prop_map(|(events, record, bad_record)| Sending { events, record, bad_record })
}

fn loss() -> impl Strategy<Value = Option<usize>> {
    prop::option::of(0..6usize)
}

/// One step, the usual ones more often.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let events = || prop::collection::vec(sent(), 1..4);
    let time = || prop::option::of(any::<u8>());
    let query = (any::<u8>(), any::<u8>(), prop::option::of(0..STREAMS), time(), time(), any::<bool>(), 1..8usize);
    prop_oneof![
        10 => prop::collection::vec(sending(), 1..4).prop_map(Step::Apply),
        8 => Just(Step::Flush),
        1 => (events(), loss()).prop_map(|(events, loss)| Step::ApplyFails(events, loss)),
        1 => loss().prop_map(Step::FlushFails),
        1 => events().prop_map(Step::NoRoom),
        2 => (0..6usize).prop_map(Step::Crash),
        1 => Just(Step::Reopen),
        4 => (any::<u8>(), 1..12usize, prop_oneof![Just(8 << 20), 1..70_000usize])
            .prop_map(|(from, events, bytes)| Step::Read { from, events, bytes }),
        3 => query.prop_map(|(subject, kind, stream, since, until, newest_first, limit)| {
            Step::Query { subject, kind, stream, since, until, newest_first, limit }
        }),
        4 => (0..SINKS, 1..10usize).prop_map(|(sink, events)| Step::Deliver { sink, events }),
        2 => any::<bool>().prop_map(|partial| Step::Index { partial }),
        2 => any::<bool>().prop_map(Step::Trim),
    ]
}
