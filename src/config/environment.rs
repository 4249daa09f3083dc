//! The environment as a layer over the file.

use std::collections::BTreeMap;

use super::mistake::{Mistake, Place, nearest};
use super::schema::{KEYS, Key};
use super::tree::{Node, Value};

/// Environment variables. Only `main` reads the real ones.
pub type Environment = BTreeMap<String, String>;

/// Variables of ours that are no settings of the daemon.
const OTHERS: [&str; 6] = [
    "WATCHPOST_CONFIG",
    "WATCHPOST_LOG",
    "WATCHPOST_SESSION",
    "WATCHPOST_SPOOL",
    "WATCHPOST_TOKEN",
    "WATCHPOST_URL",
];

/// Those that are set to something: an empty one is as if it were not there.
fn set<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|word| !word.is_empty())
}

/// Lays all `WATCHPOST_*` over the tree, and the variables of others where the tree has nothing.
pub(super) fn lay(root: &mut Node, environment: &Environment, mistakes: &mut Vec<Mistake>) {
    for key in &KEYS {
        let name = key.variable();
        if let Some(word) = set(environment, &name) {
            root.lay(key.path, word, &Place::Variable(name), mistakes);
        }
    }
    lend(root, environment, "jetstream", &["url"], &[("url", "NATS_URL")], mistakes);
    let tokens = [("token", "PC_API_TOKEN"), ("token_file", "PC_API_TOKEN_PATH")];
    lend(root, environment, "process_compose[]", &["token", "token_file", "token_env"], &tokens, mistakes);
}

/// Takes a variable that other programs know too, where the section is there and none of `keys` is set.
fn lend(
    root: &mut Node,
    environment: &Environment,
    section: &str,
    keys: &[&str],
    from: &[(&str, &str)],
    mistakes: &mut Vec<Mistake>,
) {
    let entry = root.entries().iter().find(|entry| entry.key == section.trim_end_matches("[]"));
    let node = match entry.map(|entry| &entry.node.value) {
        Some(Value::List(items)) if items.len() == 1 => items.first(),
        Some(Value::Map(_) | Value::Nothing) => entry.map(|entry| &entry.node),
        _ => None,
    };
    let free = node.is_some_and(|node| keys.iter().all(|key| node.get(key).is_none()));
    let found = from.iter().find_map(|(key, name)| Some((key, name, set(environment, name)?)));
    if let Some((key, name, word)) = found.filter(|_| free) {
        root.lay(&format!("{section}.{key}"), word, &Place::Variable((*name).into()), mistakes);
    }
}

/// Tells of variables that look like ours and are none. No mistake: a cluster makes some of its own.
pub(super) fn unknown(environment: &Environment) -> Vec<String> {
    let variables: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let known: Vec<&str> = variables.iter().map(String::as_str).chain(OTHERS).collect();
    let strange = environment.keys().filter(|name| name.starts_with("WATCHPOST_"));
    strange
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            let lower: Vec<String> = known.iter().map(|known| known.to_lowercase()).collect();
            let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
            let meant = nearest(name, &lower).map(|word| format!("; did you mean `{}`?", word.to_uppercase()));
            format!("the environment variable {name} sets nothing{}", meant.unwrap_or_default())
        })
        .collect()
}
