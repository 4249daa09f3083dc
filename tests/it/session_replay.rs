//! The state of a session out of the store: by a full replay, from a snapshot, and after a restart at any point.

use watchpost::demo::Workload;
use watchpost::event::StreamId;
use watchpost::session::replay::replay;
use watchpost::state::session::{NodeStatus, Session, Status};
use watchpost::store::{Limit, Store, Tree, Write};

use super::support::daemon;
use super::support::session::Written;

/// Folds what a stream has from where a session stands.
fn catch_up(session: &mut Session, store: &Store, id: &StreamId) {
    loop {
        let page = store.stream(id, session.seq() + 1, Limit::events(64)).expect("a page");
        if page.is_empty() {
            return;
        }
        page.iter().for_each(|logged| session.apply(&logged.event));
    }
}

fn replayed(written: &Written) -> Session {
    replay(&written.store, &written.id, None).expect("a state")
}

fn snapshots(store: &Store) -> Vec<String> {
    let found = store.scan(Tree::Folds, "session/", None, 100).expect("the folds");
    found.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn replay_query_rebuilds_final_session_state_for_completed_session() {
    let mut written = Written::new(Store::memory(), "s", &Workload::default());
    let events = written.write(usize::MAX) as u64;
    let session = replayed(&written);
    assert_eq!((session.status(), session.seq()), (Status::Completed, events));
    assert_eq!(session, written.live);
    assert_eq!(session.hash(), written.live.hash());
    let view = session.view();
    assert_eq!((view.wrong.total(), view.unknown.total(), view.requests.len()), (0, 0, 0));
    // What it counted itself is what the program says that it did.
    let end = view.end.expect("an end");
    assert_eq!(view.counts.complete, end.counts["generated"]);
    assert_eq!(view.counts.failed, end.counts["failed"]);
    assert_eq!(view.counts.skipped, end.counts["skipped"]);
    for level in &view.levels {
        let told = level.level.told.expect("every level was completed");
        let counts = level.level.counts;
        assert_eq!((told.generated, told.failed), (Some(counts.complete), Some(counts.failed)), "{level:?}");
    }
}

#[test]
fn a_fold_that_changes_has_another_format() {
    let mut session = Written::new(Store::memory(), "s", &Workload::default());
    session.write(usize::MAX);
    // When this fails, saved snapshots must not be read by the new fold: raise FORMAT in src/state/session.rs, which
    // is the first byte, and write both anew.
    assert_eq!((session.live.snapshot()[0], &session.live.hash()[..16]), (1, "4c7a4c2ada2ae749"));
}

#[test]
fn replay_up_to_a_seq_is_the_state_at_that_time() {
    let mut written = Written::new(Store::memory(), "s", &Workload::default());
    let mut then = Vec::new();
    while written.write(25) > 0 {
        then.push((written.live.seq(), written.live.hash()));
    }
    for (seq, hash) in then {
        let session = replay(&written.store, &written.id, Some(seq)).expect("a state");
        assert_eq!((session.seq(), session.hash()), (seq, hash));
    }
    let nobody = StreamId::new("nobody").expect("an id");
    assert_eq!(replay(&written.store, &nobody, None).expect("no error"), Session::default());
}

#[test]
fn a_reader_restarted_at_every_point_of_a_session_of_200_events_sees_the_same_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = daemon::store(dir.path());
    let mut written = Written::new(Store::open(&settings).expect("a store"), "s", &Workload::default());
    let mut readers = Vec::new();
    for point in 1..=200 {
        assert_eq!(written.write(1), 1);
        // One that starts here, with nothing but the store.
        let restarted = replayed(&written);
        assert_eq!((restarted.seq(), restarted.hash()), (point, written.live.hash()));
        readers.push(restarted);
    }
    assert!(written.live.counts().of(NodeStatus::Complete) > 0);
    let (id, live) = written.close();
    // All of them go on where they stood, in a process that opens the store anew.
    let store = Store::open(&settings).expect("the same store");
    for mut reader in readers {
        catch_up(&mut reader, &store, &id);
        assert_eq!(reader, live);
    }
    assert_eq!(replay(&store, &id, None).expect("a state").hash(), live.hash());
}

#[test]
fn a_long_session_opens_from_its_snapshot_with_the_state_of_a_full_replay() {
    let workload = Workload::of_events(3, 14_000);
    let mut written = Written::new(Store::memory(), "s", &workload);
    written.write(9_000);
    assert_eq!(replayed(&written), written.live);
    assert_eq!(snapshots(&written.store), Vec::<String>::new(), "too few events for a snapshot");
    written.write(2_000);
    assert_eq!(replayed(&written), written.live);
    let saved = snapshots(&written.store);
    assert!(saved.contains(&"session/s/head".to_owned()) && saved.len() > 1, "{saved:?}");
    written.write(500);
    assert_eq!(replayed(&written).hash(), written.live.hash());
    assert_eq!(snapshots(&written.store), saved, "it was near enough");
    // From the snapshot, and not from the start: what is in front of it is not looked at.
    let until = |seq| replay(&written.store, &written.id, Some(seq)).expect("a state").seq();
    assert_eq!((until(11_200), until(100)), (11_200, 100));
}

#[test]
fn a_snapshot_that_is_torn_stale_or_of_another_version_is_passed_over() {
    let workload = Workload::of_events(3, 12_000);
    let mut written = Written::new(Store::memory(), "s", &workload);
    written.write(11_000);
    let full = replayed(&written);
    let (head, part) = ("session/s/head", "session/s/a/0000");
    let get = |key| written.store.get(Tree::Folds, key).expect("no error").expect("a value");
    let (good_head, good_part) = (get(head), get(part));
    let put = |writes: &[Write]| written.store.put(writes).expect("room");
    let reset = || {
        put(&[Write::put(Tree::Folds, head, good_head.clone()), Write::put(Tree::Folds, part, good_part.clone())]);
    };
    let check = |what: &str| {
        assert_eq!(replay(&written.store, &written.id, None).expect("a state"), full, "{what}");
        reset();
    };
    put(&[Write::remove(Tree::Folds, part)]);
    check("a part is missing");
    let mut other = good_part.clone();
    other[0] ^= 1;
    put(&[Write::put(Tree::Folds, part, other)]);
    check("a part of another snapshot");
    let mut newer = good_part.clone();
    newer[8] += 1;
    put(&[Write::put(Tree::Folds, part, newer)]);
    check("another version of the fold");
    put(&[Write::put(Tree::Folds, head, "{}")]);
    check("no head");
    let text = String::from_utf8(good_head.clone()).expect("JSON");
    put(&[Write::put(Tree::Folds, head, text.replace("2025", "2024"))]);
    check("of an older session with the same id");
    assert!(text.contains("2025"), "{text}");
}
