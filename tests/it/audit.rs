//! The audit, by the command: over a store, a real NATS and a real Elasticsearch.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use watchpost::config;
use watchpost::deliver::{self, Delivery, Handle};
use watchpost::event::{Logged, Timestamp};
use watchpost::otel::document::data_stream;
use watchpost::sink::elasticsearch::Elasticsearch;
use watchpost::sink::jetstream::JetStream;
use watchpost::store::{Limit, Store, Submission};

use super::elasticsearch::prepared;
use super::support::daemon::{configure, store, watchpost};
use super::support::elasticsearch;
use super::support::history::{Log, draft};
use super::support::nats::{Server, stored};
use super::support::wait::until;

/// Later than any test runs.
const AHEAD: &str = "2100-01-01T00:00:00Z";

/// A finding: the backend, what is wrong, and the event's id.
type Found = (String, String, String);

/// A store whose events are in both backends.
async fn delivered(dir: &Path, nats: &config::JetStream, there: &config::Elasticsearch) -> Vec<Logged> {
    let log = Log::on(Store::open(&store(dir)).expect("a store"));
    for n in 0..=40 {
        let mut draft = draft(n + 7000, "web", "started");
        // The last one's sender has a clock that is far ahead.
        draft.ts = Some(if n == 40 { AHEAD.parse().expect("a time") } else { Timestamp::now() });
        log.ingest.submit(Submission::events(vec![draft])).await.expect("room");
    }
    let shutdown = CancellationToken::new();
    let sink = JetStream::new(nats.clone()).expect("good subjects");
    let (delivery, handle) = Delivery::new("jetstream", sink, log.store.clone(), deliver::Settings::default());
    let one = tokio::spawn(delivery.run(shutdown.clone()));
    drained(&handle).await;
    let sink = Elasticsearch::new(there.clone()).expect("a sink");
    let (delivery, handle) = Delivery::new("elasticsearch", sink, log.store.clone(), deliver::Settings::default());
    let other = tokio::spawn(delivery.run(shutdown.clone()));
    drained(&handle).await;
    shutdown.cancel();
    one.await.expect("no panic");
    other.await.expect("no panic");
    let events = log.store.log(0, Limit::events(1000)).expect("a log");
    log.close();
    events
}

async fn drained(handle: &Handle) {
    until("all to be delivered", async || (handle.watch().borrow().offset == 41).then_some(())).await;
}

/// What the command says of a backend, by id, and its exit code.
fn audit(dir: &Path, since: &str) -> (Option<i32>, Vec<Found>, Vec<Value>) {
    let output = watchpost(dir, &["audit", "--since", since, "--json"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect(&error));
    let (mut found, summaries): (Vec<Value>, Vec<Value>) = lines.partition(|line| line.get("difference").is_some());
    assert!(!summaries.is_empty(), "{error}");
    found.sort_by_key(|finding| finding["difference"].to_string());
    let word = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    let findings =
        found.iter().map(|one| (word(one, "backend"), word(one, "difference"), word(one, "id"))).collect();
    (output.status.code(), findings, summaries)
}

fn finding(backend: &str, difference: &str, id: &str) -> Found {
    (backend.into(), difference.into(), id.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_extra_or_different_is_found_in_each_backend() {
    let (nats, there) = (Server::start(), prepared().await);
    let dir = tempfile::tempdir().expect("a folder");
    let window = Duration::from_millis(100);
    let settings = config::JetStream { duplicate_window: window, ..nats.settings() };
    let events = delivered(dir.path(), &settings, &there.settings()).await;
    let more = format!(
        "jetstream: {{url: '{}', session_stream: off}}\nelasticsearch: {{url: '{}'}}\n",
        nats.url(),
        there.url()
    );
    configure(dir.path(), &more);

    // A message of an event that happened later than that is older, as its sender's clock was ahead.
    for (since, expected) in [("1h", [41, 41]), (AHEAD, [0, 1])] {
        let (code, findings, summaries) = audit(dir.path(), since);
        assert_eq!((code, &findings), (Some(0), &Vec::new()), "{since}: {summaries:?}");
        let alike: Vec<&Value> = summaries.iter().map(|summary| &summary["alike"]).collect();
        assert_eq!(alike, expected, "{since}");
    }

    in_elasticsearch(there, dir.path(), &events).await;
    in_jetstream(&nats, dir.path(), &events).await;
}

async fn in_elasticsearch(there: &elasticsearch::Server, dir: &Path, events: &[Logged]) {
    let id = |at: usize| events[at].event.id.to_string();
    let stream = data_stream(&events[3].event);
    there.delete(&stream, &id(3)).await;
    let found = json!({"query": {"ids": {"values": [id(4)]}}, "seq_no_primary_term": true});
    let found = there.done("POST", &format!("/{stream}/_search"), Some(found)).await;
    let hit = &found["hits"]["hits"][0];
    let (index, mut document) = (hit["_index"].as_str().expect("a name"), hit["_source"].clone());
    let version = format!("if_seq_no={}&if_primary_term={}", hit["_seq_no"], hit["_primary_term"]);
    document["body"]["text"] = "something else".into();
    there.done("PUT", &format!("/{index}/_doc/{}?{version}", id(4)), Some(document.clone())).await;
    let added = uuid::Uuid::from_u128(0xadd).to_string();
    document["attributes"]["watchpost.event.id"] = added.clone().into();
    document["attributes"]["watchpost.event.seq"] = 4000.into();
    there.done("PUT", &format!("/{stream}/_create/{added}"), Some(document)).await;

    let (code, findings, _) = audit(dir, "1h");
    let expected = ["different", "extra", "missing"].into_iter().zip([id(4), added, id(3)]);
    let expected: Vec<_> = expected.map(|(word, id)| finding("elasticsearch", word, &id)).collect();
    assert_eq!((code, findings), (Some(1), expected));
}

async fn in_jetstream(nats: &Server, dir: &Path, events: &[Logged]) {
    let context = nats.jetstream().await;
    let messages = stored(&context, "PROCESS_EVENTS").await;
    let stream = context.get_stream("PROCESS_EVENTS").await.expect("the stream");
    let changed = &messages[20];
    for message in [&messages[10], changed] {
        stream.delete_message(message.sequence).await.expect("deleted");
    }
    // Beyond the dedup window the same id is taken again.
    let published = until("the changed message to be taken", async || {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", changed.id.clone().expect("an id").as_str());
        let payload = changed.payload.replace("Running", "Sleeping");
        let sent = context.publish_with_headers(changed.subject.clone(), headers, payload.into());
        let ack = sent.await.expect("sent").await.expect("an answer");
        (!ack.duplicate).then_some(ack.sequence)
    });
    assert!(published.await > 41);
    let added = uuid::Uuid::from_u128(0xbad).to_string();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", added.as_str());
    let payload = changed.payload.replace("\"seq\":21", "\"seq\":4000");
    let sent = context.publish_with_headers(changed.subject.clone(), headers, payload.into()).await.expect("sent");
    sent.await.expect("taken");

    let (code, findings, _) = audit(dir, "1h");
    let findings: Vec<_> = findings.into_iter().filter(|(backend, ..)| backend != "elasticsearch").collect();
    let id = |at: usize| events[at].event.id.to_string();
    let expected = ["different", "extra", "missing"].into_iter().zip([id(20), added, id(10)]);
    let expected: Vec<_> = expected.map(|(word, id)| finding("jetstream PROCESS_EVENTS", word, &id)).collect();
    assert_eq!((code, findings), (Some(1), expected));
}
