//! Sources: where events come from.

pub mod jsonl;
pub mod process_compose;
pub mod spool;
