//! A store that takes nothing for a while: senders are told to try later, no seq is lost, and when it lasts the
//! sessions that were refused are failed by an event, once there is a store that takes one.

use std::sync::Arc;
use std::time::Duration;

use watchpost::config;
use watchpost::event::{Data, Draft, Event, Kind, Severity, StreamId, Subject, Timestamp};
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::session::{End, Error, Sessions, Start};
use watchpost::store::{Disk, Failing, Limit, Receipt, Status, Store, Submission};

use super::support::wait;

struct Bench {
    disk: Disk,
    sessions: Sessions,
    ingestor: Option<Ingestor>,
}

impl Bench {
    fn new(failed_after: Duration) -> Self {
        let disk = Disk::default();
        let store = Store::on(&disk).expect("a good disk");
        let (ingest, ingestor) = Ingest::start_with(&store, failed_after).expect("a good store");
        let (sessions, _keeper) = Sessions::start(store, ingest, config::Session::default()).expect("a good store");
        Self { disk, sessions, ingestor: Some(ingestor) }
    }

    async fn begin(&self) -> StreamId {
        let start = Start::new(&serde_json::json!({ "command": "generate" })).expect("an object");
        self.sessions.begin(start).await.expect("begun").id
    }

    async fn add(&self, id: &StreamId, kind: &str) -> Result<Receipt, Error> {
        self.sessions.append(id, vec![draft(id, kind)]).await.remove(0)
    }

    /// The same until it is taken; every refusal until then says to try later.
    async fn add_in_the_end(&self, id: &StreamId, kind: &str) -> Receipt {
        wait::until("the store to take it", async || match self.add(id, kind).await {
            Ok(receipt) => Some(receipt),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                None
            }
        })
        .await
    }

    fn events(&self, id: &StreamId) -> Vec<Event> {
        let events = self.sessions.store().stream(id, 1, Limit::events(1000)).expect("readable");
        events.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)).collect()
    }

    fn kinds(&self, id: &StreamId) -> Vec<String> {
        self.events(id).iter().map(|event| event.kind.to_string()).collect()
    }

    fn status(&self, id: &StreamId) -> Status {
        self.sessions.store().session(id).expect("readable").expect("it is there").status
    }
}

fn draft(id: &StreamId, kind: &str) -> Draft {
    let kind = Kind::new(kind).expect("a type");
    let subject = Subject::session(id, &kind).expect("a subject");
    let data = Data::parse("{}".into()).expect("an object");
    Draft::new(id.clone(), kind, subject, Severity::Info, data)
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(ingestor) = self.ingestor.take() {
            ingestor.drain().expect("a quiet end");
        }
    }
}

#[tokio::test]
async fn a_disk_that_stays_full_fails_the_sessions_that_were_refused() {
    let bench = Bench::new(Duration::from_millis(50));
    let (refused, at_rest) = (bench.begin().await, bench.begin().await);
    bench.disk.set_free(Some(0));
    let began = std::time::Instant::now();
    let mut tries = 0;
    while began.elapsed() < Duration::from_millis(60) {
        let error = bench.add(&refused, "scan_started").await.expect_err("there is no room");
        assert!(error.is_retryable() && error.to_string().contains("try later"), "{error}");
        tries += 1;
    }
    bench.disk.set_free(None);
    // Nobody needs to send for it.
    wait::until("the session to be failed", async || (bench.status(&refused) == Status::Failed).then_some(()))
        .await;
    let told: serde_json::Value = bench.events(&refused)[1].data.read().expect("JSON");
    assert_eq!(told["refused"], tries);
    assert!(told["failing_ms"].as_u64().is_some_and(|ms| ms >= 50), "{told}");
    assert!(told["error"].as_str().is_some_and(|error| error.contains("store.min_free")), "{told}");
    // The writer goes on, no seq is missing, and how it ends decides.
    assert_eq!(bench.add(&refused, "scan_started").await.expect("room").seq, 3);
    bench.sessions.end(&refused, End::completed()).await.expect("room");
    assert_eq!(bench.kinds(&refused), ["session_started", "ingest_failed", "scan_started", "session_ended"]);
    assert_eq!(bench.status(&refused), Status::Completed);
    assert_eq!((bench.kinds(&at_rest), bench.status(&at_rest)), (vec!["session_started".into()], Status::Active));
}

