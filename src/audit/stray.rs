//! What a backend has and the log does not: whether the log has let go of it, or never had it.

use std::collections::HashMap;

use super::{Brief, Difference, Error};
use crate::api::filter::Filter;
use crate::client::Reader;
use crate::event::{Class, StreamId};

/// The most streams whose beginning is remembered.
const MAX_STREAMS: usize = 10_000;

/// Judges them.
pub(super) struct Strays<'a> {
    reader: &'a Reader,
    /// The first seq that the log has still, of each stream that was asked for.
    first: HashMap<StreamId, Option<u64>>,
}

impl<'a> Strays<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, first: HashMap::new() }
    }

    /// What is wrong with it; nothing where the log has let go of it.
    pub(super) async fn judge(&mut self, event: &Brief) -> Result<Option<Difference>, Error> {
        if let Ok(id) = event.id.parse()
            && self.reader.event(id).await?.is_some()
        {
            // It was committed, or it happened, at another time than it says there.
            return Ok(Some(Difference::Different));
        }
        let Ok(stream) = StreamId::new(&event.session) else { return Ok(Some(Difference::Extra)) };
        let let_go = match self.first(&stream).await? {
            Some(first) => event.seq < first,
            // A pruned session leaves nothing behind; the other streams never end.
            None => stream.class() == Class::Session,
        };
        Ok((!let_go).then_some(Difference::Extra))
    }

    async fn first(&mut self, stream: &StreamId) -> Result<Option<u64>, Error> {
        if let Some(&first) = self.first.get(stream) {
            return Ok(first);
        }
        let filter = Filter { session: Some(stream.clone()), limit: Some(1), ..Filter::default() };
        let page = self.reader.events(&filter).await?;
        let first = page.events.first().map(|row| row.logged.event.seq);
        if self.first.len() >= MAX_STREAMS {
            self.first.clear();
        }
        self.first.insert(stream.clone(), first);
        Ok(first)
    }
}
