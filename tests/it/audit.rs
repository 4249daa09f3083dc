//! The audit, by the command: over a store, a real NATS and a real Elasticsearch.

mod behind;
mod let_go;
mod sessions;

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::{self, publish::PublishAck};
use serde_json::{Value, json};
use watchpost::config;
use watchpost::event::{Draft, Logged, Timestamp};
use watchpost::otel::document::data_stream;
use watchpost::sink::elasticsearch::Elasticsearch;
use watchpost::sink::jetstream::JetStream;
use watchpost::store::{Limit, Store, Submission};

use super::elasticsearch::{prepare, prepared};
use super::support::daemon::{configure, store, watchpost};
use super::support::delivering::Delivering;
use super::support::elasticsearch;
use super::support::history::{Log, draft};
use super::support::nats::{Server, Stored, stored};
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
        submit(&log, vec![draft]).await;
    }
    deliver(&log.store, nats, Some(there)).await;
    closed(log)
}

async fn submit(log: &Log, drafts: Vec<Draft>) {
    log.ingest.submit(Submission::events(drafts)).await.expect("room");
}

/// Delivers the log to its end, to each stream and to Elasticsearch.
async fn deliver(store: &Store, nats: &config::JetStream, there: Option<&config::Elasticsearch>) {
    let streams = nats.streams().map(|settings| {
        let sink = JetStream::new(settings.clone()).expect("good subjects");
        Delivering::start(&settings.name, sink, store)
    });
    let mut all: Vec<Delivering> = streams.collect();
    if let Some(there) = there {
        let sink = Elasticsearch::new(there.clone()).expect("a sink");
        all.push(Delivering::start(&there.name, sink, store));
    }
    for one in all {
        one.drained().await;
        one.stop().await;
    }
}

/// What is in the log, which is closed.
fn closed(log: Log) -> Vec<Logged> {
    let events = log.store.log(0, Limit::events(1000)).expect("a log");
    log.close();
    events
}

/// What the command says, and its exit code.
fn audit(dir: &Path, args: &[&str]) -> (Option<i32>, Vec<Found>, Vec<Value>) {
    let output = watchpost(dir, &[&["audit", "--json"], args].concat());
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

/// One count of each backend.
fn counts(summaries: &[Value], name: &str) -> Vec<u64> {
    summaries.iter().map(|summary| summary[name].as_u64().expect("a number")).collect()
}

/// The part of a configuration that names both backends.
fn backends(nats: &Server, there: &elasticsearch::Server) -> String {
    format!("jetstream: {{url: '{}'}}\nelasticsearch: {{url: '{}'}}\n", nats.url(), there.url())
}

/// An Elasticsearch of the test's own, as what other tests write is extra to an audit.
async fn own(extra: &'static str) -> elasticsearch::Server {
    let server = tokio::task::spawn_blocking(|| elasticsearch::Server::with(extra)).await.expect("a server");
    prepare(&server.settings()).await;
    server
}

fn finding(backend: &str, difference: &str, id: &str) -> Found {
    (backend.into(), difference.into(), id.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_extra_or_different_is_found_in_each_backend() {
    let (nats, there) = (Server::start(), prepared().await);
    let dir = tempfile::tempdir().expect("a folder");
    let window = Duration::from_millis(100);
    let settings = config::JetStream { duplicate_window: window, sessions: None, ..nats.settings() };
    let events = delivered(dir.path(), &settings, &there.settings()).await;
    let more = format!(
        "jetstream: {{url: '{}', session_stream: off}}\nelasticsearch: {{url: '{}'}}\n",
        nats.url(),
        there.url()
    );
    configure(dir.path(), &more);

    // A message of an event that happened later than that is older, as its sender's clock was ahead.
    for (since, expected) in [("1h", [41, 41]), (AHEAD, [0, 1])] {
        let (code, findings, summaries) = audit(dir.path(), &["--since", since]);
        assert_eq!((code, &findings), (Some(0), &Vec::new()), "{since}: {summaries:?}");
        assert_eq!(counts(&summaries, "alike"), expected, "{since}");
    }

    in_elasticsearch(there, dir.path(), &events).await;
    configure(dir.path(), &format!("elasticsearch: {{url: '{}', retention: 1d}}\n", there.url()));
    let (_, findings, _) = audit(dir.path(), &["--since", "1h"]);
    let words: Vec<&str> = findings.iter().map(|(_, word, _)| word.as_str()).collect();
    assert_eq!(words, ["different", "extra"], "its retention may have taken the one that is missing");
    configure(dir.path(), &more);
    in_jetstream(&nats, dir.path(), "PROCESS_EVENTS").await;
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

    let (code, findings, _) = audit(dir, &["--since", "1h"]);
    let expected = ["different", "extra", "missing"].into_iter().zip([id(4), added, id(3)]);
    let expected: Vec<_> = expected.map(|(word, id)| finding("elasticsearch", word, &id)).collect();
    assert_eq!((code, findings), (Some(1), expected));
}

/// Deletes a message of a stream, changes one and adds one; these are found, and nothing else in there.
async fn in_jetstream(nats: &Server, dir: &Path, name: &str) {
    let context = nats.jetstream().await;
    let messages = stored(&context, name).await;
    let stream = context.get_stream(name).await.expect("the stream");
    let (deleted, changed) = (&messages[10], &messages[20]);
    for message in [deleted, changed] {
        stream.delete_message(message.sequence).await.expect("deleted");
    }
    let id = |message: &Stored| message.id.clone().expect("an id");
    let with = |key: &str, value: Value| {
        let mut event: Value = serde_json::from_str(&changed.payload).expect("an object");
        event[key] = value;
        event.to_string()
    };
    // Beyond the dedup window the same id is taken again.
    let published = until("the changed message to be taken", async || {
        let ack = publish(&context, &changed.subject, &id(changed), with("severity", "fatal".into())).await;
        (!ack.duplicate).then_some(ack.sequence)
    });
    assert!(published.await > messages.len() as u64);
    let added = uuid::Uuid::from_u128(0xbad).to_string();
    publish(&context, &changed.subject, &added, with("seq", 4000.into())).await;

    let (code, findings, _) = audit(dir, &["--since", "1h"]);
    let backend = format!("jetstream {name}");
    let findings: Vec<_> = findings.into_iter().filter(|(found, ..)| *found == backend).collect();
    let expected = ["different", "extra", "missing"].into_iter().zip([id(changed), added, id(deleted)]);
    let expected: Vec<_> = expected.map(|(word, id)| finding(&backend, word, &id)).collect();
    assert_eq!((code, findings), (Some(1), expected));
}

async fn publish(context: &jetstream::Context, subject: &str, id: &str, payload: String) -> PublishAck {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    let sent = context.publish_with_headers(subject.to_owned(), headers, payload.into());
    sent.await.expect("sent").await.expect("an answer")
}
