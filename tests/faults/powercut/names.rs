//! The names in a folder, and what changes them.

use std::collections::BTreeMap;

/// What a name stands for; a file by its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node {
    Folder,
    File(usize),
}

/// One step of the file system's own journal.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Create { path: String, node: Node },
    Rename { from: String, to: String },
    Remove { path: String },
    Truncate { file: usize, len: u64 },
}

impl Change {
    /// Whether it changes this file or folder: its content, its name, or a name in it.
    pub(crate) fn touches(&self, names: &Names, file: Option<usize>, folder: Option<&str>) -> bool {
        let is = |path: &str| file.is_some() && names.get(path) == file.map(Node::File);
        let within = |path: &str| folder.is_some() && (folder == Some(path) || folder == Some(parent(path)));
        match self {
            Self::Create { path, node } => within(path) || file.map(Node::File) == Some(*node),
            Self::Rename { from, to } => within(from) || within(to) || is(to),
            Self::Remove { path } => within(path),
            Self::Truncate { file: truncated, .. } => file == Some(*truncated),
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Every name in the folder, by its path below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeMap<String, Node>);

impl Names {
    pub(crate) fn insert(&mut self, path: String, node: Node) {
        self.0.insert(path, node);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Node> {
        self.0.get(path).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.0.iter()
    }

    /// Takes a step; a length is none of its affairs.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { path, node } => self.insert(path.clone(), *node),
            Change::Remove { path } => drop(self.0.remove(path)),
            Change::Rename { from, to } => self.rename(from, to),
            Change::Truncate { .. } => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.remove(to);
        let all = std::mem::take(&mut self.0);
        self.0 = all.into_iter().map(|(path, node)| (renamed(&path, from, to), node)).collect();
    }
}

/// A path after `from` was renamed to `to`.
pub(crate) fn renamed(path: &str, from: &str, to: &str) -> String {
    match path.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => path.to_owned(),
    }
}
