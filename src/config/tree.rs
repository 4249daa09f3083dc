//! Raw configuration: a tree of text that knows where each part was given. All layers meet in it.

use super::Mistake;
use super::mistake::Place;

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a value is; words keep the text that was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `null`, `~` or nothing at all: as if the key were not there.
    Nothing,
    Word(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands; the value may begin on another line.
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Keys that stand in place of each other: one that is laid over the file pushes the others out.
const INSTEAD: [&[&str]; 5] = [
    &["url", "socket"],
    &["token", "token_file", "token_env"],
    &["password", "password_file"],
    &["credentials_file", "nkey_file", "user"],
    &["api_key", "api_key_file", "api_key_env", "user"],
];

impl Node {
    pub(super) fn new(place: Place, value: Value) -> Self {
        Self { place, value }
    }

    pub(super) fn empty_map() -> Self {
        Self::new(Place::Default, Value::Map(Vec::new()))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        (entry.node.value != Value::Nothing).then_some(entry)
    }

    /// Lays a word over whatever is at `path`, whose parts are `key` or, for the only item of a list,
    /// `key[]`.
    pub(super) fn lay(&mut self, path: &str, word: &str, place: &Place, mistakes: &mut Vec<Mistake>) {
        let Some((head, rest)) = path.split_once('.') else {
            return self.put(path, Node::new(place.clone(), Value::Word(word.into())));
        };
        let node = match head.strip_suffix("[]") {
            None => Some(self.child(head, Value::Map(Vec::new()), place)),
            Some(head) => self.child(head, Value::List(Vec::new()), place).only_item(place),
        };
        match node {
            Some(node) => node.lay(rest, word, place, mistakes),
            None => {
                let head = head.trim_end_matches("[]");
                let expected = format!("one item in `{head}`, as this names none of several");
                mistakes.push(Mistake::new(place, head, expected, ""));
            }
        }
    }

    /// Makes the sections that an adapter always has, where they are not there.
    pub(super) fn lay_adapter(&mut self) {
        self.child("jetstream", Value::Map(Vec::new()), &Place::Default);
        let list = self.child("process_compose", Value::List(Vec::new()), &Place::Default);
        list.only_item(&Place::Default);
    }

    /// The entries, of a node that is made a map where it is none.
    fn entries_mut(&mut self) -> &mut Vec<Entry> {
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        match &mut self.value {
            Value::Map(entries) => entries,
            _ => unreachable!("made a map just above"),
        }
    }

    fn put(&mut self, key: &str, node: Node) {
        let instead = INSTEAD.iter().find(|group| group.contains(&key)).copied().unwrap_or_default();
        let pushed_out = |entry: &Entry| {
            entry.key == key || (instead.contains(&entry.key.as_str()) && node.place.is_over(&entry.node.place))
        };
        let entries = self.entries_mut();
        entries.retain(|entry| !pushed_out(entry));
        entries.push(Entry { key: key.into(), place: node.place.clone(), node });
    }

    /// The child under that key; made where there is none.
    fn child(&mut self, key: &str, empty: Value, place: &Place) -> &mut Self {
        if self.get(key).is_none() {
            self.put(key, Self::new(place.clone(), empty));
        }
        let entries = self.entries_mut();
        let at = entries.iter().position(|entry| entry.key == key).unwrap_or_default();
        &mut entries[at].node
    }

    fn only_item(&mut self, place: &Place) -> Option<&mut Self> {
        match &mut self.value {
            Value::List(items) if items.len() > 1 => None,
            Value::List(items) => {
                if items.is_empty() {
                    items.push(Self::new(place.clone(), Value::Map(Vec::new())));
                }
                items.first_mut()
            }
            _ => None,
        }
    }
}
