//! Scanner and watcher: what is on disk, and what changes there.

use super::payload::{Text, payload};

payload! {
    /// A scan begins.
    ScanStarted<'a> {
        /// The folder that is scanned.
        path: Text<'a>,
        /// How many nodes are expected, where that is known.
        total_nodes: u64,
    }
}

payload! {
    /// How far a scan has come.
    ScanProgress {
        /// Nodes found so far.
        node_count: u64,
        /// How many are expected, where that is known.
        total_nodes: u64,
    }
}

payload! {
    /// A scan is done.
    ScanCompleted {
        /// Nodes found.
        node_count: u64,
        /// How many were expected, where that was known.
        total_nodes: u64,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    }
}

payload! {
    /// A folder is watched from here on.
    WatchStarted<'a> {
        /// The folder.
        path: Text<'a>,
    }
}

payload! {
    /// A file changed.
    FileChanged<'a> {
        /// How: `created`, `modified`, `removed` or `renamed`.
        kind: Text<'a>,
        /// The file.
        path: Text<'a>,
    }
}

payload! {
    /// Changes that came close together were taken in at once.
    BatchProcessed {
        /// How many changes.
        event_count: u64,
        /// How many nodes they touched.
        affected_nodes: u64,
    }
}
