//! Silence, restarts, ends, and what comes after an end.

use futures_util::FutureExt;

use super::*;
use crate::dead_letter;

#[tokio::test(start_paused = true)]
async fn a_silent_session_is_interrupted_and_its_next_event_resumes_it() {
    let mut bench = Bench::new();
    let id = bench.begin("s").await;
    bench.add(&id, "scan_started").await;
    tokio::time::advance(IDLE - Duration::from_secs(1)).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Active);
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Interrupted);
    let told = data(&bench.events(&id)[2]);
    assert_eq!(told, json!({ "reason": "idle", "idle_ms": 1_800_000 }));
    // Only once, however long it lasts.
    tokio::time::advance(IDLE * 3).await;
    bench.keeper.turn().await;
    assert_eq!(bench.add(&id, "scan_completed").await.seq, 5);
    let kinds = ["session_started", "scan_started", "session_interrupted", "session_resumed", "scan_completed"];
    assert_eq!(bench.kinds(&id), kinds);
    assert_eq!(data(&bench.events(&id)[3])["segment"], 2);
    assert_eq!(bench.info(&id).status, Status::Active);
    // Its clock runs again.
    tokio::time::advance(IDLE).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Interrupted);
}

/// Whoever sent the request, or waited for the answer, is gone: what it did is known all the same.
#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_begins_the_clock_too() {
    let mut bench = Bench::new();
    let (id, begin) = (stream("s"), Start { id: Some(stream("s")), ..start() });
    assert!(bench.sessions.begin(begin).now_or_never().is_none());
    bench.stored("s").await;
    for seq in [2, 5] {
        while bench.sessions.inner.registry.held(&id).is_none() {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(IDLE).await;
        bench.keeper.turn().await;
        let info = bench.info(&id);
        assert_eq!((info.status, info.events), (Status::Interrupted, seq));
        // Looked at once and dropped; its answer may have been there already, as the writer is another thread.
        drop(bench.sessions.append(&id, vec![event(&id, "scan_started")]).now_or_never());
        let mut durable = bench.sessions.store().durable();
        while bench.info(&id).events == seq {
            durable.changed().await.expect("the store");
        }
    }
}

