//! What is saved of the tracker: a record a stream, cut into pieces where it is large.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::StreamId;

/// The layout of a record and the meaning of what is in it. A tracker that makes something else of the same events
/// must have another number.
const FORMAT: u32 = 2;

/// The most bytes of a piece, its head not counted.
const PIECE: usize = (1 << 20) - 32;

/// A record, or a part of one.
type Piece<'a> = (u32, u32, u32, &'a [u8]);

/// Which records changed, how many pieces each has, and the pieces that have come back so far.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    changed: BTreeSet<StreamId>,
    saved: HashMap<StreamId, u32>,
    incomplete: HashMap<StreamId, BTreeMap<u32, Vec<u8>>>,
}

impl Pieces {
    pub(super) fn change(&mut self, id: &StreamId) {
        if !self.changed.contains(id) {
            self.changed.insert(id.clone());
        }
    }

    /// The pieces of what has changed; `None` for those that are gone.
    pub(super) fn changes(
        &mut self,
        bytes: impl Fn(&StreamId) -> Option<Vec<u8>>,
    ) -> Vec<(String, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        for id in std::mem::take(&mut self.changed) {
            let bytes = bytes(&id).unwrap_or_default();
            let count = bytes.len().div_ceil(PIECE) as u32;
            for (at, part) in (0..).zip(bytes.chunks(PIECE)) {
                let piece: Piece<'_> = (FORMAT, at, count, part);
                all.push((key(&id, at), postcard::to_allocvec(&piece).ok()));
            }
            let before = self.saved.remove(&id).unwrap_or_default();
            all.extend((count..before).map(|at| (key(&id, at), None)));
            if count > 0 {
                self.saved.insert(id, count);
            }
        }
        all
    }

    /// Takes one piece; answers the whole record with the last one.
    pub(super) fn restore(&mut self, key: &str, value: &[u8]) -> Result<Option<(StreamId, Vec<u8>)>, String> {
        let (format, at, count, part) =
            postcard::from_bytes::<Piece<'_>>(value).map_err(|e| format!("the record of {key}: {e}"))?;
        if format != FORMAT {
            return Err(format!("the record of {key} has format {format}, not {FORMAT}"));
        }
        let id = key.split('/').next().unwrap_or_default();
        let id = StreamId::new(id).map_err(|e| format!("the record of {key}: {e}"))?;
        self.saved.insert(id.clone(), count);
        let parts = self.incomplete.entry(id.clone()).or_default();
        parts.insert(at, part.to_vec());
        if parts.len() < count as usize {
            return Ok(None);
        }
        let parts = self.incomplete.remove(&id).unwrap_or_default();
        Ok(Some((id, parts.into_values().flatten().collect())))
    }
}

/// The first piece is under the stream's id, so that most records are under that.
fn key(id: &StreamId, at: u32) -> String {
    if at == 0 { id.to_string() } else { format!("{id}/{at}") }
}
