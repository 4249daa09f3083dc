//! Every query of every dashboard that goes to Elasticsearch, on a real one, as Grafana asks it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::board::{Board, boards, targets};
use crate::it::support::documents::{Documents, documents};

/// A query with all variables as they are when nothing is chosen.
fn filled(board: &Board, query: &str) -> String {
    let mut query = query.to_owned();
    for variable in board.variables().filter(|variable| variable["type"] == "query") {
        let (name, all) = (&variable["name"], variable["allValue"].as_str().expect("what stands for all"));
        query = query.replace(&format!("${}", name.as_str().expect("a name")), all);
    }
    assert!(!query.contains('$'), "{}: {query}", board.name);
    query
}

/// The buckets of a target, each within the one before, with its metrics in the innermost.
fn aggregations(target: &Value) -> Value {
    let list = |key: &str| target[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let metric = |metric: &Value| {
        Some((text(&metric["id"]), json!({text(&metric["type"]): {"field": metric.get("field")?}})))
    };
    let mut inner: Map<String, Value> = list("metrics").iter().filter_map(metric).collect();
    for bucket in list("bucketAggs").iter().rev() {
        assert_eq!(bucket["type"], "terms", "{bucket}");
        let size: u64 = text(&bucket["settings"]["size"]).parse().expect("a number");
        let terms = json!({"field": bucket["field"], "size": size, "order": {"_key": bucket["settings"]["order"]}});
        inner = Map::from_iter([(text(&bucket["id"]), json!({"terms": terms, "aggs": inner}))]);
    }
    Value::Object(inner)
}

/// The innermost buckets of an answer.
fn leaves(target: &Value, answer: &Value) -> Vec<Value> {
    let mut found = vec![answer["aggregations"].clone()];
    for bucket in target["bucketAggs"].as_array().expect("buckets") {
        let id = bucket["id"].as_str().expect("an id");
        found =
            found.iter().flat_map(|outer| outer[id]["buckets"].as_array().cloned().unwrap_or_default()).collect();
    }
    found
}

/// The columns that a table keeps of the documents that it got.
fn columns(panel: &Value) -> Vec<&str> {
    let transformations = panel["transformations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kept = transformations.iter().filter_map(|one| one["options"]["include"]["names"].as_array());
    kept.flatten().filter_map(Value::as_str).collect()
}

async fn check(documents: &Documents, board: &Board, panel: &Value, target: &Value) {
    let query = filled(board, target["query"].as_str().expect("a query"));
    let what = format!("{}: {}: {query}", board.name, panel["title"]);
    let metrics = target["metrics"].as_array().expect("metrics");
    if target["bucketAggs"].as_array().is_some_and(|buckets| !buckets.is_empty()) {
        let answer = documents.search(&query, json!({"size": 0, "aggs": aggregations(target)})).await;
        let leaves = leaves(target, &answer);
        assert!(!leaves.is_empty(), "{what}: {answer}");
        for metric in metrics.iter().filter(|metric| metric["type"] != "count") {
            let id = metric["id"].as_str().expect("an id");
            assert!(leaves.iter().all(|leaf| leaf[id]["value"].is_number()), "{what}: {leaves:?}");
        }
        return;
    }
    let found = documents.find(&query).await;
    assert!(!found.is_empty(), "{what}");
    let fields: BTreeSet<&String> = found.iter().flat_map(|document| document.keys()).collect();
    let missing: Vec<&str> =
        columns(panel).into_iter().filter(|name| !fields.contains(&(*name).to_owned())).collect();
    assert!(missing.is_empty(), "{what}: {missing:?} are not among {fields:?}");
    // What the data source is told to show as the text and the level of a line.
    assert!(fields.contains(&"body.text".to_owned()) && fields.contains(&"severity_text".to_owned()), "{fields:?}");
}

#[tokio::test]
async fn every_query_finds_documents_after_the_standard_workload() {
    let documents = documents().await;
    let mut checked = 0;
    for board in &boards() {
        for panel in board.panels() {
            for target in targets(panel).filter(|target| target["datasource"]["type"] == "elasticsearch") {
                check(documents, board, panel, target).await;
                checked += 1;
            }
        }
        for annotation in board.json["annotations"]["list"].as_array().expect("annotations") {
            let query = annotation["target"]["query"].as_str().expect("a query");
            assert!(!documents.find(query).await.is_empty(), "{}: {annotation}", board.name);
            checked += 1;
        }
        for variable in board.variables().filter(|variable| variable["datasource"]["type"] == "elasticsearch") {
            let find: Value = serde_json::from_str(variable["query"].as_str().expect("a query")).expect("JSON");
            let aggs = json!({"terms": {"terms": {"field": find["field"], "size": find["size"]}}});
            let query = find["query"].as_str().expect("a query");
            let answer = documents.search(query, json!({"size": 0, "aggs": aggs})).await;
            assert!(answer["aggregations"]["terms"]["buckets"][0].is_object(), "{}: {answer}", board.name);
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}
