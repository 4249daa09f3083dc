//! The dashboards as they stand in the repository, and the parts of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Names that Grafana itself gives.
const BUILT_IN: [&str; 8] =
    ["__rate_interval", "__interval", "__range", "__value", "__from", "__to", "__url_time_range", "__all"];

/// One dashboard.
pub(crate) struct Board {
    /// The file's name.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) json: Value,
}

fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

/// All of them, in order of name.
pub(crate) fn boards() -> Vec<Board> {
    let entries = std::fs::read_dir(grafana().join("dashboards")).expect("a folder");
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let board = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Board { name, path, text, json }
    };
    paths.into_iter().map(board).collect()
}

impl Board {
    /// Every panel, those in collapsed rows too.
    pub(crate) fn panels(&self) -> Vec<&Value> {
        let panels = self.json["panels"].as_array().expect("panels");
        let inner = |panel: &Value| panel["panels"].as_array().map(Vec::as_slice).unwrap_or_default().len();
        assert!(panels.iter().all(|panel| inner(panel) == 0), "{}: rows are not collapsed", self.name);
        panels.iter().collect()
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &Value> {
        self.json["templating"]["list"].as_array().expect("variables").iter()
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&Value> {
        self.variables().find(|variable| variable["name"] == name)
    }

    /// The names of variables that stand anywhere in there, Grafana's own left out.
    pub(crate) fn used_variables(&self) -> BTreeSet<String> {
        let parts = self.text.split('$').skip(1).map(|part| part.strip_prefix('{').unwrap_or(part));
        let name =
            |part: &str| part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().map(String::from);
        let names = parts.filter_map(name).filter(|name| !name.is_empty());
        names.filter(|name| !BUILT_IN.contains(&name.as_str())).collect()
    }
}

/// The queries of a panel.
pub(crate) fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// Every value in there, from the outermost on.
fn walk(value: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(values) => values.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(value).chain(inner.into_iter().flat_map(walk)).collect()
}

/// The type and the uid of every data source that is named.
pub(crate) fn references(json: &Value) -> Vec<(&str, &str)> {
    let named = walk(json).into_iter().filter_map(|value| value.get("datasource"));
    named.map(|source| (part(source, "type"), part(source, "uid"))).collect()
}

fn part<'a>(source: &'a Value, key: &str) -> &'a str {
    source[key].as_str().expect("each data source is named by type and uid")
}

/// The addresses that the fields of a panel link to.
pub(crate) fn links(panel: &Value) -> impl Iterator<Item = String> {
    walk(panel).into_iter().filter_map(|value| value["url"].as_str().map(Into::into))
}

/// An address without its percent signs.
pub(crate) fn decoded(url: &str) -> String {
    form_urlencoded::parse(url.replace('&', "%26").as_bytes())
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn data_sources() -> String {
    std::fs::read_to_string(grafana().join("provisioning/datasources/watchpost.yaml")).expect("UTF-8")
}

/// The provisioned data sources: uid and type.
pub(crate) fn provisioned() -> BTreeMap<String, String> {
    let text = data_sources();
    let key = |block: &str, key: &str| {
        let mut lines = block.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(key)).expect("each has one").trim().to_owned()
    };
    text.split("\n  - name: ").skip(1).map(|block| (key(block, "uid:"), key(block, "type:"))).collect()
}

/// The uids that the data sources name of each other.
pub(crate) fn provisioned_references() -> Vec<String> {
    let text = data_sources();
    let uids = text.lines().filter_map(|line| line.trim().strip_prefix("datasourceUid:"));
    uids.map(|uid| uid.trim().to_owned()).collect()
}
