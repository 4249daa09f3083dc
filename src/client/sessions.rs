//! Sessions: reading them from the API or from the store, and writing over the API.

mod read;
mod write;
mod writer;

pub use read::{Following, Shown};
pub use write::{Answer, Line, Started};
pub use writer::{Refusal, Refused, Settings, Tally, Writer};

pub use crate::session::{End, Verdict};
pub use crate::source::spool::Start;

use uuid::Uuid;

use crate::event::StreamId;

/// An id for a session: a UUIDv7, so that ids sort by time.
pub fn new_id() -> StreamId {
    // Hex digits and dashes: always an id.
    StreamId::new(Uuid::now_v7().to_string()).unwrap_or_else(|_| unreachable!("a UUID is an id"))
}
