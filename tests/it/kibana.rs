//! Kibana's saved objects: that they can be imported, and that what they ask for is in Elasticsearch.

mod object;

use std::collections::BTreeSet;

use super::support::documents::documents;
use object::{Object, objects};

/// The columns of Kibana's grid.
const COLUMNS: u64 = 48;

#[test]
fn every_line_is_an_object_and_ids_are_unique() {
    let objects = objects();
    let kinds: BTreeSet<&str> = objects.iter().map(Object::kind).collect();
    assert_eq!(kinds, BTreeSet::from(["dashboard", "index-pattern", "lens", "search"]));
    let ids: BTreeSet<_> = objects.iter().map(Object::key).collect();
    assert_eq!(ids.len(), objects.len());
    for object in &objects {
        assert!(object.text("title").is_some_and(|title| !title.is_empty()), "{object:?}");
        assert!(
            object.json["typeMigrationVersion"].is_string(),
            "{object:?}: else it counts as of the first Kibana"
        );
    }
}

#[test]
fn references_are_closed_and_stand_before_what_refers_to_them() {
    let mut there = BTreeSet::new();
    for object in objects() {
        let references = object.references();
        for (name, key) in &references {
            assert!(there.contains(key), "{:?}: {name}: {key:?}", object.key());
        }
        let named: BTreeSet<String> = references.into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, object.named_inside(), "{:?}", object.key());
        there.insert(object.key());
    }
}

#[test]
fn lenses_show_columns_that_they_have() {
    let lenses = objects().into_iter().filter(|object| object.kind() == "lens");
    for lens in lenses {
        let (columns, used) = (lens.columns(), lens.used_columns());
        assert_eq!(columns, used, "{:?}", lens.key());
    }
}

#[test]
fn panels_lie_in_the_grid_and_do_not_overlap() {
    let dashboard = objects().into_iter().find(|object| object.kind() == "dashboard").expect("one");
    let mut taken = BTreeSet::new();
    for panel in dashboard.panels() {
        let at = &panel["gridData"];
        assert_eq!(panel["panelIndex"], at["i"], "{panel}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| at[key].as_u64().expect("a whole number"));
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{panel}");
        let free = (x..x + w).all(|x| (y..y + h).all(|y| taken.insert((x, y))));
        assert!(free, "{panel} lies over another");
    }
    assert!(!taken.is_empty());
}

#[tokio::test]
async fn each_field_is_in_the_live_mapping() {
    let there = documents().await.fields().await;
    let mut looked = 0;
    for object in objects() {
        for field in object.fields() {
            assert!(there.contains(&field), "{:?}: {field} is not among {there:?}", object.key());
            looked += 1;
        }
    }
    assert!(looked > 30, "{looked}");
}

#[tokio::test]
async fn each_query_runs_and_finds_something() {
    let documents = documents().await;
    let queries: Vec<(String, Object)> = objects().into_iter().map(|object| (object.query(), object)).collect();
    for (query, object) in queries.iter().filter(|(query, _)| !query.is_empty()) {
        assert!(!documents.find(query).await.is_empty(), "{:?}: {query}", object.key());
    }
    assert!(queries.iter().filter(|(query, _)| !query.is_empty()).count() > 8);
}
