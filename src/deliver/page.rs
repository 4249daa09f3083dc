//! Reading the log ahead: while one page is sent, the next one is read.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::event::{Logged, Offset};
use crate::store::{self, Limit, LogReader, Store};

/// The most events in a page.
pub(super) const MAX_EVENTS: usize = 4096;

/// A piece of the log.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The events; those that the sink does not want are taken out.
    pub(super) events: Vec<Logged>,
    /// The offset behind it, which is behind the last event or beyond a trimmed piece of the log.
    pub(super) end: Offset,
}

/// Reads page after page.
pub(super) struct Pages {
    log: Arc<LogReader>,
    ahead: Option<(Offset, JoinHandle<Result<Page, store::Error>>)>,
}

impl Pages {
    pub(super) fn new(store: &Store) -> Self {
        Self { log: Arc::new(store.log_reader()), ahead: None }
    }

    /// The page at an offset; its end is that offset when there is nothing more yet.
    pub(super) async fn read(&mut self, from: Offset) -> Result<Page, store::Error> {
        match self.ahead.take() {
            Some((offset, reading)) if offset == from => match reading.await {
                Ok(page) => page,
                Err(_) => read(&self.log, from),
            },
            _ => read(&self.log, from),
        }
    }

    /// Begins to read the page at an offset, if there is one.
    pub(super) fn read_ahead(&mut self, from: Offset) {
        let reading_already = self.ahead.as_ref().is_some_and(|(offset, _)| *offset == from);
        // At the end of the log a page is the larger the later it is read.
        if !reading_already && self.log.end() > from && !self.log.is_near(from) {
            let log = Arc::clone(&self.log);
            self.ahead = Some((from, tokio::task::spawn_blocking(move || read(&log, from))));
        }
    }
}

fn read(log: &LogReader, from: Offset) -> Result<Page, store::Error> {
    // The end first: what is missing below it was trimmed, and is not to come any more.
    let end = log.end().max(from);
    let events = log.log(from, Limit::events(MAX_EVENTS))?;
    let end = events.last().map_or(end, |last| last.offset + 1);
    Ok(Page { events, end })
}
