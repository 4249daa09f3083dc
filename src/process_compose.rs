//! The API of process-compose: a client of it, and what it answers.
//!
//! It is for whoever watches a supervisor (`source`) and whoever acts on one. Nothing here keeps state or
//! retries: each call is one request, bounded in time and bytes, and its error says what kind of thing went
//! wrong.

mod client;
mod frames;
mod graph;
mod snapshot;

pub use crate::event::process::base_name;
pub use client::{Client, MAX_BODY_BYTES};
pub use frames::{Frames, MAX_FRAME_BYTES};
pub use graph::{Graph, parse_graph};
pub use snapshot::{Class, Frame, Info, Process, Project, parse_processes};

/// Why a request gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The endpoint in the settings is none.
    #[error("{0}: not an http:// URL")]
    Endpoint(String),
    /// Nobody listens there, or the connection broke.
    #[error("cannot reach it: {0}")]
    Unreachable(String),
    /// There was no whole answer in time.
    #[error("no whole answer within {0} ms")]
    Timeout(u128),
    /// 401: the token is missing or wrong.
    #[error("it refuses the token (401): give the one that process-compose was started with")]
    Unauthorized,
    /// 5xx.
    #[error("it answers {status}: {message}")]
    Server {
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// 400: no such process, or a race with a scale or an update, so worth one more try.
    #[error("it refuses the request: {0}")]
    BadRequest(String),
    /// What answers there is something else.
    #[error("what answers there is not process-compose: {0}")]
    NotProcessCompose(String),
    /// A body or a frame over the limit.
    #[error("an answer of over {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// Whether the same request may go well if it is made again at once.
    pub fn is_race(&self) -> bool {
        matches!(self, Self::BadRequest(_))
    }
}
