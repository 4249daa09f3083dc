//! Reads one section of the tree, typed, and gathers the mistakes.

use super::mistake::{Mistake, Place};
use super::schema;
use super::tree::{Entry, Node, Value};
use super::value::{self, Parsed};
use super::{Environment, Secret, without_password};

/// A map of the tree, under the keys that the schema has for it.
pub(super) struct Section<'a> {
    name: &'static str,
    node: &'a Node,
    path: String,
}

impl<'a> Section<'a> {
    /// Takes a map and tells of every key in it that there is not. `name` is the schema's, `path` is shown.
    pub(super) fn new(name: &'static str, node: &'a Node, path: String, mistakes: &mut Vec<Mistake>) -> Self {
        let known = schema::names_in(name);
        if !matches!(node.value, Value::Map(_) | Value::Nothing) {
            mistakes.push(Mistake::new(&node.place, &path, "a map of keys", &describe(&node.value)));
        }
        for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            mistakes.push(Mistake::unknown(&entry.place, &path, &entry.key, &known));
        }
        Self { name, node, path }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        let dot = if self.path.is_empty() || key.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.path)
    }

    /// Where that key stands, or the section where it does not.
    pub(super) fn place(&self, key: &str) -> &'a Place {
        self.node.get(key).map_or(&self.node.place, |entry| &entry.place)
    }

    /// A mistake at that key.
    pub(super) fn mistake(&self, key: &str, expected: impl Into<String>, found: &str) -> Mistake {
        Mistake::new(self.place(key), &self.path_of(key), expected, found)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The entry under a key of the schema.
    fn entry(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(schema::names_in(self.name).contains(&key), "{}.{key} is not in the schema", self.name);
        self.node.get(key)
    }

    /// The value under a key, if it is there and as it has to be.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        let Value::Word(word) = &entry.node.value else {
            mistakes.push(self.mistake(key, "one value", &describe(&entry.node.value)));
            return None;
        };
        parse(word).map_err(|expected| mistakes.push(self.mistake(key, expected, &shown(key, word)))).ok()
    }

    /// The value under a key, else the default.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
        default: T,
        mistakes: &mut Vec<Mistake>,
    ) -> T {
        self.optional(key, parse, mistakes).unwrap_or(default)
    }

    /// A list of words; one word alone, with commas between where it has several, is a list too.
    pub(super) fn list<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Vec<T>> {
        let entry = self.entry(key)?;
        let words: Vec<(&Place, &str)> = match &entry.node.value {
            Value::Word(word) => word.split(',').map(|word| (&entry.place, word.trim())).collect(),
            Value::List(items) => items.iter().map(|item| (&item.place, as_word(item))).collect(),
            _ => vec![(&entry.place, "")],
        };
        let mut parsed = Vec::new();
        for (place, word) in words {
            match parse(word) {
                Ok(value) => parsed.push(value),
                Err(expected) => mistakes.push(Mistake::new(place, &self.path_of(key), expected, word)),
            }
        }
        Some(parsed)
    }

    /// A secret: itself, or from the file or the environment variable that another key names.
    pub(super) fn secret(
        &self,
        key: &str,
        environment: &Environment,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Secret> {
        let (file, variable) = (format!("{key}_file"), format!("{key}_env"));
        let known = schema::names_in(self.name);
        let keys: Vec<&str> = [key, &file, &variable].into_iter().filter(|key| known.contains(key)).collect();
        self.at_most_one(&keys, mistakes);
        let from_variable = |name: &str| {
            let set = environment.get(name).filter(|word| !word.is_empty());
            set.map(Secret::new).ok_or_else(|| "an environment variable that is set".to_owned())
        };
        let mut secret = None;
        for key in keys {
            let read = match key {
                _ if key == file => self.optional(key, |word| Secret::from_file(&value::path(word)?), mistakes),
                _ if key == variable => self.optional(key, from_variable, mistakes),
                _ => self.optional(key, |word| value::text(word).map(Secret::new), mistakes),
            };
            secret = secret.or(read);
        }
        secret
    }

    /// Tells of the second and later ones of keys that stand in place of each other.
    pub(super) fn at_most_one(&self, keys: &[&str], mistakes: &mut Vec<Mistake>) {
        let given: Vec<&str> = keys.iter().copied().filter(|key| self.has(key)).collect();
        if let [first, rest @ ..] = given.as_slice() {
            let too_many = |key: &&str| {
                self.mistake(key, format!("only one of {}", keys.join(", ")), &format!("{key} beside {first}"))
            };
            mistakes.extend(rest.iter().map(too_many));
        }
    }
}

fn as_word(node: &Node) -> &str {
    if let Value::Word(word) = &node.value { word } else { "" }
}

/// A word as a mistake may show it.
fn shown(key: &str, word: &str) -> String {
    match key {
        "token" | "password" | "api_key" | "headers" => "***".into(),
        _ if key == "url" || key.ends_with("endpoint") => without_password(word),
        _ => word.into(),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Nothing => "nothing".into(),
        Value::Word(word) => word.clone(),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
    }
}
