//! The store and ingest together, on the disk and in memory.

use std::collections::HashSet;

use super::support::wait::until;
use watchpost::config;
use watchpost::event::{
    Data, Draft, Kind, Logged, Offset, Origin, Pattern, SenderId, Severity, StreamId, Subject, Timestamp,
};
use watchpost::ingest::{self, Ingest, Ingestor};
use watchpost::store::{Disk, Failing, Limit, Query, Receipt, Refused, Store, Submission, Tree, Write};

fn draft(stream: &str, kind: &str, n: u64) -> Draft {
    let (stream, kind) = (StreamId::new(stream).expect("an id"), Kind::new(kind).expect("a type"));
    let subject = Subject::process("core.process", "default", stream.as_str(), &kind).expect("a subject");
    let data = Data::from_value(&serde_json::json!({ "n": n })).expect("an object");
    Draft { ts: Some(Timestamp::from_millis(n as i64)), ..Draft::new(stream, kind, subject, Severity::Info, data) }
}

fn with_id(id: &str, draft: Draft) -> Draft {
    Draft { id: Some(SenderId::new(id).expect("an id")), ..draft }
}

async fn submit(ingest: &Ingest, draft: Draft) -> Result<Receipt, ingest::Error> {
    ingest.submit(Submission::events(vec![draft])).await.map(|receipts| receipts[0])
}

fn start(store: &Store) -> (Ingest, Ingestor) {
    Ingest::start(store).expect("ingest starts")
}

fn numbers(events: &[Logged]) -> Vec<u64> {
    let n = |logged: &Logged| {
        logged.event.data.read::<serde_json::Value>().expect("JSON")["n"].as_u64().expect("a number")
    };
    events.iter().map(n).collect()
}

fn on_disk(dir: &tempfile::TempDir) -> config::Store {
    config::Store { dir: dir.path().join("store"), min_free: 0, ..config::Store::default() }
}

fn clean(store: &Store) {
    let report = store.check().expect("a check");
    assert_eq!(report.violations, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_it_is_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = on_disk(&dir);
    let store = Store::open(&settings).expect("a new store");
    let (ingest, ingestor) = start(&store);
    for n in 0..500 {
        let receipt = submit(&ingest, draft(["proc-a-1", "proc-b-1", "hub-s"][n as usize % 3], "started", n))
            .await
            .expect("room");
        assert_eq!((receipt.offset, receipt.seq), (n, n / 3 + 1));
    }
    ingestor.drain().expect("a quiet end");
    drop(store);
    let store = Store::open(&settings).expect("the same store");
    let all = store.log(0, Limit::events(1000)).expect("a page");
    assert_eq!(numbers(&all), (0..500).collect::<Vec<_>>());
    let back = store.log_back(Offset::MAX, Limit::events(1000)).expect("a page");
    assert_eq!(numbers(&back), (0..500).rev().collect::<Vec<_>>());
    let id = StreamId::new("proc-b-1").expect("an id");
    let stream = store.stream(&id, 100, Limit::events(5)).expect("a page");
    assert_eq!(numbers(&stream), vec![298, 301, 304, 307, 310]);
    let stream = store.stream_back(&id, 3, Limit::events(5)).expect("a page");
    assert_eq!(numbers(&stream), vec![4, 1]);
    clean(&store);
    assert_eq!(
        std::fs::read_dir(settings.dir.join("blobs")).map_or(0, Iterator::count),
        0,
        "blobs are never synced"
    );
}

#[tokio::test]
async fn a_large_event_is_stored_in_parts_and_a_larger_one_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&on_disk(&dir)).expect("a new store");
    let (ingest, ingestor) = start(&store);
    let sized = |bytes: usize| {
        let data = Data::from_value(&serde_json::json!({ "n": 1, "text": "x".repeat(bytes) })).expect("an object");
        Draft { data, ..draft("hub-s", "big", 1) }
    };
    for bytes in [2_000, 5_990, 6_100, 13_000, 64_000, 65_000] {
        submit(&ingest, sized(bytes)).await.expect("room");
    }
    let error = submit(&ingest, sized(65_536)).await.expect_err("too large").to_string();
    assert!(error.contains("data") && error.contains("65536"), "{error}");
    let events = store.log(0, Limit::events(100)).expect("a page");
    assert_eq!(events.len(), 6);
    assert_eq!(events[4].event.data, sized(64_000).data);
    clean(&store);
    ingestor.drain().expect("a quiet end");
}

