//! The direct way to Elasticsearch, on a real server. Each test has days of its own, and so data streams.

mod delivery;
mod secured;
mod setup;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use watchpost::config;
use watchpost::elasticsearch::{Connection, setup};
use watchpost::event::{Logged, Timestamp};
use watchpost::sink::elasticsearch::Elasticsearch;
use watchpost::sink::{Again, Cursor, Error, Sent, Sink};

use super::support::elasticsearch::{Server, shared};
use super::support::events;

/// The shared server, with the template there.
pub(crate) async fn prepared() -> &'static Server {
    static READY: OnceCell<()> = OnceCell::const_new();
    let server = tokio::task::spawn_blocking(shared).await.expect("a server");
    READY.get_or_init(async || prepare(&server.settings()).await).await;
    server
}

pub(crate) async fn prepare(settings: &config::Elasticsearch) {
    setup(&Connection::new(settings).expect("settings"), settings.retention).await.expect("a template");
}

/// The data stream of a day of October 2025.
fn stream(day: u8) -> String {
    format!("logs-watchpost.otel-202510{day:02}")
}

/// So many events of that day; their ids are told by the day and the offset.
fn of_day(day: u8, from: u64, count: u64) -> Vec<Logged> {
    let observed: Timestamp = format!("2025-10-{day:02}T12:00:00.000Z").parse().expect("a time");
    let mut run = events::run(from, count);
    for logged in &mut run {
        let event = Arc::make_mut(&mut logged.event);
        event.id = uuid::Uuid::from_u128(u128::from(day) << 64 | u128::from(logged.offset));
        (event.ts, event.observed) = (observed, observed);
    }
    run
}

/// A sink that was resumed.
pub(crate) async fn resumed(settings: config::Elasticsearch) -> Elasticsearch {
    let mut sink = Elasticsearch::new(settings).expect("a sink");
    sink.resume(&Cursor::default()).await.expect("it answers");
    sink
}

fn ids(batch: &[Logged]) -> Vec<String> {
    batch.iter().map(|logged| logged.event.id.to_string()).collect()
}

async fn ids_in(server: &Server, stream: &str) -> Vec<String> {
    server.documents(stream).await.into_iter().map(|(id, _)| id).collect()
}

pub(crate) fn all(count: usize) -> Sent {
    Sent { settled: count, ..Sent::default() }
}

fn block(on: bool) -> Value {
    json!({"index.blocks.write": on})
}

#[tokio::test]
async fn each_event_is_one_document_by_its_id_in_the_stream_of_its_day() {
    let server = prepared().await;
    let settings = config::Elasticsearch { batch_documents: 64, window: 3, ..server.settings() };
    let mut sink = resumed(settings.clone()).await;
    let batch = [of_day(1, 0, 500), of_day(2, 500, 500)].concat();
    assert_eq!(sink.send(&batch).await, all(1000));
    assert_eq!(ids_in(server, &stream(1)).await, ids(&batch[..500]));
    assert_eq!(ids_in(server, &stream(2)).await, ids(&batch[500..]));

    let again = resumed(settings).await.send(&batch).await;
    assert_eq!(again, all(1000), "those that are there count as confirmed");
    assert_eq!(ids_in(server, &format!("{},{}", stream(1), stream(2))).await.len(), 1000);
}

#[tokio::test]
async fn sent_again_after_days_meets_its_first_copy_and_after_a_rollover_by_hand_it_is_there_twice() {
    let server = prepared().await;
    let batch = of_day(3, 0, 10);
    assert_eq!(resumed(server.settings()).await.send(&batch).await, all(10));
    // Days later the stream of its own day is still where it goes, though others have come since.
    assert_eq!(resumed(server.settings()).await.send(&of_day(4, 10, 10)).await, all(10));
    assert_eq!(resumed(server.settings()).await.send(&batch).await, all(10));
    assert_eq!(ids_in(server, &stream(3)).await, ids(&batch));

    server.done("POST", &format!("/{}/_rollover", stream(3)), None).await;
    assert_eq!(resumed(server.settings()).await.send(&batch).await, all(10));
    let twice = ids_in(server, &stream(3)).await;
    assert_eq!(twice.len(), 20, "an id is known within one backing index");
    assert_eq!(twice.into_iter().collect::<BTreeSet<_>>(), ids(&batch).into_iter().collect());
}

#[tokio::test]
async fn what_the_collector_made_and_what_came_directly_is_one_document() {
    let server = prepared().await;
    let batch = of_day(5, 0, 4);
    for (at, id) in ids(&batch).iter().enumerate().take(2) {
        // As the Collector's exporter does it: a bulk `create` by `elasticsearch.document_id`.
        let document = json!({"@timestamp": "2025-10-05T12:00:00.000Z", "attributes": {"n": at}});
        let lines = format!("{}\n{document}\n", json!({"create": {"_index": stream(5), "_id": id}}));
        let connection = Connection::new(&server.settings()).expect("settings");
        connection.bulk(lines.into(), std::time::Duration::from_secs(30)).await.expect("taken");
    }
    assert_eq!(resumed(server.settings()).await.send(&batch).await, all(4));
    assert_eq!(ids_in(server, &stream(5)).await, ids(&batch));
}

