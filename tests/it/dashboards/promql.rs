//! The expressions of a dashboard, as they are when a person has chosen nothing.

use serde_json::Value;

use super::board::{Board, targets};

/// Those of its panels and its variables, with everything that Grafana puts in.
pub(crate) fn expressions(board: &Board) -> Vec<String> {
    let targets = board.panels().into_iter().flat_map(targets).filter_map(|target| target["expr"].as_str());
    let variables = board.variables().filter(|variable| variable["datasource"]["type"] == "prometheus");
    let values = variables.map(|variable| label_values(variable["query"]["query"].as_str().expect("a query")));
    targets.map(Into::into).chain(values).map(|expr| filled(board, &expr)).collect()
}

/// How many series there are behind `label_values(SERIES, LABEL)`, those without that label left out.
fn label_values(query: &str) -> String {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (series, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(SERIES, LABEL)");
    format!("count by ({label}) ({series}) unless on ({label}) count without ({label}) ({series})")
}

fn filled(board: &Board, expr: &str) -> String {
    let mut expr = expr.to_owned();
    for (name, time) in [("$__rate_interval", "1m"), ("$__interval", "1m"), ("$__range", "1h")] {
        expr = expr.replace(name, time);
    }
    for variable in board.variables().filter(|variable| variable["type"] == "query") {
        let name = variable["name"].as_str().expect("a name");
        let all = variable["allValue"].as_str().expect("what stands for all");
        expr = expr.replace(&format!("${name}"), all);
    }
    assert!(!expr.contains('$'), "{}: {expr}", board.name);
    expr
}

/// What a panel shows where something of that kind has happened: without the nought that else stands for it.
pub(crate) fn without_nought(expr: &str) -> &str {
    expr.strip_suffix(" or vector(0)").unwrap_or(expr)
}

/// Whether a target draws several series: it groups by something, and nothing around that makes one of them. A table
/// has columns instead.
pub(crate) fn has_many(target: &Value) -> bool {
    let expr = target["expr"].as_str().filter(|_| target["format"] != "table").unwrap_or_default();
    let one = ["sum(", "max(", "min("].iter().any(|outermost| expr.starts_with(outermost));
    expr.contains(" by (") && !expr.contains("by (le) ") && !one
}