#[tokio::test]
async fn the_same_id_again_gets_the_first_answer_and_other_content_a_conflict() {
    let disk = Disk::default();
    let mut store = Store::on(&disk).expect("a store");
    let (mut ingest, mut ingestor) = start(&store);
    let first = submit(&ingest, with_id("a", draft("hub-s", "started", 1))).await.expect("room");
    for round in 0..3 {
        let again = submit(&ingest, with_id("a", draft("hub-s", "started", 1))).await.expect("known");
        assert_eq!(again, Receipt { duplicate: true, ..first });
        let other = submit(&ingest, with_id("a", draft("hub-s", "started", 2))).await.expect_err("other content");
        assert!(matches!(other, ingest::Error::Refused(Refused::Conflict { field: "ts", .. })), "{other}");
        let origin = Origin { host: Some("another".into()), ..Origin::default() };
        let other = with_id("a", Draft { origin, ..draft("hub-s", "started", 1) });
        let other = submit(&ingest, other).await.expect_err("another origin");
        assert!(matches!(other, ingest::Error::Refused(Refused::Conflict { field: "origin", .. })), "{other}");
        let elsewhere = submit(&ingest, with_id("a", draft(&format!("hub-t{round}"), "started", 1)))
            .await
            .expect("another stream");
        assert!(!elsewhere.duplicate);
        ingestor.drain().expect("a quiet end");
        store = Store::on(&disk).expect("the same store");
        (ingest, ingestor) = start(&store);
    }
    // Far more than a segment of ids, so that the first one is looked up in the database.
    for chunk in 0..40u64 {
        let drafts = (0..1000).map(|n| with_id(&format!("{chunk}-{n}"), draft("hub-u", "started", n))).collect();
        ingest.submit(Submission::events(drafts)).await.expect("room");
    }
    let again = submit(&ingest, with_id("a", draft("hub-s", "started", 1))).await.expect("known");
    assert_eq!(again, Receipt { duplicate: true, ..first });
    let again = submit(&ingest, with_id("7-5", draft("hub-u", "started", 5))).await.expect("known");
    assert!(again.duplicate);
    clean(&store);
}

#[tokio::test]
async fn a_submission_is_stored_whole_or_not_at_all() {
    let store = Store::memory();
    let (ingest, _ingestor) = start(&store);
    let writes = vec![Write::put(Tree::Snapshots, "main/a", "{}")];
    let big = Data::from_value(&serde_json::json!({ "text": "x".repeat(70_000) })).expect("an object");
    let drafts = vec![draft("hub-s", "started", 1), Draft { data: big, ..draft("hub-s", "started", 2) }];
    let error = ingest
        .submit(Submission { writes: writes.clone(), ..Submission::events(drafts) })
        .await
        .expect_err("too large");
    assert!(matches!(error, ingest::Error::Refused(Refused::Invalid { index: 1, .. })), "{error}");
    assert_eq!(store.get(Tree::Snapshots, "main/a"), Ok(None));
    let receipts = ingest
        .submit(Submission { writes, ..Submission::events(vec![draft("hub-s", "started", 3)]) })
        .await
        .expect("room");
    assert_eq!((receipts[0].offset, receipts[0].seq), (0, 1));
    assert_eq!(store.get(Tree::Snapshots, "main/a"), Ok(Some(b"{}".to_vec())));
    let long = vec![b'x'; 100_000];
    store.put(&[Write::put(Tree::Folds, "f", long.clone())]).expect("room");
    assert_eq!(store.get(Tree::Folds, "f"), Ok(Some(long)));
    store.put(&[Write::put(Tree::Folds, "f", "short"), Write::put(Tree::Folds, "g", "g")]).expect("room");
    let all = store.scan(Tree::Folds, "", None, 10).expect("a page");
    assert_eq!(all, vec![("f".to_owned(), b"short".to_vec()), ("g".to_owned(), b"g".to_vec())]);
    clean(&store);
}

