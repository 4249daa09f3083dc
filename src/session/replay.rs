//! Replay: the state of a session out of the store, from its saved snapshot on where there is one.
//!
//! ```text
//! obs_folds   session/{id}/head         seq and start of the session, slot, how many parts
//!             session/{id}/{slot}/{n}   seq, and a part of the snapshot       the slots a and b by turns
//! ```
//! A snapshot is written beside the one that counts, part by part, so that no commit waits long for it, and the
//! head comes last. It is a shortcut and nothing more: what is missing, torn or of another version of the fold
//! leads to a full replay.

use serde::{Deserialize, Serialize};

use crate::event::{StreamId, Timestamp};
use crate::state::session::Session;
use crate::store::{self, Store, Tree, Write};

/// A snapshot is saved when so many events were behind the last one, and a fiftieth of all.
const SAVE_AFTER: u64 = 10_000;
/// The bytes of a part.
const PART: usize = 256 * 1024;
/// The most parts that are read.
const MAX_PARTS: usize = 1024;

/// So often a snapshot is looked for while others take its place.
const ATTEMPTS: usize = 3;

/// What tells which snapshot counts.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    seq: u64,
    /// When the session began: one that was pruned and begun anew under the same id is another.
    start: Timestamp,
    slot: char,
    parts: usize,
}

/// The state of a session, up to its last durable event or up to a seq; the empty state where there is none. It
/// blocks, for about a second a million events that no snapshot has; from a snapshot on, for milliseconds.
///
/// # Errors
/// The store cannot be read. That a snapshot could not be saved is none.
pub fn replay(store: &Store, id: &StreamId, until_seq: Option<u64>) -> Result<Session, store::Error> {
    let (session, behind) = fold(store, id, until_seq.unwrap_or(u64::MAX))?;
    if until_seq.is_none()
        && behind > SAVE_AFTER + session.seq() / 50
        && let Err(error) = save(store, id, &session)
    {
        tracing::warn!(session = %id, %error, "the snapshot of a session is not saved");
    }
    Ok(session)
}

/// Saves a snapshot of a session as it is now.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn refresh(store: &Store, id: &StreamId) -> Result<(), store::Error> {
    let (session, _) = fold(store, id, u64::MAX)?;
    save(store, id, &session)
}

/// The seq that the saved snapshot stands at; 0 where there is none.
pub(super) fn saved_seq(store: &Store, id: &StreamId) -> Result<u64, store::Error> {
    Ok(head(store, id)?.map_or(0, |head| head.seq))
}

/// The state up to a seq, and how many events it was folded from behind a snapshot.
fn fold(store: &Store, id: &StreamId, until: u64) -> Result<(Session, u64), store::Error> {
    let mut session = saved(store, id, until)?.unwrap_or_default();
    let (begun, mut whole) = (session.seq(), true);
    store.visit(id, begun + 1, |fact| {
        whole = fact.seq == session.seq() + 1;
        let wanted = whole && fact.seq <= until;
        if wanted {
            session.take(fact);
        }
        wanted
    })?;
    if !whole {
        // It is being pruned, from its beginning on: what is left of it is no state.
        return Ok((Session::default(), 0));
    }
    let behind = session.seq() - begun;
    Ok((session, behind))
}

fn key(id: &StreamId, rest: &str) -> String {
    format!("session/{id}/{rest}")
}

fn part_key(id: &StreamId, slot: char, part: usize) -> String {
    key(id, &format!("{slot}/{part:04}"))
}

/// The saved snapshot, unless it is of a later seq.
fn saved(store: &Store, id: &StreamId, until: u64) -> Result<Option<Session>, store::Error> {
    for _ in 0..ATTEMPTS {
        let Some(head) = head(store, id)?.filter(|head| head.seq <= until) else { return Ok(None) };
        if let Some(session) = load(store, id, &head)? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

/// The head, where it is of this session and not of an older one with the same id.
fn head(store: &Store, id: &StreamId) -> Result<Option<Head>, store::Error> {
    let Some(head) = store.get(Tree::Folds, &key(id, "head"))? else { return Ok(None) };
    let Ok(head) = serde_json::from_slice::<Head>(&head) else { return Ok(None) };
    let session = store.session(id)?;
    Ok(session.filter(|session| session.start == head.start && head.seq <= session.events).map(|_| head))
}

/// The snapshot that a head tells of; none where another is taking its place, or it is of another version.
fn load(store: &Store, id: &StreamId, head: &Head) -> Result<Option<Session>, store::Error> {
    let mut bytes = Vec::with_capacity(head.parts.min(MAX_PARTS) * PART);
    for part in 0..head.parts.min(MAX_PARTS) {
        let Some(value) = store.get(Tree::Folds, &part_key(id, head.slot, part))? else { return Ok(None) };
        match value.strip_prefix(&head.seq.to_le_bytes()) {
            Some(part) => bytes.extend_from_slice(part),
            None => return Ok(None),
        }
    }
    Ok(Session::from_snapshot(&bytes).filter(|session| session.seq() == head.seq))
}

fn save(store: &Store, id: &StreamId, session: &Session) -> Result<(), store::Error> {
    let Some(info) = store.session(id)? else { return Ok(()) };
    let old = head(store, id)?;
    let slot = if old.as_ref().is_some_and(|head| head.slot == 'a') { 'b' } else { 'a' };
    let snapshot = session.snapshot();
    let parts = snapshot.chunks(PART);
    let head = Head { seq: session.seq(), start: info.start, slot, parts: parts.len() };
    for (part, bytes) in parts.enumerate() {
        let value = [&head.seq.to_le_bytes(), bytes].concat();
        store.put(&[Write::put(Tree::Folds, part_key(id, slot, part), value)])?;
    }
    let value = serde_json::to_vec(&head).unwrap_or_default();
    store.put(&[Write::put(Tree::Folds, key(id, "head"), value)])?;
    if store.session(id)?.is_none() {
        // Pruned meanwhile: it takes the snapshots with the last events, and this one perhaps was not there yet.
        return forget(store, id);
    }
    for (old, part) in old.iter().flat_map(|old| (0..old.parts).map(move |part| (old, part))) {
        store.put(&[Write::remove(Tree::Folds, part_key(id, old.slot, part))])?;
    }
    Ok(())
}

fn forget(store: &Store, id: &StreamId) -> Result<(), store::Error> {
    while let Some((key, _)) = store.scan(Tree::Folds, &key(id, ""), None, 1)?.pop() {
        store.put(&[Write::remove(Tree::Folds, key)])?;
    }
    Ok(())
}
