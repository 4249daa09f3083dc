//! How a cursor is kept in the store: JSON under the sink's name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Offset;
use crate::sink::Cursor;
use crate::store::{self, Store, Tree, Write};

/// A cursor as it is saved; pruning reads it too.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    offset: Offset,
    #[serde(default)]
    mark: Value,
    required: bool,
}

/// The cursor of a sink; the start of the log for one that has none, or none that can be read.
///
/// From here on it stands in the store: pruning waits only for the sinks that it finds there, and one that was
/// never reached has confirmed nothing.
pub(super) fn load(store: &Store, sink: &str, required: bool) -> Result<Cursor, store::Error> {
    let stored = store.get(Tree::Cursors, sink)?;
    let record = stored.and_then(|bytes| {
        serde_json::from_slice::<Record>(&bytes)
            .inspect_err(|error| tracing::error!(sink, %error, "the cursor cannot be read: all is delivered again"))
            .ok()
    });
    let known = record.as_ref().is_some_and(|record| record.required == required);
    let cursor = record.map(|Record { offset, mark, .. }| Cursor { offset, mark }).unwrap_or_default();
    if !known {
        store.put_durable(&[write(sink, &cursor, required)])?;
    }
    Ok(cursor)
}

/// The write that saves it.
pub(super) fn write(sink: &str, cursor: &Cursor, required: bool) -> Write {
    let record = Record { offset: cursor.offset, mark: cursor.mark.clone(), required };
    // A number, a JSON value and a flag: there is nothing that could fail to be written.
    let value = serde_json::to_vec(&record).unwrap_or_default();
    Write::put(Tree::Cursors, sink, value)
}

/// The sinks that have a cursor, each with its offset and whether pruning waits for it; at most 1,000.
pub(super) fn all(store: &Store) -> Result<Vec<(String, Offset, bool)>, store::Error> {
    let records = store.scan(Tree::Cursors, "", None, 1000)?.into_iter();
    let record = |(sink, bytes): (String, Vec<u8>)| {
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        Some((sink, record.offset, record.required))
    };
    Ok(records.filter_map(record).collect())
}
