//! The head of a stream: how long it is, and who may write to it.

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Tree};
use super::{Error, Status, read};
use crate::event::StreamId;

/// How long a stream is, and who may write to it: nobody, once it is completed or failed. What is stored of it
/// may be up to 64 events behind the stream itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) first_seq: u64,
    pub(super) next_seq: u64,
    pub(super) status: Status,
}

impl Head {
    pub(super) fn pack(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self).map_err(|e| Error::Corrupt(e.to_string()))
    }

    /// The head of a stream, as far as it is applied; nothing where there is no such stream.
    pub(super) fn load(engine: &dyn Engine, id: &StreamId) -> Result<Option<Self>, Error> {
        let Some(stored) = engine.get(Tree::SessionMeta, id.as_str().as_bytes())? else { return Ok(None) };
        Self::unpack(&stored)?.brought_up(engine, id).map(Some)
    }

    /// What was stored of it, as it is now.
    pub(super) fn brought_up(self, engine: &dyn Engine, id: &StreamId) -> Result<Self, Error> {
        Ok(Self { next_seq: self.next_seq.max(read::end_of(engine, id)?), ..self })
    }

    pub(super) fn unpack(value: &[u8]) -> Result<Self, Error> {
        postcard::from_bytes(value).map_err(|e| Error::Corrupt(format!("the meta of a stream: {e}")))
    }
}
