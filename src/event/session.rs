//! The catalog of session events: the 29 types of the document, and three that Watchpost writes itself.
//!
//! The catalog is open. A type that is not in it, and a field that its payload does not have, pass through
//! untouched; every known field is optional, and one of the wrong type spoils nothing but itself ([`read()`]).
//! The payloads' structs are the one source: JSON Schemas, `watchpost catalog` and readers come from them.

mod catalog;
mod files;
mod generate;
pub mod kind;
mod lifecycle;
mod orchestrator;
mod payload;
mod provider;
mod queue;
mod read;
mod schema;
mod table;

pub use catalog::{Group, Type, draft, find, severity, types};
pub use files::*;
pub use generate::*;
pub use lifecycle::*;
pub use orchestrator::*;
pub use payload::Text;
pub use provider::*;
pub use queue::*;
pub use read::{Read, read};
pub use schema::{Field, fields, schema};

#[cfg(test)]
mod tests;
