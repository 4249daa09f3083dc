//! The rules of sessions, as the store's writer holds them, the list of sessions, and pruning.

use std::sync::Arc;
use std::time::Duration;

use watchpost::config;
use watchpost::event::{Data, Draft, Event, Kind, SenderId, Severity, StreamId, Subject, Timestamp};
use watchpost::session::replay::replay;
use watchpost::state::session::Session;
use watchpost::store::{
    Disk, Flusher, Limit, MAX_BATCH_EVENTS, Outcome, Refused, SessionInfo, SessionQuery, Status, Store, Submission,
    Tree, Write, Writer,
};

const DAY: i64 = 24 * 3600 * 1000;

fn id(session: &str) -> StreamId {
    StreamId::new(session).expect("an id")
}

fn draft(session: &str, kind: &str, data: &str) -> Draft {
    let kind = Kind::new(kind).expect("a type");
    let subject = Subject::session(&id(session), &kind).expect("a subject");
    Draft::new(id(session), kind, subject, Severity::Info, Data::parse(data.into()).expect("an object"))
}

fn started(session: &str) -> Draft {
    draft(session, "session_started", r#"{"command":"make all","args":["-j"]}"#)
}

fn ended(session: &str, status: &str) -> Draft {
    draft(session, "session_ended", &format!(r#"{{"status":"{status}"}}"#))
}

/// A store with its writer.
struct Open {
    store: Store,
    writer: Writer,
    flusher: Flusher,
}

impl Open {
    fn new(store: Store) -> Self {
        let (writer, flusher) = store.writer().expect("the writer");
        Self { store, writer, flusher }
    }

    fn memory() -> Self {
        Self::new(Store::memory())
    }

    fn submit(&mut self, submission: Submission) -> Outcome {
        let outcome = self.writer.apply(&[submission]).expect("room").remove(0);
        self.flusher.flush(self.writer.next_offset()).expect("durable");
        outcome
    }

    fn send(&mut self, draft: Draft) -> Result<u64, Refused> {
        Ok(self.submit(Submission::events(vec![draft]))?[0].seq)
    }

    fn events(&self, session: &str) -> Vec<Event> {
        let events = self.store.stream(&id(session), 1, Limit::events(10_000)).expect("a stream");
        events.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)).collect()
    }

    fn kinds(&self, session: &str) -> Vec<String> {
        self.events(session).iter().map(|event| event.kind.to_string()).collect()
    }

    fn session(&self, session: &str) -> SessionInfo {
        self.store.session(&id(session)).expect("no error").expect("a session")
    }

    /// The ids of the list, the newest first.
    fn list(&self, query: SessionQuery) -> Vec<String> {
        let page = self.store.sessions(&query).expect("a page");
        page.sessions.iter().map(|session| session.id.to_string()).collect()
    }
}

#[test]
fn a_session_begins_with_session_started_and_ends_with_session_ended() {
    let mut open = Open::memory();
    let refused = open.send(draft("s", "level_started", "{}")).expect_err("not started");
    assert_eq!(refused, Refused::NotStarted { index: 0, session: id("s") });
    assert_eq!(open.send(started("s")), Ok(1));
    let refused = open.send(started("s")).expect_err("started already").to_string();
    assert!(refused.contains("type") && refused.contains("only at the beginning"), "{refused}");
    assert_eq!(open.send(draft("s", "anything", "{}")), Ok(2));
    let refused = open.send(ended("s", "fine")).expect_err("no status").to_string();
    assert!(refused.contains("data.status: expected completed or failed, found \"fine\""), "{refused}");
    assert_eq!(open.send(ended("s", "completed")), Ok(3));
    for late in [draft("s", "anything", "{}"), ended("s", "failed"), draft("s", "session_interrupted", "{}")] {
        assert_eq!(open.send(late), Err(Refused::Ended { index: 0, session: id("s") }));
    }
    let session = open.session("s");
    assert_eq!((session.status, session.events, session.segments), (Status::Completed, 3, 1));
    assert_eq!((session.command(), session.end.is_some()), ("make all".into(), true));
    assert_eq!(open.store.check().expect("a check").violations, Vec::<String>::new());
}

#[test]
fn a_repeat_of_a_stored_event_gets_its_first_answer_also_after_the_end() {
    let mut open = Open::memory();
    let sent = |draft: Draft, id: &str| Draft { id: Some(SenderId::new(id).expect("an id")), ..draft };
    assert_eq!(open.send(sent(started("s"), "a")), Ok(1));
    assert_eq!(open.send(sent(ended("s", "failed"), "b")), Ok(2));
    assert_eq!(open.send(sent(started("s"), "a")), Ok(1));
    assert_eq!(open.send(sent(ended("s", "failed"), "b")), Ok(2));
    let refused = open.send(sent(ended("s", "completed"), "b")).expect_err("another end");
    assert!(matches!(refused, Refused::Conflict { field: "data", .. }), "{refused}");
}

/// A whole commit fits behind a session that is resumed by it, however it is cut into submissions.
#[test]
fn a_whole_commit_can_resume_its_session() {
    let mut open = Open::memory();
    let interrupt = || draft("s", "session_interrupted", r#"{"reason":"idle"}"#);
    open.send(started("s")).expect("taken");
    open.send(interrupt()).expect("taken");
    let whole = vec![draft("s", "scan_progress", "{}"); MAX_BATCH_EVENTS];
    let receipts = open.submit(Submission::events(whole.clone())).expect("taken");
    assert_eq!(receipts.last().map(|receipt| receipt.seq), Some(3 + MAX_BATCH_EVENTS as u64));
    open.send(interrupt()).expect("taken");
    let apart: Vec<_> = whole.into_iter().map(|draft| Submission::events(vec![draft])).collect();
    let outcomes = open.writer.apply(&apart).expect("room");
    assert_eq!(outcomes.into_iter().find(Result::is_err), None);
}

#[test]
fn a_session_is_interrupted_once_and_resumed_by_nobody_but_the_store() {
    let mut open = Open::memory();
    open.send(started("s")).expect("taken");
    assert_eq!(open.send(draft("s", "session_interrupted", r#"{"reason":"idle"}"#)), Ok(2));
    assert_eq!(open.session("s").status, Status::Interrupted);
    let again = open.send(draft("s", "session_interrupted", "{}")).expect_err("interrupted already").to_string();
    assert!(again.contains("the session is interrupted"), "{again}");
    let forged = open.send(draft("s", "session_resumed", "{}")).expect_err("not for senders").to_string();
    assert!(forged.contains("written by the store itself"), "{forged}");
    assert_eq!(open.kinds("s"), ["session_started", "session_interrupted"]);
}

#[test]
fn what_resumes_a_session_stands_before_its_event_in_the_same_commit() {
    let mut open = Open::memory();
    open.send(started("s")).expect("taken");
    open.send(draft("s", "session_interrupted", "{}")).expect("taken");
    assert_eq!(open.send(draft("s", "level_started", "{}")), Ok(4));
    assert_eq!(open.kinds("s")[2..], ["session_resumed", "level_started"]);
    let resumed: serde_json::Value = open.events("s")[2].data.read().expect("JSON");
    assert_eq!((resumed["segment"].as_u64(), resumed["interrupted_seq"].as_u64()), (Some(2), Some(2)));
    let session = open.session("s");
    assert_eq!((session.status, session.segments, session.events), (Status::Active, 2, 4));
    // A submission that is refused leaves it as it was.
    open.send(draft("s", "session_interrupted", "{}")).expect("taken");
    let bad = vec![draft("s", "level_started", "{}"), started("s")];
    open.submit(Submission::events(bad)).expect_err("started twice");
    assert_eq!((open.session("s").status, open.session("s").events), (Status::Interrupted, 5));
    // One commit may hold several turns.
    let turns = vec![
        draft("s", "a", "{}"),
        draft("s", "session_interrupted", "{}"),
        draft("s", "b", "{}"),
        ended("s", "completed"),
    ];
    open.submit(Submission::events(turns)).expect("taken");
    let expected =
        ["session_resumed", "a", "session_interrupted", "session_resumed", "b", "session_ended"].map(String::from);
    assert_eq!(open.kinds("s")[5..], expected);
    assert_eq!((open.session("s").segments, open.session("s").status), (4, Status::Completed));
    assert_eq!(open.store.check().expect("a check").violations, Vec::<String>::new());
}

#[test]
fn a_person_closes_an_interrupted_session_without_resuming_it() {
    let mut open = Open::memory();
    for session in ["a", "b"] {
        open.send(started(session)).expect("taken");
        open.send(draft(session, "session_interrupted", "{}")).expect("taken");
    }
    let closed = draft("a", "session_ended", r#"{"status":"failed","closed":true}"#);
    assert_eq!(open.send(closed), Ok(3));
    assert_eq!((open.session("a").status, open.session("a").segments), (Status::Failed, 1));
    assert_eq!(open.send(ended("b", "completed")), Ok(4));
    assert_eq!(open.kinds("b")[2..], ["session_resumed", "session_ended"]);
}

#[test]
fn a_session_that_ingest_failed_has_failed_may_be_written_to_and_how_it_ends_decides() {
    let mut open = Open::memory();
    open.send(started("s")).expect("taken");
    open.send(draft("s", "ingest_failed", r#"{"error":"no room"}"#)).expect("taken");
    let session = open.session("s");
    assert_eq!((session.status, session.end), (Status::Failed, None));
    assert_eq!(open.send(draft("s", "level_started", "{}")), Ok(3));
    assert_eq!(open.session("s").status, Status::Failed);
    assert_eq!(open.send(ended("s", "completed")), Ok(4));
    assert_eq!(open.session("s").status, Status::Completed);
}

#[test]
fn a_submission_may_say_which_event_it_expects_to_be_the_last() {
    let mut open = Open::memory();
    let expecting =
        |draft, seq| Submission { expected_last_seq: Some((id("s"), seq)), ..Submission::events(vec![draft]) };
    open.submit(expecting(started("s"), 0)).expect("nothing was there");
    let moved = open.submit(expecting(draft("s", "session_interrupted", "{}"), 0)).expect_err("moved");
    assert_eq!(moved, Refused::Moved { session: id("s"), last_seq: 1 });
    open.submit(expecting(draft("s", "session_interrupted", "{}"), 1)).expect("as expected");
}

#[test]
fn the_rules_hold_on_after_the_store_was_opened_again() {
    let disk = Disk::default();
    let mut open = Open::new(Store::on(&disk).expect("a store"));
    for session in ["ended", "interrupted", "active"] {
        open.send(started(session)).expect("taken");
    }
    open.send(ended("ended", "failed")).expect("taken");
    open.send(draft("interrupted", "session_interrupted", "{}")).expect("taken");
    drop(open);
    let mut open = Open::new(Store::on(&disk).expect("the same store"));
    assert!(matches!(open.send(draft("ended", "a", "{}")), Err(Refused::Ended { .. })));
    assert_eq!(open.send(draft("interrupted", "a", "{}")), Ok(4));
    assert_eq!(open.send(draft("active", "a", "{}")), Ok(2));
    assert_eq!(open.session("ended").status, Status::Failed);
}

fn at(draft: Draft, millis: i64) -> Draft {
    Draft { ts: Some(Timestamp::from_millis(millis)), ..draft }
}

#[test]
fn sessions_are_listed_newest_first_by_pages_and_found_by_the_beginning_of_their_ids() {
    let mut open = Open::memory();
    for n in 0..25i64 {
        let name = format!("run-{:02}", (n * 7) % 25);
        let command = if n % 5 == 0 { "Make docs" } else { "build" };
        let data = format!(r#"{{"command":"{command}"}}"#);
        open.send(at(draft(&name, "session_started", &data), n * 1000)).expect("taken");
        if n % 2 == 0 {
            open.send(at(ended(&name, "completed"), n * 1000 + 500)).expect("taken");
        }
    }
    open.send(draft("hub-builds", "other", "{}")).expect("no session, but a stream");
    let newest: Vec<String> = (0..25i64).rev().map(|n| format!("run-{:02}", (n * 7) % 25)).collect();
    assert_eq!(open.list(SessionQuery::default()), newest);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page =
            open.store.sessions(&SessionQuery { limit: 4, after, ..SessionQuery::default() }).expect("a page");
        assert!(page.sessions.len() == 4 || page.next.is_none(), "only the last page is short");
        paged.extend(page.sessions.iter().map(|session| session.id.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, newest);
    let query = |statuses: &[Status], command: Option<&str>| SessionQuery {
        statuses: statuses.to_vec(),
        command: command.map(String::from),
        ..SessionQuery::default()
    };
    assert_eq!(open.list(query(&[Status::Completed], None)).len(), 13);
    assert_eq!(open.list(query(&[Status::Active], Some("make"))).len(), 2);
    let between = SessionQuery {
        since: Some(Timestamp::from_millis(3000)),
        until: Some(Timestamp::from_millis(5000)),
        ..SessionQuery::default()
    };
    assert_eq!(open.list(between).len(), 2);
    let none = SessionQuery {
        since: Some(Timestamp::from_millis(5000)),
        until: Some(Timestamp::from_millis(3000)),
        ..SessionQuery::default()
    };
    assert_eq!(open.list(none).len(), 0);
    let bad = SessionQuery { after: Some("x".into()), ..SessionQuery::default() };
    assert!(open.store.sessions(&bad).expect_err("no place").to_string().contains("after"));
    assert_eq!(open.store.latest_session().expect("no error").expect("one").id.as_str(), newest[0]);
    let found = |prefix: &str| open.store.find_sessions(prefix).expect("no error").len();
    assert_eq!((found("run-1"), found("run-13"), found("run-9"), found("hub")), (10, 1, 0, 0));
}

/// A store whose sessions are kept so long, and so many of them.
fn keeping(dir: &tempfile::TempDir, keep: Duration, max_sessions: u64) -> Open {
    let settings = config::Store {
        dir: dir.path().join("store"),
        min_free: 0,
        unsafe_fs: true,
        keep_sessions: keep,
        max_sessions,
        ..config::Store::default()
    };
    Open::new(Store::open(&settings).expect("a store"))
}

/// Lets the index catch up: what it has not reached is too young to go.
fn index(open: &Open) {
    while open.store.maintainer().behind() > 0 {
        open.store.maintainer().pass(true).expect("a pass");
    }
}

fn prune(open: &mut Open, now: Timestamp) -> u64 {
    index(open);
    let marked = open.writer.mark_prunable(now).expect("no error");
    while !open.writer.forget().expect("no error").is_empty() {}
    assert!(!open.writer.is_pruning());
    open.flusher.flush(open.writer.next_offset()).expect("durable");
    assert_eq!(open.store.check().expect("a check").violations, Vec::<String>::new());
    marked
}

/// Ten sessions that ended, a day apart, their events between one another's; then one that is active and one
/// that is interrupted, older than all.
fn twelve(open: &mut Open) -> Timestamp {
    let now = Timestamp::now();
    let day = |n: i64| now.as_millis() - (10 - n) * DAY;
    for old in ["active", "interrupted"] {
        open.send(at(started(old), day(-100))).expect("taken");
    }
    open.send(at(draft("interrupted", "session_interrupted", "{}"), day(-99))).expect("taken");
    for n in 0..10 {
        open.send(at(started(&format!("s{n}")), day(n))).expect("taken");
    }
    for round in 0..50 {
        let drafts = (0..10).map(|n| at(draft(&format!("s{n}"), "level_started", r#"{"level_index":1}"#), day(n)));
        let more = [draft("active", "level_started", "{}"), draft("hub-builds", "other", "{}")];
        let drafts: Vec<Draft> = drafts.chain(more).skip(round % 3).collect();
        open.submit(Submission::events(drafts)).expect("taken");
    }
    for n in 0..10 {
        open.send(at(ended(&format!("s{n}"), if n % 2 == 0 { "completed" } else { "failed" }), day(n) + 1000))
            .expect("taken");
    }
    now
}

#[test]
fn pruning_removes_oldest_completed_sessions_by_count() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = keeping(&dir, Duration::from_secs(1000 * 24 * 3600), 4);
    let now = twelve(&mut open);
    let before = open.store.stats().expect("stats").live_bytes;
    assert_eq!(prune(&mut open, now), 6);
    let listed = open.list(SessionQuery::default());
    assert_eq!(listed, ["s9", "s8", "s7", "s6", "interrupted", "active"]);
    assert!(open.events("s5").is_empty() && !open.events("s6").is_empty());
    assert!(open.store.stats().expect("stats").live_bytes < before);
    assert_eq!(prune(&mut open, now), 0);
    // What is left reads as before, through the log and by queries.
    let all = open.store.log(0, Limit::events(10_000)).expect("the log");
    let gone = ["s0", "s1", "s2", "s3", "s4", "s5"];
    assert!(all.iter().all(|logged| !gone.contains(&logged.event.session.as_str())));
    assert_eq!(all.iter().filter(|logged| logged.event.session.as_str() == "active").count(), 51);
    assert!(matches!(open.send(draft("s0", "a", "{}")), Err(Refused::NotStarted { .. })));
    assert_eq!(open.send(started("s0")), Ok(1));
}

#[test]
fn pruning_removes_expired_completed_sessions_by_age() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = keeping(&dir, Duration::from_secs(3 * 24 * 3600), 500);
    let now = twelve(&mut open);
    index(&open);
    assert_eq!(open.store.prunable(now).expect("no error").len(), 7);
    assert_eq!(prune(&mut open, now), 7);
    assert_eq!(open.list(SessionQuery::default()), ["s9", "s8", "s7", "interrupted", "active"]);
}

#[test]
fn active_and_interrupted_sessions_are_excluded_from_pruning() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = keeping(&dir, Duration::from_millis(1), 0);
    twelve(&mut open);
    assert_eq!(prune(&mut open, Timestamp::now().plus_millis(400 * DAY)), 10);
    assert_eq!(open.list(SessionQuery::default()), ["interrupted", "active"]);
}

#[test]
fn what_a_required_sink_has_not_confirmed_is_not_pruned() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = keeping(&dir, Duration::from_millis(1), 0);
    twelve(&mut open);
    let later = Timestamp::now().plus_millis(400 * DAY);
    let confirm = |open: &Open, offset: u64| {
        let cursor = format!(r#"{{"offset":{offset},"required":true}}"#);
        open.store.put(&[Write::put(Tree::Cursors, "jetstream", cursor)]).expect("room");
    };
    confirm(&open, 20);
    assert_eq!(prune(&mut open, later), 0);
    let ends = open.store.range().end;
    confirm(&open, ends - 4);
    assert_eq!(prune(&mut open, later), 6);
    confirm(&open, ends);
    assert_eq!(prune(&mut open, later), 4);
}

#[test]
fn pruning_that_was_cut_off_is_taken_up_again() {
    let disk = Disk::default();
    let mut open = Open::new(Store::on(&disk).expect("a store"));
    open.send(started("long")).expect("taken");
    open.send(started("other")).expect("taken");
    for _ in 0..20 {
        let drafts = (0..100).map(|_| draft("long", "level_started", "{}")).collect();
        open.submit(Submission::events(drafts)).expect("taken");
        open.send(draft("other", "level_started", "{}")).expect("taken");
    }
    open.send(ended("long", "completed")).expect("taken");
    index(&open);
    open.writer.mark_prunable(Timestamp::now().plus_millis(400 * DAY)).expect("no error");
    let step = open.writer.forget().expect("no error");
    assert!(step.events > 0 && step.sessions == 0, "{step:?}");
    open.flusher.flush(open.writer.next_offset()).expect("durable");
    assert_eq!(open.list(SessionQuery::default()), ["other"]);
    drop(open);
    let mut open = Open::new(Store::on(&disk).expect("the same store"));
    assert!(open.writer.is_pruning());
    while !open.writer.forget().expect("no error").is_empty() {}
    open.flusher.flush(open.writer.next_offset()).expect("durable");
    assert_eq!(open.store.check().expect("a check").violations, Vec::<String>::new());
    assert_eq!(open.events("other").len(), 21);
    assert_eq!(open.store.log(0, Limit::events(10_000)).expect("the log").len(), 21);
}

/// A snapshot that is saved while its session goes does not stay behind, and what is left of the session is no
/// state of it.
#[test]
fn a_session_that_is_being_pruned_has_no_state_and_leaves_no_snapshot() {
    let mut open = Open::memory();
    open.send(started("long")).expect("taken");
    open.submit(Submission::events(vec![draft("long", "level_started", "{}"); 1000])).expect("taken");
    open.send(ended("long", "completed")).expect("taken");
    index(&open);
    open.writer.mark_prunable(Timestamp::now().plus_millis(400 * DAY)).expect("no error");
    assert!(open.writer.forget().expect("no error").events > 0);
    open.store.put(&[Write::put(Tree::Folds, "session/long/a/0000", vec![0; 10_000])]).expect("room");
    assert_eq!(replay(&open.store, &id("long"), None), Ok(Session::default()));
    while !open.writer.forget().expect("no error").is_empty() {}
    assert_eq!(open.store.scan(Tree::Folds, "session/", None, 10), Ok(Vec::new()));
    assert_eq!(open.store.check().expect("a check").violations, Vec::<String>::new());
}

#[test]
fn an_export_has_the_sessions_and_their_list() {
    let mut open = Open::memory();
    twelve(&mut open);
    let mut export = Vec::new();
    open.store.export(&mut export).expect("an export");
    let copy = Store::memory();
    copy.import(&mut export.as_slice()).expect("an import");
    let copy = Open::new(copy);
    assert_eq!(copy.list(SessionQuery::default()), open.list(SessionQuery::default()));
    assert_eq!(copy.session("s3"), open.session("s3"));
}

#[test]
fn disk_use_settles_over_ten_rolling_windows() {
    const SESSIONS: usize = 10;
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = keeping(&dir, Duration::from_secs(1000 * 24 * 3600), SESSIONS as u64);
    let data = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1900));
    let mut used = Vec::new();
    for window in 0..10 {
        for n in 0..SESSIONS {
            let name = format!("w{window}-{n}");
            open.send(started(&name)).expect("taken");
            for _ in 0..10 {
                let drafts = (0..50).map(|_| draft(&name, "level_started", &data)).collect();
                open.submit(Submission::events(drafts)).expect("taken");
            }
            open.send(ended(&name, "completed")).expect("taken");
        }
        prune(&mut open, Timestamp::now());
        open.writer.refresh().expect("no error");
        let stats = open.store.stats().expect("stats");
        used.push((stats.live_bytes, stats.disk_bytes));
    }
    println!("live and disk bytes after each of ten windows: {used:?}");
    let live = |window: usize| used[window].0;
    assert_eq!(open.list(SessionQuery::default()).len(), SESSIONS);
    assert!((1..10).all(|window| live(window).abs_diff(live(1)) < live(1) / 20), "{used:?}");
    // The file settles at a multiple of what one window has alive, whatever was written in all.
    let disk = |windows: std::ops::Range<usize>| used[windows].iter().map(|(_, disk)| *disk).max();
    assert!(disk(7..10) <= disk(3..7).map(|most| most * 11 / 10), "{used:?}");
}
