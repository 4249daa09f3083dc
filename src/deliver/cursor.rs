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
pub(super) fn load(store: &Store, sink: &str) -> Result<Cursor, store::Error> {
    let Some(bytes) = store.get(Tree::Cursors, sink)? else { return Ok(Cursor::default()) };
    match serde_json::from_slice::<Record>(&bytes) {
        Ok(Record { offset, mark, .. }) => Ok(Cursor { offset, mark }),
        Err(error) => {
            tracing::error!(sink, %error, "the cursor cannot be read: everything is delivered again");
            Ok(Cursor::default())
        }
    }
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
