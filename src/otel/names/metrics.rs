//! The names of metrics.

use super::Name;

/// All of them.
pub(super) const ALL: &[Name] = &[];