/// A failed commit is no end: whoever writes may go on, and may be gone.
#[tokio::test(start_paused = true)]
async fn a_session_that_ingest_has_failed_is_interrupted_when_its_writer_is_gone() {
    let mut bench = Bench::new();
    let id = bench.begin("s").await;
    let failed = Submission::events(vec![event(&id, "ingest_failed")]);
    bench.sessions.inner.ingest.submit(failed).await.expect("taken");
    assert_eq!(bench.info(&id).status, Status::Failed);
    bench = bench.restart();
    tokio::time::advance(IDLE).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn an_event_or_a_heartbeat_begins_the_clock_anew() {
    let mut bench = Bench::new();
    let (told, beaten) = (bench.begin("told").await, bench.begin("beaten").await);
    for _ in 0..5 {
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        bench.add(&told, "scan_progress").await;
        bench.sessions.heartbeat(&beaten).expect("it is active");
        bench.keeper.turn().await;
    }
    assert_eq!((bench.info(&told).status, bench.info(&beaten).status), (Status::Active, Status::Active));
    assert_eq!(bench.kinds(&beaten), ["session_started"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_begins_the_clock_of_remote_writers_anew() {
    let mut bench = Bench::new();
    let id = bench.begin("s").await;
    tokio::time::advance(IDLE - Duration::from_secs(1)).await;
    bench = bench.restart();
    tokio::time::advance(IDLE - Duration::from_secs(1)).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Active);
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.keeper.turn().await;
    assert_eq!(bench.info(&id).status, Status::Interrupted);
}

/// Of many sessions that fall silent together some get an event while the others are being marked.
#[tokio::test(start_paused = true)]
async fn an_event_wins_against_the_mark_of_silence() {
    let mut bench = Bench::new();
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(bench.begin(&format!("s{n}")).await);
    }
    for _ in 0..20 {
        tokio::time::advance(IDLE).await;
        let sessions = bench.sessions.clone();
        let appends = ids.iter().enumerate().map(async |(n, id)| {
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
            sessions.append(id, vec![event(id, "scan_progress")]).await.remove(0).expect("taken");
        });
        tokio::join!(bench.keeper.turn(), futures_util::future::join_all(appends));
        for id in &ids {
            let kinds = bench.kinds(id);
            assert_eq!(
                (bench.info(id).status, kinds.last().map(String::as_str)),
                (Status::Active, Some("scan_progress"))
            );
        }
    }
}

/// Also one that the registry knows nothing of: what the mark was decided by has moved.
#[tokio::test]
async fn a_mark_that_meets_an_event_on_its_way_is_not_written() {
    let bench = Bench::new();
    let id = bench.begin("s").await;
    let held = bench.sessions.inner.registry.held(&id).expect("it is active");
    for _ in 0..100 {
        for _ in 0..50 {
            let on_its_way = Submission::events(vec![event(&id, "scan_progress")]);
            bench.sessions.inner.ingest.send(on_its_way).await.expect("room");
        }
        let marked = keeper::mark(&bench.sessions, &id, held, keeper::Reason::Idle(1)).await.expect("room");
        if !marked {
            assert_eq!(bench.info(&id).status, Status::Active);
            return;
        }
    }
    panic!("the mark won a hundred times");
}

#[tokio::test(start_paused = true)]
async fn a_late_event_is_refused_counted_and_kept() {
    let bench = Bench::new();
    let id = bench.begin("s").await;
    let mut early = event(&id, "scan_started");
    early.id = Some(SenderId::new("event-1").expect("an id"));
    let first = bench.sessions.append(&id, vec![early.clone()]).await.remove(0).expect("taken");
    let ended = bench.sessions.end(&id, End::completed()).await.expect("it ends");
    let late = bench.sessions.append(&id, vec![event(&id, "scan_completed"), early]).await;
    assert_eq!(late[0], Err(Error::Ended(id.clone())));
    assert_eq!(
        late[0].clone().map_err(|e| e.to_string()),
        Err("the session s has ended: nothing can be added to it".into())
    );
    // What was stored before gets its first answer, also now.
    assert_eq!(late[1], Ok(Receipt { duplicate: true, ..first }));
    assert_eq!((bench.sessions.late(), bench.info(&id).events), (1, ended.seq));
    let all = dead_letter::Filter::default();
    let letters = dead_letter::list(bench.sessions.store(), &all, None, 10).expect("readable").letters;
    assert_eq!((letters.len(), letters[0].kind, letters[0].offset), (1, dead_letter::Kind::Late, None));
    assert_eq!(letters[0].event.kind.as_str(), "scan_completed");
    assert_eq!(bench.sessions.heartbeat(&id), Err(Error::Ended(id)));
}

#[tokio::test]
async fn an_end_again_gets_the_first_answer_and_another_end_is_refused() {
    let bench = Bench::new();
    let id = bench.begin("s").await;
    let end = End { exit_code: Some(3), ..End::failed("boom") };
    let first = bench.sessions.end(&id, end.clone()).await.expect("it ends");
    assert_eq!(bench.sessions.end(&id, end).await, Ok(Receipt { duplicate: true, ..first }));
    assert_eq!(bench.sessions.end(&id, End::completed()).await, Err(Error::Ended(id.clone())));
    assert_eq!(bench.sessions.close(&id, End::completed()).await, Err(Error::Ended(id.clone())));
    assert_eq!((bench.info(&id).status, bench.sessions.late()), (Status::Failed, 0));
    assert_eq!(data(&bench.events(&id)[1]), json!({ "status": "failed", "exit_code": 3, "error": "boom" }));
    assert_eq!(bench.events(&id)[1].severity, Severity::Error);
}

#[tokio::test(start_paused = true)]
async fn a_person_closes_what_nobody_will_resume() {
    let mut bench = Bench::new();
    let id = bench.begin("s").await;
    tokio::time::advance(IDLE).await;
    bench.keeper.turn().await;
    let end = End { reason: Some("gone home".into()), ..End::failed("given up") };
    bench.sessions.close(&id, end).await.expect("it ends");
    assert_eq!(bench.kinds(&id), ["session_started", "session_interrupted", "session_ended"]);
    let told = data(&bench.events(&id)[2]);
    assert_eq!((&told["closed"], &told["reason"]), (&json!(true), &json!("gone home")));
}

#[tokio::test]
async fn each_event_has_its_own_fate() {
    let bench = Bench::new();
    let (id, other) = (bench.begin("s").await, bench.begin("other").await);
    let drafts = ["scan_started", "session_started", "scan_progress", "session_interrupted", "ingest_failed"];
    let mut drafts: Vec<Draft> = drafts.iter().map(|kind| event(&id, kind)).collect();
    drafts.push(event(&other, "scan_started"));
    drafts.push(event(&id, "scan_completed"));
    let answers = bench.sessions.append(&id, drafts).await;
    let told: Vec<Result<u64, &str>> = answers
        .iter()
        .map(|answer| match answer {
            Ok(receipt) => Ok(receipt.seq),
            Err(Error::Invalid(invalid)) => Err(invalid.field),
            Err(error) => panic!("{error}"),
        })
        .collect();
    assert_eq!(told, [Ok(2), Err("type"), Ok(3), Err("type"), Err("type"), Err("session"), Ok(4)]);
    let nobody = stream("nobody");
    assert_eq!(
        bench.sessions.append(&nobody, vec![event(&nobody, "scan_started")]).await,
        [Err(Error::NotFound(nobody.clone()))]
    );
    assert_eq!(bench.sessions.heartbeat(&nobody), Err(Error::NotFound(nobody)));
}
