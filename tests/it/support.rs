//! What several tests need.

pub(crate) mod fake;
pub(crate) mod log;
