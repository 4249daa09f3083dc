//! Keeping the index up with the log, and packing what it has passed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::engine::{Op, Tree};
use super::pack::Pace;
use super::shared::Shared;
use super::{Error, Store, index, key, pack, prune};

/// What one pass has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// A block was indexed and its records were packed; there may be more.
    Indexed,
    /// There was nothing to do.
    Idle,
}

/// Indexes what has become durable, a block at a time; beside the writer, in a thread of its own.
pub struct Maintainer {
    shared: Arc<Shared>,
}

impl Store {
    /// The maintainer, of which there should be one.
    pub fn maintainer(&self) -> Maintainer {
        Maintainer { shared: self.shared.clone() }
    }
}

impl Maintainer {
    /// How many durable events the index has not reached.
    pub fn behind(&self) -> u64 {
        self.shared.end().saturating_sub(self.shared.indexed())
    }

    /// How far the index has come.
    pub fn indexed(&self) -> crate::event::Offset {
        self.shared.indexed()
    }

    /// Indexes the next block. With `partial`, also one that is not full yet, as when the log has come to rest.
    pub fn pass(&self, partial: bool) -> Result<Pass, Error> {
        let behind = self.behind();
        if behind == 0 || (behind < index::LEAST_BLOCK && !partial) {
            return Ok(Pass::Idle);
        }
        let engine = self.shared.engine()?;
        let from = self.shared.indexed().max(self.shared.first());
        let _rewriting = self.shared.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ops, mut zone) = index::block(&*engine, from, self.shared.end())?;
        if zone.end <= from {
            return Ok(Pass::Idle);
        }
        if let Some(last) = self.shared.growing_zone().filter(|last| last.end == zone.first) {
            zone.first = last.first;
            zone.least_ts = zone.least_ts.min(last.least_ts);
            zone.greatest_ts = zone.greatest_ts.max(last.greatest_ts);
        }
        ops.push(index::put_zone(&zone)?);
        ops.push(Op::put(Tree::Index, prune::LIVE_BYTES, key::offset(self.shared.live_bytes())));
        self.shared.watch(engine.apply(&ops))?;
        self.shared.add_zone(zone);
        // A zone is packed when it is whole, and what has come to rest meanwhile.
        let whole = zone.end - zone.first >= index::ZONE;
        if whole || partial {
            let first = if whole { zone.first } else { from };
            let pace = if behind > index::MOST_BLOCK { Pace::HURRIED } else { Pace::GENTLE };
            let saved = pack::stretch(&*engine, first, zone.end, pace)?;
            self.shared.live_bytes.fetch_sub(saved as i64, Ordering::Relaxed);
        }
        Ok(Pass::Indexed)
    }
}
