//! Texts, counts by name and lists that have a limit.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::session::Text;

/// The most names that are counted apart.
pub const MAX_NAMES: usize = 256;
/// The most bytes of a name or an id.
pub const MAX_NAME: usize = 256;
/// The most bytes of a path, a message or a reason.
pub const MAX_TEXT: usize = 1024;

/// Text of at most so many bytes; what is longer is cut between two characters.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A text of its own, cut.
pub(super) fn own(text: Option<Text<'_>>) -> Option<String> {
    text.map(|text| cut(&text, MAX_TEXT).to_owned())
}

/// Counts by name, of [`MAX_NAMES`] names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How often each came.
    pub by: BTreeMap<String, u64>,
    /// How often others came, for whose names there was no room.
    pub others: u64,
}

impl Tally {
    pub(super) fn add(&mut self, name: &str) {
        let name = cut(name, MAX_NAME);
        if let Some(count) = self.by.get_mut(name) {
            *count += 1;
        } else if self.by.len() < MAX_NAMES {
            self.by.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.by.values().fold(self.others, |sum, count| sum.saturating_add(*count))
    }
}

/// A list that keeps its beginning and its end where it grows too long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ends<T> {
    first: Vec<T>,
    last: VecDeque<T>,
    /// How many are left out between the two.
    pub(super) left_out: u64,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Self { first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }
}

impl<T> Ends<T> {
    /// Adds one; at most `max` are kept.
    pub(super) fn push(&mut self, item: T, max: usize) {
        if self.first.len() < max / 2 {
            return self.first.push(item);
        }
        if self.last.len() >= max - max / 2 {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(item);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.last)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.last.back_mut().or(self.first.last_mut())
    }

    /// How many there have been.
    pub(super) fn total(&self) -> u64 {
        (self.first.len() + self.last.len()) as u64 + self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_keeps_its_beginning_and_its_end() {
        let mut ends = Ends::default();
        (0..10).for_each(|n| ends.push(n, 5));
        assert_eq!(ends.iter().copied().collect::<Vec<_>>(), [0, 1, 7, 8, 9]);
        assert_eq!((ends.left_out, ends.total()), (5, 10));
        assert_eq!(ends.last_mut(), Some(&mut 9));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn names_beyond_the_limit_are_only_counted() {
        let mut tally = Tally::default();
        (0..MAX_NAMES + 3).for_each(|n| tally.add(&n.to_string()));
        tally.add("0");
        assert_eq!((tally.by.len(), tally.by["0"], tally.others), (MAX_NAMES, 2, 3));
        assert_eq!(tally.total(), MAX_NAMES as u64 + 4);
    }
}
