//! Nodes, many of them: their texts stand in one piece of memory, and they are found by id in a table that no
//! snapshot has.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::bounded::{MAX_NAME, MAX_TEXT, cut};

/// The most nodes that are kept in detail. Where there are more, half of them are forgotten, those that ended well
/// and quickest first, and stay in the counts.
pub const MAX_NODES: usize = 50_000;
/// The most bytes of their ids, paths and errors; where there are more, the same is done.
const MAX_BYTES: usize = 32 << 20;

/// How far a node has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// It is known, and its turn has not come.
    #[default]
    Waiting,
    /// It is being generated.
    Generating,
    /// It waits for a provider's answer, or for another attempt.
    ProviderWaiting,
    /// The provider has answered, or it is said to be complete.
    Complete,
    /// It failed.
    Failed,
    /// It is not generated.
    Skipped,
}

impl NodeStatus {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Generating, Self::ProviderWaiting, Self::Complete, Self::Failed, Self::Skipped];

    /// Whether nothing more is expected of it.
    pub fn is_over(self) -> bool {
        self >= Self::Complete
    }
}

/// A text of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    at: u32,
    len: u32,
}

/// A node. Times are milliseconds since the session's first event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) id: Place,
    pub(super) path: Place,
    pub(super) plan: Option<u32>,
    pub(super) level: Option<u32>,
    pub(super) status: NodeStatus,
    pub(super) started: Option<i64>,
    pub(super) queued: Option<i64>,
    pub(super) processing: Option<i64>,
    pub(super) sent: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) duration_ms: Option<u64>,
    pub(super) provider_ms: u64,
    pub(super) attempts: u32,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Why it failed or was skipped.
    pub(super) detail: Place,
    pub(super) error_type: Place,
}

/// All nodes, in the order in which they were first told of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Nodes {
    list: Vec<Node>,
    texts: String,
    #[serde(skip)]
    index: Option<Index>,
}

#[derive(Debug, Clone, Default)]
struct Index {
    hasher: DefaultHashBuilder,
    table: HashTable<u32>,
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list && self.texts == other.texts
    }
}

impl Nodes {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.list.iter()
    }

    pub(super) fn get(&self, at: u32) -> &Node {
        &self.list[at as usize]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Node {
        &mut self.list[at as usize]
    }

    pub(super) fn text(&self, place: Place) -> &str {
        &self.texts[place.at as usize..][..place.len as usize]
    }

    /// Keeps a text, cut.
    pub(super) fn keep(&mut self, text: &str) -> Place {
        let text = cut(text, MAX_TEXT);
        let place = Place { at: self.texts.len() as u32, len: text.len() as u32 };
        self.texts.push_str(text);
        place
    }

    /// The newest node with that id.
    pub(super) fn find(&mut self, id: &str) -> Option<u32> {
        let id = cut(id, MAX_NAME);
        self.fill_index();
        let index = self.index.as_ref()?;
        let is = |at: &u32| self.text(self.list[*at as usize].id) == id;
        index.table.find(index.hasher.hash_one(id), is).copied()
    }

    /// Adds a node, which is found by its id from now on.
    pub(super) fn add(&mut self, id: &str) -> u32 {
        let id = self.keep(cut(id, MAX_NAME));
        self.list.push(Node { id, ..Node::default() });
        let at = self.list.len() as u32 - 1;
        self.index(at);
        at
    }

    /// Whether some must be forgotten before another is added.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_NODES || self.texts.len() >= MAX_BYTES
    }

    /// The half that can be spared: what ended well, the quickest first, then what failed, then what goes on.
    pub(super) fn spare(&self) -> Vec<bool> {
        let rank = |node: &Node| match node.status {
            NodeStatus::Complete | NodeStatus::Skipped => 0,
            NodeStatus::Failed => 1,
            _ => 2,
        };
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_by_key(|at| (rank(&self.list[*at]), self.list[*at].duration_ms.unwrap_or_default(), *at));
        let mut spare = vec![false; self.list.len()];
        order[..order.len().div_ceil(2)].iter().for_each(|at| spare[*at] = true);
        spare
    }

    /// Forgets those that are marked; answers where the others stand now.
    pub(super) fn forget(&mut self, marked: &[bool]) -> Vec<Option<u32>> {
        let old = std::mem::take(self);
        let mut moved = Vec::with_capacity(old.list.len());
        for (node, marked) in old.list.iter().zip(marked) {
            moved.push((!marked).then_some(self.list.len() as u32));
            if !marked {
                let mut node = node.clone();
                for place in [&mut node.id, &mut node.path, &mut node.detail, &mut node.error_type] {
                    *place = self.keep(old.text(*place));
                }
                self.list.push(node);
            }
        }
        moved
    }

    fn fill_index(&mut self) {
        if self.index.is_none() {
            self.index = Some(Index {
                hasher: DefaultHashBuilder::default(),
                table: HashTable::with_capacity(self.list.len()),
            });
            (0..self.list.len() as u32).for_each(|at| self.index(at));
        }
    }

    /// Makes a node the one that is found by its id.
    fn index(&mut self, at: u32) {
        let Self { list, texts, index: Some(Index { hasher, table }) } = self else { return };
        let id = |at: u32| {
            let Place { at, len } = list[at as usize].id;
            &texts[at as usize..][..len as usize]
        };
        let rehash = |other: &u32| hasher.hash_one(id(*other));
        match table.entry(hasher.hash_one(id(at)), |other| id(*other) == id(at), rehash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => *entry.get_mut() = at,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_node_with_an_id_is_found_also_after_a_snapshot() {
        let mut nodes = Nodes::default();
        for id in ["a", "b", "a"] {
            nodes.find(id);
            nodes.add(id);
        }
        assert_eq!((nodes.find("a"), nodes.find("b"), nodes.find("c")), (Some(2), Some(1), None));
        let bytes = postcard::to_allocvec(&nodes).expect("bytes");
        let mut read: Nodes = postcard::from_bytes(&bytes).expect("nodes");
        assert_eq!(read, nodes);
        assert_eq!((read.find("a"), read.find("b"), read.find("c")), (Some(2), Some(1), None));
    }

    #[test]
    fn what_ended_well_and_quickly_is_forgotten_first() {
        let mut nodes = Nodes::default();
        let lives = [
            (NodeStatus::Generating, None),
            (NodeStatus::Complete, Some(900)),
            (NodeStatus::Failed, Some(1)),
            (NodeStatus::Complete, Some(10)),
            (NodeStatus::Skipped, None),
            (NodeStatus::Complete, Some(20)),
        ];
        for (n, (status, duration_ms)) in lives.into_iter().enumerate() {
            let at = nodes.add(&format!("n{n}"));
            *nodes.get_mut(at) = Node { status, duration_ms, ..nodes.get(at).clone() };
        }
        let spare = nodes.spare();
        assert_eq!(spare, [false, false, false, true, true, true]);
        assert_eq!(nodes.forget(&spare), [Some(0), Some(1), Some(2), None, None, None]);
        assert_eq!(nodes.texts, "n0n1n2");
        assert_eq!((nodes.find("n2"), nodes.find("n4")), (Some(2), None));
    }
}