/// Every query against the same filter over everything.
#[tokio::test]
async fn a_query_finds_what_a_filter_over_everything_finds() {
    let disk = Disk::default();
    let store = Store::on(&disk).expect("a store");
    let (ingest, ingestor) = start(&store);
    let streams = ["proc-a-1", "proc-b-1", "proc-c-1", "hub-s"];
    for round in 0..4u64 {
        let one = |n: u64| {
            draft(streams[(n * n) as usize % 4], ["started", "stopped", "crashed"][n as usize % 3], round * 750 + n)
        };
        ingest.submit(Submission::events((0..750).map(one).collect())).await.expect("room");
    }
    ingest.flush().await.expect("durable");
    let maintainer = store.maintainer();
    for indexed in [false, true] {
        while indexed && maintainer.behind() >= 2048 {
            maintainer.pass(false).expect("a pass");
        }
        for pattern in [
            None,
            Some("core.process.default.proc-a-1.*"),
            Some("core.process.*.*.started"),
            Some("core.process.>"),
            Some("nothing.*"),
        ] {
            for kinds in [vec![], vec!["crashed"], vec!["crashed", "stopped"]] {
                for session in [None, Some("hub-s"), Some("proc-b-1"), Some("none")] {
                    for (since, until) in
                        [(None, None), (Some(100), Some(2500)), (Some(2990), None), (None, Some(3))]
                    {
                        for newest_first in [false, true] {
                            let query = Query {
                                subjects: pattern
                                    .into_iter()
                                    .map(|p| Pattern::parse(p).expect("a pattern"))
                                    .collect(),
                                kinds: kinds.iter().map(|k| Kind::new(k).expect("a type")).collect(),
                                session: session.map(|s| StreamId::new(s).expect("an id")),
                                since: since.map(Timestamp::from_millis),
                                until: until.map(Timestamp::from_millis),
                                newest_first,
                                after: None,
                                limit: 1000,
                            };
                            check_query(&store, query);
                        }
                    }
                }
            }
        }
    }
    clean(&store);
    ingestor.drain().expect("a quiet end");
}