#[tokio::test]
async fn a_read_only_index_holds_off_its_documents_alone() {
    let server = prepared().await;
    let settings = config::Elasticsearch { batch_documents: 8, ..server.settings() };
    let mut sink = resumed(settings).await;
    assert_eq!(sink.send(&of_day(6, 0, 1)).await, all(1));
    server.done("PUT", &format!("/{}/_settings", stream(6)), Some(block(true))).await;

    let batch = [of_day(7, 1, 2), of_day(6, 3, 2), of_day(7, 5, 2)].concat();
    let sent = sink.send(&batch).await;
    assert_eq!((sent.settled, sent.refused.len()), (2, 0), "in order");
    let Some(Error::Retryable(reason)) = &sent.error else { panic!("{sent:?}") };
    assert!(reason.contains("cluster_block_exception") && reason.contains("index write"), "{reason}");
    assert_eq!(ids_in(server, &stream(7)).await.len(), 4, "its neighbours are there");

    // Only those two go again: a document that was there by then would be seen by its version.
    server.done("PUT", &format!("/{}/_settings", stream(6)), Some(block(false))).await;
    for id in ids(&of_day(7, 5, 2)) {
        server.delete(&stream(7), &id).await;
    }
    assert_eq!(sink.send(&batch[2..]).await, all(4));
    assert_eq!(ids_in(server, &stream(6)).await.len(), 3);
    assert_eq!(ids_in(server, &stream(7)).await.len(), 2, "what was confirmed is not sent a second time");
}

#[tokio::test]
async fn a_full_disk_holds_documents_off_until_there_is_room() {
    let server = prepared().await;
    let mut sink = resumed(server.settings()).await;
    assert_eq!(sink.send(&of_day(8, 0, 1)).await, all(1));
    // What the flood-stage watermark sets, and takes back.
    let full = |on: Value| json!({"index.blocks.read_only_allow_delete": on});
    server.done("PUT", &format!("/{}/_settings", stream(8)), Some(full(true.into()))).await;
    let sent = sink.send(&of_day(8, 1, 3)).await;
    let Some(Error::Retryable(reason)) = &sent.error else { panic!("{sent:?}") };
    assert!(sent.settled == 0 && reason.starts_with("429 ") && reason.contains("flood-stage"), "{sent:?}");
    server.done("PUT", &format!("/{}/_settings", stream(8)), Some(full(Value::Null))).await;
    assert_eq!(sink.send(&of_day(8, 1, 3)).await, all(3));
    assert_eq!(ids_in(server, &stream(8)).await.len(), 4);
}

#[tokio::test]
async fn a_mapping_conflict_is_refused_with_its_reason_and_goes_once_it_is_mended() {
    let server = prepared().await;
    let wrong = json!({
        "index_patterns": [stream(9)], "priority": 900, "data_stream": {},
        "template": {"mappings": {"properties": {"event_name": {"type": "long"}}}},
    });
    server.done("PUT", "/_index_template/wrong", Some(wrong)).await;
    let mut sink = resumed(server.settings()).await;
    let batch = [of_day(9, 0, 2), of_day(10, 2, 1)].concat();
    let sent = sink.send(&batch).await;
    assert_eq!((sent.settled, sent.refused.len(), &sent.error), (3, 2, &None), "{sent:?}");
    let refused = &sent.refused[1];
    assert_eq!(refused.index, 1);
    assert!(refused.reason.starts_with("400 document_parsing_exception: "), "{}", refused.reason);
    assert!(refused.reason.contains("event_name"), "{}", refused.reason);
    let kept: Value = serde_json::from_str(refused.sent.as_deref().expect("what was sent")).expect("JSON");
    assert_eq!((&kept["stream"], &kept["id"]), (&stream(9).into(), &batch[1].event.id.to_string().into()));
    assert!(kept["document"]["event_name"].is_string(), "{kept}");

    // A person deletes the stream that was made with the wrong mapping, and asks for a retry.
    server.done("DELETE", "/_index_template/wrong", None).await;
    server.done("DELETE", &format!("/{}", backing(server, &stream(9)).await), None).await;
    let letter = Again { logged: batch[1].clone(), sent: refused.sent.clone() };
    assert_eq!(sink.send_again(&[letter]).await, all(1));
    assert_eq!(
        server.documents(&stream(9)).await,
        [(kept["id"].as_str().expect("an id").into(), kept["document"].clone())]
    );
}

/// The first backing index of a data stream that has more than one by now: the write index cannot be deleted.
async fn backing(server: &Server, stream: &str) -> String {
    let rolled = server.done("POST", &format!("/{stream}/_rollover"), None).await;
    rolled["old_index"].as_str().expect("a name").to_owned()
}
