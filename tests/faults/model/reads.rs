//! Every way to read a store, held against the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchpost::event::{Kind, Logged, Offset, Pattern};
use watchpost::store::{Limit, LogReader, Query, Store, Tree};

use super::state::{Entry, KINDS, State, stream, time};
use super::step::{STREAMS, Step};

const PATTERNS: [&str; 13] = [
    "core.session.session-1.>",
    "core.session.session-2.stopped",
    "core.session.*.crashed",
    "core.*.*.*",
    "core.*.session-1.*",
    "*.h1.>",
    "core.process.>",
    "core.process.ns0.*.*",
    "core.process.ns1.p1.started",
    "core.process.*.p3.*",
    "core.process.*.*.crashed",
    "hub.>",
    "core.session.>",
];

/// Holds a page against what should be on it.
pub(super) fn same(page: &[Logged], expected: &[&Arc<Entry>]) {
    let places = |offsets: &mut dyn Iterator<Item = Offset>| offsets.collect::<Vec<_>>();
    let found = places(&mut page.iter().map(|logged| logged.offset));
    assert_eq!(found, places(&mut expected.iter().map(|entry| entry.offset)), "the offsets on a page");
    for (Logged { event, .. }, entry) in page.iter().zip(expected) {
        let draft = &entry.draft;
        assert_eq!((event.id, event.seq, &event.session), (entry.id, entry.seq, &draft.session));
        assert_eq!((&event.kind, &event.subject, Some(event.ts)), (&draft.kind, &draft.subject, draft.ts));
        assert!(event.data == draft.data, "the payload of {}", event.id);
    }
}

/// A page that may be cut short by its bytes, though never to nothing.
fn same_start(page: &[Logged], expected: &[&Arc<Entry>], limit: Limit) {
    let expected = &expected[..expected.len().min(limit.events)];
    assert!(!page.is_empty() || expected.is_empty(), "an empty page, and there is more");
    same(page, &expected[..page.len().min(expected.len())]);
    if page.len() < expected.len() {
        let bytes: usize = expected[..=page.len()].iter().map(|entry| entry.draft.size()).sum();
        assert!(bytes > limit.bytes, "cut short at {} of {} events, {bytes} bytes", page.len(), expected.len());
    }
}

/// Pages of the log and of each stream from a place on, in both directions, and single events.
pub(super) fn pages(store: &Store, log: &LogReader, state: &State, end: Offset, from: u8, limit: Limit) {
    let from = u64::from(from) * (end + 2) / 255;
    let visible: Vec<_> = state.visible(end).collect();
    let later: Vec<_> = visible.iter().copied().filter(|entry| entry.offset >= from).collect();
    let page = store.log(from, limit).expect("the log is read");
    same_start(&page, &later, limit);
    assert_eq!(log.log(from, limit).expect("the log is read"), page, "what is kept of the log is what is stored");
    let earlier: Vec<_> = visible.iter().rev().copied().filter(|entry| entry.offset < from).collect();
    same_start(&store.log_back(from, limit).expect("the log is read backwards"), &earlier, limit);
    for stream in (0..STREAMS).map(stream) {
        let events: Vec<_> = visible.iter().copied().filter(|entry| entry.draft.session == stream).collect();
        let seq = from % (events.len() as u64 + 3);
        let later: Vec<_> = events.iter().copied().filter(|entry| entry.seq >= seq).collect();
        same_start(&store.stream(&stream, seq, limit).expect("a stream is read"), &later, limit);
        let earlier: Vec<_> = events.iter().rev().copied().filter(|entry| entry.seq < seq).collect();
        same_start(&store.stream_back(&stream, seq, limit).expect("a stream is read backwards"), &earlier, limit);
    }
    if let Some(entry) = state.log.get(from as usize) {
        let found = store.event(entry.id).expect("an event is looked for");
        let seen = entry.offset < end && !state.is_trimmed(entry);
        same(found.as_slice(), if seen { std::slice::from_ref(&entry) } else { &[] });
    }
}

/// All pages of a query.
pub(super) fn query(store: &Store, state: &State, end: Offset, step: &Step) {
    let Step::Query { subject, kind, stream: of, since, until, newest_first, limit } = step else { return };
    let pattern = PATTERNS.get(usize::from(*subject) % (PATTERNS.len() * 2));
    let kind = KINDS.get(usize::from(*kind) % (KINDS.len() * 2));
    let mut query = Query {
        subjects: pattern.map(|pattern| Pattern::parse(pattern).expect("a pattern")).into_iter().collect(),
        kinds: kind.map(|kind| Kind::new(kind).expect("a plain type")).into_iter().collect(),
        session: of.map(stream),
        since: since.map(time),
        until: until.map(time),
        newest_first: *newest_first,
        after: None,
        limit: *limit,
    };
    let asked = query.clone();
    let wanted = |entry: &&Arc<Entry>| {
        let draft = &entry.draft;
        asked.subjects.iter().all(|pattern| pattern.matches(draft.subject.as_str()))
            && asked.kinds.iter().all(|kind| *kind == draft.kind)
            && asked.session.as_ref().is_none_or(|session| *session == draft.session)
            && asked.since.is_none_or(|since| draft.ts >= Some(since))
            && asked.until.is_none_or(|until| draft.ts < Some(until))
    };
    let mut expected: Vec<_> = state.visible(end).filter(wanted).collect();
    if *newest_first {
        expected.reverse();
    }
    let mut found = Vec::new();
    loop {
        let page = store.query(&query).expect("the query is answered");
        assert!(page.events.len() <= *limit, "a page of {} events", page.events.len());
        found.extend(page.events);
        let Some(next) = page.next else { break };
        assert!(query.after.is_none_or(|after| if *newest_first { next < after } else { next > after }), "goes on");
        query.after = Some(next);
    }
    same(&found, &expected);
}

/// The store finds nothing wrong with itself.
pub(super) fn check(store: &Store) {
    let report = store.check().expect("the store is checked");
    assert!(report.violated == 0, "{:?}", report.violations);
}

/// All that is in a store, when all of it is durable; and a copy of it by export and import.
pub(super) fn everything(store: &Store, state: &State) {
    check(store);
    let all: Vec<_> = state.visible(state.log.len() as Offset).collect();
    let read = store.log(0, Limit { events: usize::MAX, bytes: usize::MAX }).expect("the log is read");
    same(&read, &all);
    for tree in [Tree::Snapshots, Tree::Cursors] {
        let found: BTreeMap<_, _> =
            store.scan(tree, "", None, 100).expect("records are read").into_iter().collect();
        let expected = state.records.iter().filter(|((of, _), _)| *of == tree);
        let expected: BTreeMap<_, _> = expected.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        assert!(found == expected, "records: {:?}, expected {:?}", found.keys(), expected.keys());
    }
    for info in store.streams(None, 100).expect("the streams are read") {
        assert_eq!(info.next_seq, state.next_seq(&info.id), "the next seq of {}", info.id);
        assert_eq!(
            info.first_seq,
            state.first_seq.get(&info.id).copied().unwrap_or(1),
            "the first seq of {}",
            info.id
        );
    }
    let mut exported = Vec::new();
    store.export(&mut exported).expect("the store is exported");
    let copy = Store::memory();
    copy.import(&mut exported.as_slice()).expect("an export is imported");
    check(&copy);
    let mut again = Vec::new();
    copy.export(&mut again).expect("the copy is exported");
    assert!(exported == again, "an export of an import is the export");
}
