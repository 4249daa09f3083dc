//! How a cursor is kept in the store: JSON under the sink's name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Settings;
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
    /// Whether a person may have everything sent again.
    #[serde(default, skip_serializing_if = "is_false")]
    resettable: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The cursor of a sink; the start of the log for one that has none, or none that can be read.
///
/// From here on it stands in the store: pruning waits only for the sinks that it finds there, and one that was
/// never reached has confirmed nothing.
pub(super) fn load(store: &Store, sink: &str, settings: &Settings) -> Result<Cursor, store::Error> {
    let stored = store.get(Tree::Cursors, sink)?;
    let record = stored.and_then(|bytes| {
        serde_json::from_slice::<Record>(&bytes)
            .inspect_err(|error| tracing::error!(sink, %error, "the cursor cannot be read: all is delivered again"))
            .ok()
    });
    let same = |record: &Record| (record.required, record.resettable) == (settings.required, settings.resettable);
    let known = record.as_ref().is_some_and(same);
    let cursor = record.map(|Record { offset, mark, .. }| Cursor { offset, mark }).unwrap_or_default();
    if !known {
        store.put_durable(&[write(sink, &cursor, settings)])?;
    }
    Ok(cursor)
}

/// Pruning waits no longer for sinks that have a cursor and are not among `sinks`, those that are configured.
/// Their cursors stay, for when they are back.
pub fn release_others(store: &Store, sinks: &[&str]) -> Result<(), store::Error> {
    for sink in all(store)?.iter().filter(|sink| sink.required && !sinks.contains(&sink.name.as_str())) {
        tracing::warn!(
            sink = sink.name,
            "has a cursor and is not configured: pruning does not wait for it any more"
        );
        let settings = Settings { required: false, resettable: sink.resettable, ..Settings::default() };
        load(store, &sink.name, &settings)?;
    }
    Ok(())
}

/// The write that saves it.
pub(super) fn write(sink: &str, cursor: &Cursor, settings: &Settings) -> Write {
    let Settings { required, resettable, .. } = *settings;
    let record = Record { offset: cursor.offset, mark: cursor.mark.clone(), required, resettable };
    // A number, a JSON value and a flag: there is nothing that could fail to be written.
    let value = serde_json::to_vec(&record).unwrap_or_default();
    Write::put(Tree::Cursors, sink, value)
}

/// A sink that has a cursor.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) offset: Offset,
    /// Whether pruning waits for it.
    pub(super) required: bool,
    /// Whether a person may have everything sent again.
    pub(super) resettable: bool,
}

/// The sinks that have a cursor; at most 1,000.
pub(super) fn all(store: &Store) -> Result<Vec<Known>, store::Error> {
    let records = store.scan(Tree::Cursors, "", None, 1000)?.into_iter();
    let record = |(name, bytes): (String, Vec<u8>)| {
        let Record { offset, required, resettable, .. } = serde_json::from_slice(&bytes).ok()?;
        Some(Known { name, offset, required, resettable })
    };
    Ok(records.filter_map(record).collect())
}
