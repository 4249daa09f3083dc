//! What Elasticsearch answered, as a fate or as an error of the sink. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::document::Fate;
use crate::elasticsearch::{self, Credential, is_held_off, told};
use crate::sink::Error;

/// The answer to a bulk request, of which nothing else was asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// One for each document, in their order.
    pub(super) items: Vec<HashMap<String, Item>>,
}

/// What became of one document.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    status: u16,
    #[serde(default)]
    error: Value,
}

/// The fate of a document, or why it has none yet; `credential` is what it was sent with.
pub(super) fn item(item: &Item, credential: Credential) -> Result<Fate, Error> {
    let (kind, reason) = told(&item.error).unwrap_or_default();
    let said = || format!("{} {kind}: {reason}", item.status);
    match item.status {
        200..=299 | 409 => Ok(Fate::There),
        status if is_held_off(status, &kind) => Err(Error::Retryable(said())),
        status @ (401 | 403) => Err(Error::Misconfigured(format!("{}: {}", said(), credential.advice(status)))),
        // Its data stream cannot be made: no template matches.
        404 => Err(Error::Misconfigured(format!("{}: run `watchpost elasticsearch setup`", said()))),
        _ => Ok(Fate::Refused(said())),
    }
}

/// An error of a whole request, as one of the sink.
pub(super) fn whole(error: elasticsearch::Error) -> Error {
    use crate::elasticsearch::Error as Failed;
    match error {
        Failed::Unavailable { .. } | Failed::TooLarge => Error::Retryable(error.to_string()),
        Failed::Misconfigured { .. } | Failed::Refused { .. } => Error::Misconfigured(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fate(status: u16, kind: &str) -> Result<Fate, Error> {
        item(&Item { status, error: json!({"type": kind, "reason": "so it is"}) }, Credential::ApiKey)
    }

    #[test]
    fn each_status_of_an_item_has_its_fate() {
        for status in [200, 201, 409] {
            assert_eq!(fate(status, "version_conflict_engine_exception"), Ok(Fate::There), "{status}");
        }
        for (status, kind) in [
            (429, "cluster_block_exception"),
            (429, "es_rejected_execution_exception"),
            (403, "cluster_block_exception"),
            (500, "illegal_state_exception"),
            (503, "unavailable_shards_exception"),
        ] {
            assert!(matches!(fate(status, kind), Err(Error::Retryable(_))), "{status} {kind}");
        }
        for (status, kind) in [(401, "security_exception"), (403, "security_exception"), (404, "no_index")] {
            assert!(matches!(fate(status, kind), Err(Error::Misconfigured(_))), "{status} {kind}");
        }
        let refused = fate(400, "document_parsing_exception");
        assert_eq!(refused, Ok(Fate::Refused("400 document_parsing_exception: so it is".into())));
    }
}