#[tokio::test]
async fn the_event_stands_before_whatever_is_taken_next() {
    let bench = Bench::new(Duration::ZERO);
    let id = bench.begin().await;
    bench.disk.set_free(Some(0));
    bench.add(&id, "scan_started").await.expect_err("there is no room");
    bench.disk.set_free(None);
    bench.add_in_the_end(&id, "scan_started").await;
    assert_eq!(bench.kinds(&id), ["session_started", "ingest_failed", "scan_started"]);
}

/// Else the events of one call, sent again, would stand behind those that came after them.
#[tokio::test]
async fn behind_an_event_that_has_to_be_sent_again_nothing_of_the_same_call_is_stored() {
    let bench = Bench::new(Duration::from_secs(60));
    let id = bench.begin().await;
    bench.disk.fail(Failing::Apply);
    let answers = bench.sessions.append(&id, vec![draft(&id, "scan_progress"); 3000]).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(Error::is_retryable)));
    assert_eq!(bench.add_in_the_end(&id, "scan_completed").await.seq, 2);
    assert_eq!(bench.kinds(&id), ["session_started", "scan_completed"]);
}

#[tokio::test]
async fn who_asks_for_pruning_is_answered_also_when_the_disk_fails_in_between() {
    let disk = Disk::default();
    let store = Store::on(&disk).expect("a good disk");
    let (ingest, ingestor) = Ingest::start(&store).expect("a good store");
    let id = StreamId::new("s").expect("an id");
    let old = |kind, data: &str| {
        let data = Data::parse(data.into()).expect("an object");
        Draft { ts: Some(Timestamp::from_millis(0)), data, ..draft(&id, kind) }
    };
    let ended = old("session_ended", r#"{"status":"completed"}"#);
    ingest.submit(Submission::events(vec![old("session_started", "{}"), ended])).await.expect("room");
    wait::until("the index to have come so far", async || {
        let prunable = store.prunable(Timestamp::now()).expect("readable");
        (!prunable.is_empty()).then_some(())
    })
    .await;
    disk.fail(Failing::Apply);
    assert_eq!(ingest.prune().await.map(|pruned| pruned.sessions), Ok(1));
    tokio::task::spawn_blocking(|| ingestor.drain()).await.expect("it ends").expect("a quiet end");
}

#[tokio::test]
async fn an_outage_that_does_not_last_is_not_told() {
    let bench = Bench::new(Duration::from_secs(60));
    let id = bench.begin().await;
    bench.disk.set_free(Some(0));
    bench.add(&id, "scan_started").await.expect_err("there is no room");
    bench.disk.set_free(None);
    assert_eq!(bench.add(&id, "scan_started").await.expect("room").seq, 2);
    assert_eq!(bench.status(&id), Status::Active);
}

#[tokio::test]
async fn a_commit_that_fails_is_told_too_and_changes_no_seq() {
    for failing in [Failing::Apply, Failing::Flush] {
        let bench = Bench::new(Duration::ZERO);
        bench.disk.set_forgetful(true);
        let id = bench.begin().await;
        bench.disk.fail(failing);
        let error = bench.add(&id, "scan_started").await.expect_err("the disk fails");
        assert!(error.is_retryable(), "{error}");
        let receipt = bench.add_in_the_end(&id, "scan_completed").await;
        let kinds = bench.kinds(&id);
        assert_eq!(kinds.first().map(String::as_str), Some("session_started"));
        assert_eq!(kinds.last().map(String::as_str), Some("scan_completed"));
        assert!(kinds.iter().any(|kind| kind == "ingest_failed"), "{failing:?}: {kinds:?}");
        assert_eq!(receipt.seq, kinds.len() as u64, "{failing:?}: no gap");
        assert_eq!(bench.status(&id), Status::Failed);
    }
}