fn check_query(store: &Store, mut query: Query) {
    let mut expected = store.log(0, Limit::events(100_000)).expect("all");
    expected.retain(|Logged { event, .. }| {
        (query.subjects.is_empty() || query.subjects.iter().any(|p| p.matches(event.subject.as_str())))
            && (query.kinds.is_empty() || query.kinds.contains(&event.kind))
            && query.session.as_ref().is_none_or(|session| *session == event.session)
            && query.since.is_none_or(|since| event.ts >= since)
            && query.until.is_none_or(|until| event.ts < until)
    });
    if query.newest_first {
        expected.reverse();
    }
    let mut found = Vec::new();
    loop {
        let page = store.query(&query).expect("a page");
        found.extend(page.events);
        query.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let offsets = |events: &[Logged]| events.iter().map(|logged| logged.offset).collect::<Vec<_>>();
    assert_eq!(offsets(&found), offsets(&expected), "{query:?}");
}

#[tokio::test]
async fn an_event_is_found_by_its_id() {
    let store = Store::memory();
    let (ingest, _ingestor) = start(&store);
    let mut ids = HashSet::new();
    for n in 0..300 {
        let own = submit(&ingest, draft("hub-s", "started", n)).await.expect("room");
        let sent = submit(&ingest, with_id(&format!("x{n}"), draft("hub-s", "started", n))).await.expect("room");
        ids.extend([(own.id, own.offset), (sent.id, sent.offset)]);
    }
    for (id, offset) in ids {
        assert_eq!(store.event(id).expect("a read").map(|logged| logged.offset), Some(offset));
    }
    assert_eq!(store.event(uuid::Uuid::now_v7()).expect("a read"), None);
}

#[tokio::test]
async fn an_export_imported_is_the_same_store() {
    let (dir, disk) = (tempfile::tempdir().expect("a folder"), Disk::default());
    let store = Store::on(&disk).expect("a store");
    let (ingest, _ingestor) = start(&store);
    for n in 0..700u64 {
        submit(&ingest, with_id(&n.to_string(), draft(["proc-a-1", "hub-s"][n as usize % 2], "started", n)))
            .await
            .expect("room");
    }
    store.put_durable(&[Write::put(Tree::Cursors, "jetstream", r#"{"offset":5}"#)]).expect("room");
    let mut export = Vec::new();
    assert_eq!(store.export(&mut export), Ok(700));
    let settings = on_disk(&dir);
    let copy = Store::open(&settings).expect("an empty store");
    assert_eq!(copy.import(&mut export.as_slice()), Ok(700));
    clean(&copy);
    let mut second = Vec::new();
    copy.export(&mut second).expect("an export");
    assert_eq!(String::from_utf8(second), String::from_utf8(export.clone()));
    let error = copy.import(&mut export.as_slice()).expect_err("not empty").to_string();
    assert!(error.contains("empty store"), "{error}");
    let (ingest, ingestor) = start(&copy);
    let again = submit(&ingest, with_id("3", draft("hub-s", "started", 3))).await.expect("known");
    assert!(again.duplicate);
    ingestor.drain().expect("a quiet end");
    drop((copy, ingest));
    watchpost::store::compact(&settings).expect("room");
    let copy = Store::open(&settings).expect("the compacted store");
    assert_eq!(copy.range(), 0..700);
    clean(&copy);
}

#[tokio::test]
async fn the_ids_of_trimmed_events_are_remembered_by_an_imported_store_too() {
    let store = Store::memory();
    let (mut writer, flusher) = store.writer().expect("the writer");
    writer.apply(&[Submission::events(vec![with_id("a", draft("proc-a-1", "started", 1))])]).expect("room");
    flusher.flush(writer.next_offset()).expect("durable");
    store.maintainer().pass(true).expect("a pass");
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    assert_eq!(writer.trim(later), Ok(1));
    let (copy, mut export) = (Store::memory(), Vec::new());
    store.export(&mut export).expect("an export");
    copy.import(&mut export.as_slice()).expect("an import");
    let (ingest, _ingestor) = start(&copy);
    let again = submit(&ingest, with_id("a", draft("proc-a-1", "started", 1))).await.expect("known");
    assert_eq!((again.duplicate, again.offset, again.seq), (true, 0, 1));
}

#[tokio::test]
async fn an_io_error_loses_nothing_acknowledged_and_changes_no_seq() {
    for failing in [Failing::Apply, Failing::Flush] {
        let disk = Disk::default();
        let store = Store::on(&disk).expect("a store");
        let (ingest, ingestor) = start(&store);
        submit(&ingest, with_id("1", draft("hub-s", "started", 1))).await.expect("room");
        disk.fail(failing);
        let error = submit(&ingest, with_id("2", draft("hub-s", "started", 2))).await.expect_err("the disk fails");
        assert!(matches!(error, ingest::Error::Unknown(_)), "{error}");
        assert!(error.is_retryable());
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        let receipt = loop {
            match submit(&ingest, with_id("2", draft("hub-s", "started", 2))).await {
                Ok(receipt) => break receipt,
                Err(error) => assert!(error.is_retryable() && tokio::time::Instant::now() < deadline, "{error}"),
            }
        };
        assert_eq!((receipt.offset, receipt.seq), (1, 2), "{failing:?}");
        assert_eq!(store.health(), watchpost::store::Health::Ok);
        assert_eq!(numbers(&store.log(0, Limit::events(10)).expect("a page")), vec![1, 2]);
        clean(&store);
        ingestor.drain().expect("a quiet end");
    }
}

#[tokio::test]
async fn while_nobody_sends_an_io_error_is_made_good_and_health_tells_of_room() {
    let disk = Disk::default();
    let store = Store::on(&disk).expect("a store");
    let (_ingest, ingestor) = start(&store);
    let cursor = [Write::put(Tree::Cursors, "a", "1")];
    for failing in [Failing::Apply, Failing::Flush] {
        disk.fail(failing);
        store.put_durable(&cursor).expect_err("the disk fails");
        until("it is opened again", async || store.put_durable(&cursor).ok()).await;
    }
    disk.set_free(Some(1000));
    until("it is full", async || matches!(store.health(), watchpost::store::Health::Full(_)).then_some(())).await;
    disk.set_free(None);
    until("it is well", async || (store.health() == watchpost::store::Health::Ok).then_some(())).await;
    ingestor.drain().expect("a quiet end");
}

#[tokio::test]
async fn without_room_commits_are_refused_before_anything_is_touched() {
    let disk = Disk::default();
    let store = Store::on(&disk).expect("a store");
    let (ingest, _ingestor) = start(&store);
    disk.set_free(Some(1000));
    let error = submit(&ingest, draft("hub-s", "started", 1)).await.expect_err("no room");
    assert!(matches!(&error, ingest::Error::NoRoom(reason) if reason.contains("min_free")), "{error}");
    assert!(matches!(store.health(), watchpost::store::Health::Full(_)));
    assert_eq!(disk.unflushed(), 0);
    disk.set_free(None);
    let receipt = submit(&ingest, draft("hub-s", "started", 1)).await.expect("room");
    assert_eq!((receipt.offset, receipt.seq), (0, 1));
    assert_eq!(store.health(), watchpost::store::Health::Ok);
}

#[test]
fn a_store_that_is_held_and_one_that_is_newer_say_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = on_disk(&dir);
    let held = Store::open(&settings).expect("a new store");
    let error = Store::open(&settings).err().expect("held").to_string();
    assert!(error.contains(&std::process::id().to_string()) && error.contains("stop it"), "{error}");
    drop(held);
    std::fs::write(settings.dir.join("format"), "watchpost-store 7\n").expect("written");
    let error = Store::open(&settings).err().expect("newer").to_string();
    assert!(error.contains('7') && error.contains("up to 1"), "{error}");
}

#[test]
fn a_copy_of_a_store_gets_the_synchronous_flag_that_copying_took() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = on_disk(&dir);
    drop(Store::open(&settings).expect("a new store"));
    let copy = config::Store { dir: dir.path().join("copy"), ..settings.clone() };
    std::fs::create_dir(&copy.dir).expect("a folder");
    for entry in std::fs::read_dir(&settings.dir).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_file() {
            std::fs::copy(&path, copy.dir.join(path.file_name().expect("a name"))).expect("room");
        }
    }
    clean(&Store::open(&copy).expect("a store as good as the other"));
}

#[tokio::test]
async fn old_events_are_trimmed_once_every_required_sink_has_them() {
    let disk = Disk::default();
    let store = Store::on(&disk).expect("a store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let kind = |n| if n == 0 { "session_started" } else { "started" };
    for n in 0..200u64 {
        let drafts = (0..10)
            .map(|i| draft(["proc-a-1", "the-session"][(n % 10 == 0) as usize], kind(n * 10 + i), n * 10 + i))
            .collect();
        writer.apply(&[Submission::events(drafts)]).expect("room").remove(0).expect("taken");
        flusher.flush(writer.next_offset()).expect("durable");
        if n % 50 == 49 {
            store.maintainer().pass(true).expect("a pass");
        }
    }
    let later = Timestamp::now().plus_millis(31 * 24 * 3600 * 1000);
    store.put(&[Write::put(Tree::Cursors, "jetstream", r#"{"offset":500,"required":true}"#)]).expect("room");
    let trim = |writer: &mut watchpost::store::Writer| {
        let mut sum = 0;
        loop {
            match writer.trim(later).expect("a step") {
                0 => return sum,
                n => sum += n,
            }
        }
    };
    assert_eq!(trim(&mut writer), 450, "up to the sink's cursor, less the session's");
    clean(&store);
    store.put(&[Write::put(Tree::Cursors, "jetstream", r#"{"offset":2000,"required":true}"#)]).expect("room");
    assert_eq!(trim(&mut writer), 1350);
    clean(&store);
    let left = store.log(0, Limit::events(1000)).expect("a page");
    assert_eq!(left.len(), 200);
    assert!(left.iter().all(|logged| logged.event.session.as_str() == "the-session"));
    writer
        .apply(&[Submission::events(vec![draft("proc-a-1", "started", 1)])])
        .expect("room")
        .remove(0)
        .expect("taken");
    flusher.flush(writer.next_offset()).expect("durable");
    let info = store.streams(None, 1).expect("a page").remove(0);
    assert_eq!((info.first_seq, info.next_seq), (1801, 1802));
    clean(&store);
    drop(store);
    clean(&Store::on(&disk).expect("the same store"));
}

#[test]
fn readers_miss_nothing_while_records_are_packed() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&on_disk(&dir)).expect("a new store");
    let (mut writer, flusher) = store.writer().expect("the writer");
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            std::thread::spawn({
                let store = store.clone();
                move || read_all(&store, reader)
            })
        })
        .collect();
    for n in 0..6000u64 {
        let one = Submission::events(vec![draft(["proc-a-1", "hub-s"][n as usize % 2], "started", n)]);
        writer.apply(&[one]).expect("room").remove(0).expect("taken");
        if n % 10 == 9 {
            flusher.flush(writer.next_offset()).expect("durable");
        }
        if n % 500 == 499 {
            store.maintainer().pass(true).expect("a pass");
        }
    }
    for reader in readers {
        reader.join().expect("a reader that found everything");
    }
    clean(&store);
    let records = store.stats().expect("stats");
    assert_eq!((records.next_offset, records.indexed), (6000, 6000));
}

/// Reads everything again and again until all is there, and each time finds no gap and no double.
fn read_all(store: &Store, reader: usize) {
    let id = StreamId::new("proc-a-1").expect("an id");
    loop {
        let end = store.range().end;
        let limit = Limit::events(10_000);
        let (found, expected): (Vec<u64>, Vec<u64>) = match reader {
            0 => (numbers(&store.log(0, limit).expect("a page")), (0..end).collect()),
            1 => (numbers(&store.log_back(end, limit).expect("a page")), (0..end).rev().collect()),
            _ => (numbers(&store.stream(&id, 1, limit).expect("a page")), (0..end).step_by(2).collect()),
        };
        let seen = if reader == 1 { &found[..] } else { &found[..expected.len().min(found.len())] };
        assert_eq!(seen, &expected[..], "reader {reader}");
        if end == 6000 {
            return;
        }
    }
}

#[tokio::test]
async fn a_single_event_is_indexed_when_the_log_is_at_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&on_disk(&dir)).expect("a new store");
    let (ingest, ingestor) = start(&store);
    submit(&ingest, draft("proc-a-1", "started", 0)).await.expect("room");
    let maintainer = store.maintainer();
    // One event leaves nothing to pack, which must not be a transaction over no tree at all.
    while maintainer.pass(true).expect("a pass") != watchpost::store::Pass::Idle {}
    assert_eq!(maintainer.behind(), 0);
    ingestor.drain().expect("a quiet end");
}
