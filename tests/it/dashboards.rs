//! The dashboards of `grafana/`: their form, what they refer to, and that each of their expressions can be read.

mod board;
mod documents;
mod form;
mod promql;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::support::promtool;
use board::{Board, boards, provisioned, references};

/// The columns of Grafana's grid.
const COLUMNS: u64 = 24;

#[test]
fn each_dashboard_is_written_in_the_one_form() {
    for board in boards() {
        let formed = form::format(&board.json);
        if formed != board.text && std::env::var_os("WATCHPOST_UPDATE").is_some() {
            std::fs::write(&board.path, &formed).expect("written");
            continue;
        }
        assert!(formed == board.text, "{}: WATCHPOST_UPDATE=1 writes it in the one form", board.name);
    }
}

#[test]
fn each_has_the_classic_schema_and_nothing_that_belongs_to_one_grafana() {
    for Board { name, json, .. } in boards() {
        assert_eq!(json["schemaVersion"], 42, "{name}");
        assert_eq!(json["editable"], false, "{name}: it is changed in the repository");
        for key in ["id", "version", "iteration"] {
            assert_eq!(json.get(key), None, "{name}: {key} is Grafana's own");
        }
        assert!(json["tags"].as_array().is_some_and(|tags| tags.contains(&"watchpost".into())), "{name}");
    }
}

#[test]
fn uids_titles_and_ids_are_unique() {
    let boards = boards();
    assert_eq!(boards.len(), 5);
    for key in ["uid", "title"] {
        let values: BTreeSet<&str> = boards.iter().filter_map(|board| board.json[key].as_str()).collect();
        assert_eq!(values.len(), boards.len(), "{key}: {values:?}");
    }
    for board in &boards {
        let ids: BTreeSet<u64> = board.panels().iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), board.panels().len(), "{}", board.name);
        for panel in board.panels() {
            let refs: BTreeSet<&str> =
                board::targets(panel).filter_map(|target| target["refId"].as_str()).collect();
            assert_eq!(refs.len(), board::targets(panel).count(), "{}: {}", board.name, panel["title"]);
        }
    }
}

/// The cells that a panel covers.
fn cells(panel: &Value) -> Vec<(u64, u64)> {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a whole number"));
    assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}: {}", panel["title"], panel["gridPos"]);
    (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))).collect()
}

#[test]
fn panels_lie_in_the_grid_and_do_not_overlap() {
    for board in boards() {
        let mut taken: BTreeMap<(u64, u64), &Value> = BTreeMap::new();
        for panel in board.panels() {
            for cell in cells(panel) {
                let other = taken.insert(cell, &panel["title"]);
                assert_eq!(other, None, "{}: {} lies over it at {cell:?}", board.name, panel["title"]);
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for board in boards() {
        for panel in board.panels().into_iter().filter(|panel| panel["type"] != "row") {
            let what = format!("{}: {}", board.name, panel["title"]);
            assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{what}");
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{what}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{what}");
            let told = |target: &Value| target["legendFormat"].as_str().is_some_and(|legend| !legend.is_empty());
            let silent = board::targets(panel).find(|target| promql::has_many(target) && !told(target));
            assert_eq!(silent, None, "{what}: a legend tells its series apart");
        }
    }
}

#[test]
fn data_sources_are_variables_that_begin_with_a_provisioned_one() {
    let provisioned = provisioned();
    for board in boards() {
        for (kind, uid) in references(&board.json) {
            let what = format!("{}: {kind} {uid}", board.name);
            let name = uid.strip_prefix("${").and_then(|name| name.strip_suffix('}')).expect(&what);
            let variable = board.variable(name).expect(&what);
            assert_eq!(
                (&variable["type"], &variable["query"]),
                (&"datasource".into(), &Value::from(kind)),
                "{what}"
            );
            let first = variable["current"]["value"].as_str().expect(&what);
            assert_eq!(provisioned.get(first).map(String::as_str), variable["query"].as_str(), "{what}");
        }
    }
    for uid in board::provisioned_references() {
        assert!(provisioned.contains_key(&uid), "datasourceUid {uid}");
    }
}

#[test]
fn every_variable_is_used_and_every_one_that_is_used_is_there() {
    for board in boards() {
        let used = board.used_variables();
        let there: BTreeSet<String> =
            board.variables().filter_map(|one| one["name"].as_str().map(Into::into)).collect();
        // Each board can open a trace or a log, as a person may add a panel that does.
        let always = ["datasource", "tempo", "elasticsearch"].map(String::from);
        let unused: Vec<_> = there.difference(&used).filter(|name| !always.contains(name)).collect();
        assert!(unused.is_empty(), "{}: {unused:?} are not used", board.name);
        let missing: Vec<_> = used.difference(&there).collect();
        assert!(missing.is_empty(), "{}: {missing:?} are not there", board.name);
    }
}

#[test]
fn links_open_dashboards_that_are_there() {
    let boards = boards();
    let uids: BTreeSet<&str> = boards.iter().filter_map(|board| board.json["uid"].as_str()).collect();
    let mut followed = 0;
    let rules = super::alerts::texts();
    for text in boards.iter().map(|board| &board.text).chain(rules.iter().map(|(_, text)| text)) {
        for link in text.split("/d/").skip(1) {
            let uid = link.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().expect("a first part");
            assert!(uids.contains(uid), "{uid}");
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed}");
}

#[test]
fn the_table_of_sessions_opens_the_trace_and_the_logs() {
    let boards = boards();
    let sessions = boards.iter().find(|board| board.json["uid"] == "watchpost-sessions").expect("it is there");
    let panels = sessions.panels();
    let table =
        panels.iter().find(|panel| panel["title"] == "Sessions" && panel["type"] == "table").expect("a table");
    let links: Vec<String> = board::links(table).map(|url| board::decoded(&url)).collect();
    let opens = |what: &[&str]| links.iter().any(|link| what.iter().all(|part| link.contains(part)));
    assert!(
        opens(&["/explore?", "${tempo}", r#""queryType":"traceql""#, r#""query":"${__value.raw}""#]),
        "{links:?}"
    );
    assert!(opens(&["/explore?", "${elasticsearch}", r#"attributes.session.id:\"${__value.raw}\""#]), "{links:?}");
    let columns = &table["transformations"].to_string();
    for column in ["trace_id", "attributes.session.id", "attributes.watchpost.session.status"] {
        assert!(columns.contains(column), "{column}");
    }
}

#[test]
fn every_expression_is_promql() {
    let expressions: Vec<String> = boards().iter().flat_map(promql::expressions).collect();
    assert!(expressions.len() > 60, "{}", expressions.len());
    let rules = expressions.iter().map(|expr| serde_json::json!({"record": "any", "expr": expr}));
    let file = serde_json::json!({"groups": [{"name": "dashboards", "rules": rules.collect::<Vec<_>>()}]});
    let dir = tempfile::tempdir().expect("a folder");
    // JSON is YAML too.
    std::fs::write(dir.path().join("rules.yml"), file.to_string()).expect("written");
    promtool::run(dir.path(), &["check", "rules", "--lint=none", "rules.yml"]);
}
