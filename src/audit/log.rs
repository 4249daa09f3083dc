//! The log, by windows that end between two moments of commit.

use super::Error;
use crate::api::events::Row;
use crate::api::filter::{Filter, MAX_LIMIT};
use crate::client::Reader;
use crate::event::Timestamp;

/// So many events a window has, and those of the same millisecond: with their hashes, some 5 MB.
pub(super) const WINDOW: usize = 20_000;

/// Reads the log.
pub(super) struct Log<'a> {
    reader: &'a Reader,
    filter: Filter,
    /// What was read and belongs to the next window.
    held: Vec<Row>,
    done: bool,
}

impl<'a> Log<'a> {
    /// The events that happened at that time or later.
    pub(super) fn new(reader: &'a Reader, since: Option<Timestamp>) -> Self {
        let filter = Filter { since, limit: Some(MAX_LIMIT), ..Filter::default() };
        Self { reader, filter, held: Vec::new(), done: false }
    }

    /// The next window; nothing at the end of the log.
    pub(super) async fn window(&mut self) -> Result<Vec<Row>, Error> {
        let mut window = std::mem::take(&mut self.held);
        while !self.done {
            let page = self.reader.events(&self.filter).await?;
            window.extend(page.events);
            self.done = page.next.is_none();
            self.filter.after = page.next;
            if window.len() >= WINDOW && self.cut(&mut window) {
                break;
            }
        }
        Ok(window)
    }

    /// Holds back the events of the last millisecond, as more of them may follow; false where there are no others.
    fn cut(&mut self, window: &mut Vec<Row>) -> bool {
        let Some(last) = window.last().map(|row| row.logged.event.observed) else { return false };
        let keep = window.partition_point(|row| row.logged.event.observed < last);
        if keep == 0 {
            return false;
        }
        self.held = window.split_off(keep);
        true
    }
}
