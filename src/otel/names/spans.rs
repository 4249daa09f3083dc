//! The names of spans and of what happens in them.

use super::Name;

/// All of them.
pub(super) const ALL: &[Name] = &[];
