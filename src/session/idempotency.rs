//! Keys by which a request to begin a session is told from its repetition.
//!
//! What a key stands for is stored in the commit of the session that it began, and forgotten after 24 hours.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::{Begun, Error, Start};
use crate::event::{Invalid, StreamId, Timestamp};
use crate::store::{self, Store, Tree, Write};

/// How long a key is remembered, in ms.
const REMEMBERED: i64 = 24 * 3600 * 1000;
/// So many requests with different keys go side by side, about.
const TURNS: usize = 64;

/// Lets requests with the same key follow one another, so that the later one sees what the first one did.
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// Waits for this key's turn; other keys may share it.
    pub(super) async fn turn(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.0[hasher.finish() as usize % TURNS].lock().await
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    session: StreamId,
    traceparent: String,
    /// Of what was asked for.
    digest: String,
    at: Timestamp,
}

pub(super) fn check(key: &str) -> Result<(), Invalid> {
    match !key.is_empty() && key.len() <= 128 && key.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(Invalid::new("Idempotency-Key", key, "1 to 128 visible ASCII characters")),
    }
}

/// What was answered to the same request before.
pub(super) fn find(store: &Store, key: &str, start: &Start) -> Result<Option<Begun>, Error> {
    let Some(value) = store.get(Tree::Idempotency, key)? else { return Ok(None) };
    let Some(earlier) = parse(key, &value).filter(|earlier| !is_old(earlier, Timestamp::now())) else {
        return Ok(None);
    };
    if earlier.digest != digest(start) {
        let message = format!("stands for another request, which began the session {}", earlier.session);
        return Err(Error::Conflict { field: "Idempotency-Key", message });
    }
    let traceparent = earlier.traceparent.parse()?;
    Ok(Some(Begun { id: earlier.session, traceparent, seq: 1, duplicate: true }))
}

/// The write that remembers the answer.
pub(super) fn remember(key: &str, start: &Start, begun: &Begun) -> Write {
    let remembered = Remembered {
        session: begun.id.clone(),
        traceparent: begun.traceparent.to_string(),
        digest: digest(start),
        at: Timestamp::now(),
    };
    // Nothing but strings.
    Write::put(Tree::Idempotency, key, serde_json::to_vec(&remembered).unwrap_or_default())
}

/// Forgets the keys that are older than 24 hours; blocks.
pub(super) fn forget(store: &Store, now: Timestamp) -> Result<u64, store::Error> {
    let mut forgotten = 0;
    for page in store.pages(Tree::Idempotency, "") {
        let page = page?;
        let old = page.iter().filter(|(key, value)| parse(key, value).is_none_or(|key| is_old(&key, now)));
        let writes: Vec<Write> = old.map(|(key, _)| Write::remove(Tree::Idempotency, key)).collect();
        if !writes.is_empty() {
            store.put(&writes)?;
            forgotten += writes.len() as u64;
        }
    }
    Ok(forgotten)
}

fn is_old(remembered: &Remembered, now: Timestamp) -> bool {
    now.as_millis() - remembered.at.as_millis() > REMEMBERED
}

fn parse(key: &str, value: &[u8]) -> Option<Remembered> {
    serde_json::from_slice(value).inspect_err(|error| tracing::error!(key, %error, "a key cannot be read")).ok()
}

/// A hash of what is asked for, whatever the order and the blanks of its JSON.
fn digest(start: &Start) -> String {
    let metadata: serde_json::Value = start.metadata.read().unwrap_or_default();
    let (id, ts) = (start.id.as_ref().map(StreamId::as_str), start.ts.map(Timestamp::as_millis));
    let asked = serde_json::json!([metadata, id, ts, start.traceparent.as_ref().map(ToString::to_string)]);
    Sha256::digest(asked.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}
