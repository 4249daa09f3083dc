//! Following a session: stored, then live, without a gap or a double at the seam.

use std::time::Duration;

use tokio::task::JoinSet;
use watchpost::event::{Data, Draft, Kind, Severity, StreamId, Subject, Timestamp};
use watchpost::ingest::Ingest;
use watchpost::session::follow::Follow;
use watchpost::session::tail::Tail;
use watchpost::store::{Store, Submission};

use super::support::history::Log;

const EVENTS: u64 = 120;

fn id(name: &str) -> StreamId {
    StreamId::new(name).expect("an id")
}

fn draft(session: &str, kind: &str, data: &str) -> Draft {
    let (session, kind) = (id(session), Kind::new(kind).expect("a type"));
    let subject = Subject::session(&session, &kind).expect("a subject");
    let data = Data::parse(data.into()).expect("an object");
    Draft::new(session, kind, subject, Severity::Info, data)
}

async fn emit(ingest: &Ingest, session: &str, kind: &str, data: &str) -> u64 {
    let draft = draft(session, kind, data);
    ingest.submit(Submission::events(vec![draft])).await.expect("taken")[0].seq
}

/// Event number `seq` of a session of [`EVENTS`].
async fn write(ingest: &Ingest, session: &str, seq: u64) {
    let (kind, data) = match seq {
        1 => ("session_started", "{}"),
        EVENTS => ("session_ended", r#"{"status":"completed"}"#),
        _ => ("scan_progress", "{}"),
    };
    assert_eq!(emit(ingest, session, kind, data).await, seq);
}

/// What a follower sees, to the end of the session.
async fn seen(mut follow: Follow) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(logged) = follow.next().await.expect("a store") {
        seen.push(logged.event.seq);
    }
    seen
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_that_begin_at_every_seq_see_each_event_once_while_a_writer_writes() {
    let log = Log::on(Store::memory());
    let tail = Tail::new(log.store.clone());
    let mut followers = JoinSet::new();
    for written in 1..=EVENTS {
        // One that begins where the log is, one far ahead of it, one far behind.
        for from in [written, EVENTS + 1 - written, written / 2] {
            let follow = tail.follow(id("s"), from);
            followers.spawn(async move { (from.max(1), seen(follow).await) });
        }
        write(&log.ingest, "s", written).await;
        emit(&log.ingest, "other", if written == 1 { "session_started" } else { "scan_progress" }, "{}").await;
    }
    for (from, seen) in in_time(followers.join_all()).await {
        assert_eq!(seen, (from..=EVENTS).collect::<Vec<_>>(), "from {from}");
    }
    log.close();
}

#[tokio::test]
async fn follow_reads_newly_committed_events_during_an_active_session() {
    let log = Log::on(Store::memory());
    let mut follow = Follow::new(log.store.clone(), id("s"), 1);
    for seq in 1..EVENTS {
        assert!(follow.try_next().expect("a store").is_none());
        write(&log.ingest, "s", seq).await;
        let logged = in_time(follow.next()).await.expect("a store").expect("an event");
        assert_eq!(logged.event.seq, seq);
    }
    assert!(!follow.has_ended());
    log.close();
}

#[tokio::test]
async fn a_slow_reader_delays_neither_the_writer_nor_another_reader() {
    let log = Log::on(Store::memory());
    write(&log.ingest, "s", 1).await;
    let mut slow = Follow::new(log.store.clone(), id("s"), 1);
    slow.next().await.expect("a store").expect("an event");
    let other = tokio::spawn(seen(Follow::new(log.store.clone(), id("s"), 1)));
    for seq in 2..=EVENTS {
        write(&log.ingest, "s", seq).await;
    }
    assert_eq!(in_time(other).await.expect("no panic").len() as u64, EVENTS);
    for seq in 2..=EVENTS {
        assert_eq!(slow.next().await.expect("a store").map(|logged| logged.event.seq), Some(seq));
    }
    assert!(in_time(slow.next()).await.expect("a store").is_none());
    log.close();
}

#[tokio::test]
async fn one_that_begins_behind_the_end_of_a_session_ends_at_once() {
    let log = Log::on(Store::memory());
    for seq in 1..=EVENTS {
        write(&log.ingest, "s", seq).await;
    }
    assert_eq!(in_time(seen(Follow::new(log.store.clone(), id("s"), EVENTS + 1))).await, [0; 0]);
    assert_eq!(in_time(seen(Follow::new(log.store.clone(), id("s"), EVENTS))).await, [EVENTS]);
    log.close();
}

#[tokio::test]
async fn a_session_that_was_pruned_is_over_for_who_follows_it() {
    let log = Log::on(Store::memory());
    for seq in 1..=EVENTS {
        let kind = if seq == 1 { "session_started" } else { "session_ended" };
        if seq == 1 || seq == EVENTS {
            let long_ago = Some(Timestamp::from_millis(1_577_836_800_000));
            let draft = Draft { ts: long_ago, ..draft("s", kind, r#"{"status":"completed"}"#) };
            log.ingest.submit(Submission::events(vec![draft])).await.expect("taken");
        } else {
            // More than a page, in all.
            let data = format!(r#"{{"x":"{}"}}"#, "x".repeat(20_000));
            log.ingest.submit(Submission::events(vec![draft("s", "mine", &data)])).await.expect("taken");
        }
    }
    let mut begun = Follow::new(log.store.clone(), id("s"), 1);
    begun.next().await.expect("a store").expect("an event");
    let mut none = Follow::new(log.store.clone(), id("t"), 7);
    log.store.maintainer().pass(true).expect("indexed");
    assert_eq!(log.ingest.prune().await.expect("pruned").sessions, 1);
    let rest = in_time(seen(begun)).await;
    assert!(rest.len() < 60 && rest.first() == Some(&2), "what was in memory, and no more: {rest:?}");
    assert!(
        none.try_next().expect("a store").is_none() && !none.has_ended(),
        "one that has not begun is waited for"
    );
    log.close();
}
