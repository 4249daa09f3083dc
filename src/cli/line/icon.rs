//! The icon of a session's event. Pure.

use crate::event::session::kind;

/// The icon of a type of the catalog, and the code of its colour.
pub(super) fn of(kind: &str) -> Option<(char, &'static str)> {
    Some(match kind {
        kind::SESSION_STARTED | kind::GENERATION_STARTED | kind::LEVEL_STARTED => ('▶', "32"),
        kind::LEVEL_COMPLETED | kind::GENERATION_COMPLETED | kind::SCAN_COMPLETED => ('■', "32"),
        kind::NODE_GENERATION_COMPLETED | kind::PROVIDER_RESPONSE_RECEIVED | kind::DESCENDANT_CHECK_PASSED => {
            ('✔', "32")
        }
        kind::NODE_GENERATION_FAILED | kind::GENERATION_FAILED | kind::PROVIDER_REQUEST_FAILED => ('✖', "31"),
        kind::INGEST_FAILED => ('✖', "31"),
        kind::PROVIDER_REQUEST_RETRYING | kind::SESSION_RESUMED => ('↻', "36"),
        kind::SESSION_INTERRUPTED | kind::DESCENDANT_CHECK_FAILED => ('!', "33"),
        kind::NODE_SKIPPED | kind::REQUEST_DEDUPLICATED => ('–', "90"),
        kind::QUEUE_STATS | kind::SCAN_PROGRESS => ('·', "90"),
        _ => return None,
    })
}
