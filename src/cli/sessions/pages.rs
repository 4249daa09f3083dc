//! The events of a session, page by page.

use std::ops::Range;

use crate::api::events::Row;
use crate::cli::exit::Failure;
use crate::client::Reader;
use crate::event::StreamId;

/// So many events are read at a time.
const PAGE: usize = 1000;

/// A reader of the events with some seqs.
pub(in crate::cli) struct Pages<'a> {
    reader: &'a Reader,
    id: &'a StreamId,
    left: Range<u64>,
}

impl<'a> Pages<'a> {
    /// Reads those in the range, as far as they are there.
    pub(in crate::cli) fn new(reader: &'a Reader, id: &'a StreamId, seqs: Range<u64>) -> Self {
        Self { reader, id, left: seqs }
    }

    /// The next page; none when all were read.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Vec<Row>>, Failure> {
        let limit = usize::try_from(self.left.end.saturating_sub(self.left.start)).unwrap_or(PAGE).min(PAGE);
        if limit == 0 {
            return Ok(None);
        }
        let page = self.reader.session_events(self.id, self.left.start, limit).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.left.start = last.logged.event.seq + 1;
        Ok(Some(page))
    }
}
