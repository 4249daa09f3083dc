//! Events as log records.

use std::sync::Arc;

use super::{Chunk, Mapping, Signal};
use crate::event::Logged;
use crate::otel::{Resource, Told, Tracker, logs, wire};

/// One log record for each event.
#[derive(Debug)]
pub struct LogRecords;

impl Mapping for LogRecords {
    const SIGNAL: Signal = Signal::Logs;

    fn map(logged: &Logged, told: &Told, to: &mut Chunk) {
        let record = logs::record(logged, &told.context);
        to.push(logged.offset, Arc::clone(&record.resource), |bytes| wire::log_record(&record, bytes));
    }

    fn request<'a>(items: impl Iterator<Item = (&'a Resource, &'a [u8])>, to: &mut Vec<u8>) {
        wire::logs_request(items, to);
    }

    fn name(_request: &[u8]) -> Option<String> {
        None
    }

    /// The record of the event, with no more of its trace than it says itself.
    fn alone(logged: &Logged) -> Option<Vec<u8>> {
        let mut chunk = Chunk::default();
        Self::map(logged, &Tracker::default().apply(&logged.event), &mut chunk);
        let mut request = Vec::new();
        Self::request(chunk.items(), &mut request);
        Some(request)
    }
}
