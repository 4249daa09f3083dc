//! The documents of the standard workload, in the shared Elasticsearch: daemon → direct sink → server.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use watchpost::elasticsearch::{Connection, setup};

use super::elasticsearch::{Server, shared};
use super::standard::Standard;
use super::wait::until;

/// The most documents that a search looks at.
const LOOKED_AT: u64 = 500;

/// The documents, told from those of other tests by the session and process streams that they are of.
pub(crate) struct Documents {
    server: &'static Server,
    streams: BTreeSet<String>,
}

/// Those of one run of the workload, made for the first test that asks.
pub(crate) async fn documents() -> &'static Documents {
    static MADE: OnceCell<Documents> = OnceCell::const_new();
    // On a thread of its own: the workload outlives no test's runtime.
    let make = || tokio::task::spawn_blocking(|| runtime().block_on(make()));
    MADE.get_or_init(async || make().await.expect("no panic")).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn make() -> Documents {
    let server = tokio::task::spawn_blocking(shared).await.expect("a server");
    let settings = server.settings();
    setup(&Connection::new(&settings).expect("settings"), settings.retention).await.expect("a template");
    let standard = Standard::start(&format!("elasticsearch: {{url: '{}'}}", server.url())).await;
    standard.sessions(1).await;
    standard.recordings_ended().await;
    standard.wait_until_all_is_told().await;
    let events = standard.events().await;
    let streams = events.iter().map(|event| event["session"].as_str().expect("an id").to_owned()).collect();
    let documents = Documents { server, streams };
    let there = async || (documents.count().await >= events.len() as u64).then_some(());
    until("a document of each event", there).await;
    standard.drain().await;
    documents
}

impl Documents {
    /// What the server answers to a Lucene query over these documents alone.
    pub(crate) async fn search(&self, query: &str, more: Value) -> Value {
        let query = json!({"query_string": {"query": query, "analyze_wildcard": true}});
        let ours = json!({"terms": {"attributes.watchpost.stream.id": self.streams}});
        let mut body = json!({"query": {"bool": {"filter": [query, ours]}}});
        let more = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        self.server.search("logs-watchpost.otel-*", body).await
    }

    async fn count(&self) -> u64 {
        self.server.done("POST", "/logs-watchpost.otel-*/_refresh?allow_no_indices=true", None).await;
        let answer = self.search("*", json!({"size": 0, "track_total_hits": true})).await;
        answer["hits"]["total"]["value"].as_u64().unwrap_or(0)
    }

    /// The newest documents that a query finds, flat as Grafana has them.
    pub(crate) async fn find(&self, query: &str) -> Vec<Map<String, Value>> {
        let more = json!({"size": LOOKED_AT, "sort": [{"@timestamp": "desc"}]});
        let answer = self.search(query, more).await;
        let hits = answer["hits"]["hits"].as_array().expect("hits");
        hits.iter().map(|hit| flat(&hit["_source"])).collect()
    }

    /// The fields that the live mapping has.
    pub(crate) async fn fields(&self) -> BTreeSet<String> {
        let mappings = self.server.done("GET", "/logs-watchpost.otel-*/_mapping", None).await;
        let mappings = mappings.as_object().expect("an object").values();
        mappings.flat_map(|index| mapped(&index["mappings"]["properties"])).collect()
    }
}

/// An object without objects in it: their keys are joined with dots.
fn flat(value: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => {
                all.extend(flat(value).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)))
            }
            value => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

/// The names of the fields in the properties of a mapping.
fn mapped(properties: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (name, field) in properties.as_object().into_iter().flatten() {
        match field.get("properties") {
            Some(inner) => all.extend(mapped(inner).into_iter().map(|rest| format!("{name}.{rest}"))),
            None => all.push(name.clone()),
        }
    }
    all
}
