//! Sources: where events come from.

pub mod process_compose;
