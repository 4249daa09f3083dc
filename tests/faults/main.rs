//! Faults: power cuts, `kill -9`, a full disk, and random histories held against a model.
//!
//! A binary of its own because its writers are processes that are killed or recorded: it starts itself again
//! with a role, see `role.rs`.

mod powercut;
mod role;
