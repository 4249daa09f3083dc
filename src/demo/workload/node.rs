//! A node: its names, what becomes of it, and its own chance, so that neither depends on the others.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is generated, after so many failed attempts.
    Generated { failures: u32 },
    /// Its request is the same as one that is in flight; it gets that one's answer.
    Shared,
    /// The provider does not answer, three times.
    TimedOut,
    /// The provider refuses at once.
    Refused,
    /// It is not generated.
    Skipped,
}

impl Fate {
    /// By chance, except for the first leaves, so that every fate is there in a small session too.
    pub(super) fn of(seed: u64, level: u32, index: u32) -> Self {
        match (level, index) {
            (0, 0) => return Self::Generated { failures: 0 },
            (0, 1) | (1, 2) => return Self::Skipped,
            (0, 2) => return Self::Generated { failures: 1 },
            (0, 11) => return Self::Shared,
            (0, 5) => return Self::TimedOut,
            _ => {}
        }
        match chance(seed, level, index, 0).next_u32() % 100 {
            0..4 => Self::Skipped,
            4..7 => Self::Shared,
            7..13 => Self::Generated { failures: 1 },
            13..15 => Self::Generated { failures: 2 },
            15 => Self::TimedOut,
            16 => Self::Refused,
            _ => Self::Generated { failures: 0 },
        }
    }
}

/// One node that is generated.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) fate: Fate,
    chance: ChaCha8Rng,
}

impl Node {
    pub(super) fn new(seed: u64, levels: u32, level: u32, index: u32, fate: Fate) -> Self {
        let (id, path) = (node_id(seed, level, index), path(levels, level, index));
        Self { id, path, fate, chance: chance(seed, level, index, 1) }
    }

    /// A number from `least` up to and without `end`.
    pub(super) fn between(&mut self, least: u64, end: u64) -> u64 {
        least + self.chance.next_u64() % (end - least)
    }
}

/// ChaCha is the same on every machine and in every version.
fn chance(seed: u64, level: u32, index: u32, use_for: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&level.to_le_bytes());
    key[12..16].copy_from_slice(&index.to_le_bytes());
    key[16..24].copy_from_slice(&use_for.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// 32 hex digits.
pub(super) fn node_id(seed: u64, level: u32, index: u32) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("workload:{seed}:{level}:{index}").as_bytes()).simple().to_string()
}

const WORDS: [&str; 12] =
    ["api", "store", "query", "index", "codec", "route", "cache", "parse", "sync", "merge", "view", "plan"];

/// A file in level 0, folders above it: a folder stands in the one above with half its number. Only the last
/// three folders are named, so that a deep tree keeps short paths.
pub(super) fn path(levels: u32, level: u32, index: u32) -> String {
    let top = levels.saturating_sub(1).min(level.saturating_add(3));
    let mut path = String::from("src");
    for above in (level..=top).rev() {
        let number = index.checked_shr(above - level).unwrap_or(0);
        let word = WORDS[(number as usize + above as usize * 5) % WORDS.len()];
        path.push_str(&format!("/{word}_{above}_{number}"));
    }
    if level == 0 {
        path.push_str(".rs");
    }
    path
}
