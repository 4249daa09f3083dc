//! Dead letters: what was given up on, kept with its reason until a person retries or discards it.
//!
//! A letter's key is its id, a UUIDv7, so they stand in the order of time. A person's wish for a retry is a
//! marker beside it, `retry:{sink}:{id}`, which the sink's own loop takes up; so it can be asked for while
//! no daemon runs, too.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Draft, Event, Offset, Timestamp};
use crate::store::{self, Store, Tree, Write};

/// The most letters that one call reads.
pub const MAX_PAGE: usize = 1000;

/// What was given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The delivery of an event to one sink.
    Delivery,
    /// An event that came after its session had ended; it got no place in the log, and its seq is 0.
    Late,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Delivery, Self::Late];

    /// Its name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Late => "late",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| format!("expected delivery or late, found {word:?}"))
    }
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// What was given up on.
    pub kind: Kind,
    /// The sink that it was for; a late event was for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// The event's place in the log, from which it may have been pruned since; a late event has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// A copy of the event.
    pub event: Event,
    /// What the destination said, or why it was late.
    pub reason: String,
    /// What was sent, where the sink cannot make it again from the event alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// When it was given up, the last time.
    pub time: Timestamp,
    /// How often it was refused.
    pub attempts: u32,
    /// Whether a person asked for a retry that did not happen yet.
    #[serde(default)]
    pub retrying: bool,
}

/// Chooses letters.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// For this sink.
    pub sink: Option<String>,
}

impl Filter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.kind.is_none_or(|kind| kind == letter.kind) && (self.sink.is_none() || self.sink == letter.sink)
    }
}

/// Some letters, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Uuid>,
}

/// How many letters there are of one kind, for one sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// What was given up on.
    pub kind: Kind,
    /// For which sink, where they are for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// How many.
    pub letters: u64,
    /// How many of them wait for their retry.
    pub retrying: u64,
    /// When the oldest was given up.
    pub oldest: Timestamp,
    /// When the newest was.
    pub newest: Timestamp,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such letter.
    #[error("there is no dead letter {0}")]
    NotFound(Uuid),
    /// It is a late event: a retry would be refused again.
    #[error("the dead letter {0} is an event that came after its session had ended: it can only be discarded")]
    Late(Uuid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The letters after `after`, oldest first, at most `limit` (and [`MAX_PAGE`]).
pub fn list(store: &Store, filter: &Filter, after: Option<Uuid>, limit: usize) -> Result<Page, Error> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut page = Page::default();
    let mut last = after.map(key);
    loop {
        let read = store.scan(Tree::DeadLetters, "", last.as_deref(), SCAN)?;
        let Some((end, _)) = read.last() else { return Ok(page) };
        last = Some(end.clone());
        // Ids are hexadecimal, so all markers stand behind them.
        for (key, value) in read.into_iter().take_while(|(key, _)| !key.starts_with(RETRY)) {
            let Some(letter) = parse(&key, &value).filter(|letter| filter.takes(letter)) else { continue };
            if page.letters.len() == limit {
                page.next = page.letters.last().map(|letter| letter.id);
                return Ok(page);
            }
            page.letters.push(marked(store, letter)?);
        }
    }
}

/// One letter.
pub fn show(store: &Store, id: Uuid) -> Result<DeadLetter, Error> {
    read(store, id)?.ok_or(Error::NotFound(id))
}

/// Asks for a retry; the sink's loop does it, at once if it is told and within seconds if not.
pub fn retry(store: &Store, id: Uuid) -> Result<(), Error> {
    let letter = show(store, id)?;
    let mark = mark(&letter).ok_or(Error::Late(id))?;
    store.put_durable(&[mark])?;
    Ok(())
}

/// Asks for a retry of all that the filter takes and that can be sent again; answers how many.
pub fn retry_all(store: &Store, filter: &Filter) -> Result<u64, Error> {
    let mut marked = 0;
    each_page(store, filter, |letters| {
        let writes: Vec<Write> = letters.iter().filter_map(mark).collect();
        marked += writes.len() as u64;
        store.put_durable(&writes)
    })?;
    Ok(marked)
}

/// Throws a letter away; the event stays in the log.
pub fn discard(store: &Store, id: Uuid) -> Result<(), Error> {
    let letter = show(store, id)?;
    store.put_durable(&remove(&letter))?;
    Ok(())
}

/// How many letters there are, by kind and sink.
pub fn stats(store: &Store) -> Result<Vec<Count>, Error> {
    let mut counts: Vec<Count> = Vec::new();
    each_page(store, &Filter::default(), |letters| {
        letters.iter().for_each(|letter| count(&mut counts, letter));
        Ok(())
    })?;
    counts.sort_by(|a, b| (a.kind, &a.sink).cmp(&(b.kind, &b.sink)));
    Ok(counts)
}

fn count(counts: &mut Vec<Count>, letter: &DeadLetter) {
    let same = |count: &&mut Count| count.kind == letter.kind && count.sink == letter.sink;
    match counts.iter_mut().find(same) {
        Some(count) => {
            count.letters += 1;
            count.retrying += u64::from(letter.retrying);
            count.oldest = count.oldest.min(letter.time);
            count.newest = count.newest.max(letter.time);
        }
        None => counts.push(Count {
            kind: letter.kind,
            sink: letter.sink.clone(),
            letters: 1,
            retrying: u64::from(letter.retrying),
            oldest: letter.time,
            newest: letter.time,
        }),
    }
}

fn each_page(
    store: &Store,
    filter: &Filter,
    mut each: impl FnMut(&[DeadLetter]) -> Result<(), store::Error>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = list(store, filter, after, SCAN)?;
        if !page.letters.is_empty() {
            each(&page.letters)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// So many letters are read at a time: with events of 64 KiB, 4 MiB.
const SCAN: usize = 64;
const RETRY: &str = "retry:";

fn key(id: Uuid) -> String {
    id.to_string()
}

/// The key of the mark; only what was for a sink can be sent again.
fn marker(letter: &DeadLetter) -> Option<String> {
    letter.sink.as_ref().map(|sink| format!("{RETRY}{sink}:{}", letter.id))
}

fn read(store: &Store, id: Uuid) -> Result<Option<DeadLetter>, store::Error> {
    let key = key(id);
    let letter = store.get(Tree::DeadLetters, &key)?.and_then(|value| parse(&key, &value));
    letter.map(|letter| marked(store, letter)).transpose()
}

fn parse(key: &str, value: &[u8]) -> Option<DeadLetter> {
    serde_json::from_slice(value)
        .inspect_err(|error| tracing::error!(key, %error, "a dead letter cannot be read"))
        .ok()
}

fn marked(store: &Store, letter: DeadLetter) -> Result<DeadLetter, store::Error> {
    let mark = marker(&letter).map(|marker| store.get(Tree::DeadLetters, &marker)).transpose()?;
    Ok(DeadLetter { retrying: mark.flatten().is_some(), ..letter })
}

fn mark(letter: &DeadLetter) -> Option<Write> {
    Some(Write::put(Tree::DeadLetters, marker(letter)?, *b"{}"))
}

fn unmark(letter: &DeadLetter) -> Option<Write> {
    Some(Write::remove(Tree::DeadLetters, marker(letter)?))
}

/// The letter of an event that came after its session had ended; `observed` is when it came.
pub fn late(draft: &Draft, observed: Timestamp) -> DeadLetter {
    let Draft { ts, session, kind, subject, severity, origin, correlation_id, trace, hops, data, .. } =
        draft.clone();
    let id = draft.id.as_ref().map_or_else(Uuid::now_v7, |id| id.event_id(&session));
    let reason = format!("the session {session} had ended");
    let ts = ts.unwrap_or(observed);
    let event = Event {
        id,
        ts,
        observed,
        session,
        seq: 0,
        kind,
        subject,
        severity,
        origin,
        correlation_id,
        trace,
        hops,
        data,
    };
    DeadLetter {
        id: Uuid::now_v7(),
        kind: Kind::Late,
        sink: None,
        offset: None,
        event,
        reason,
        sent: None,
        time: observed,
        attempts: 1,
        retrying: false,
    }
}

/// The write that keeps a letter.
pub(crate) fn keep(letter: &DeadLetter) -> Write {
    let letter = DeadLetter { retrying: false, ..letter.clone() };
    // Strings, numbers and an event that was JSON before.
    let value = serde_json::to_vec(&letter).unwrap_or_default();
    Write::put(Tree::DeadLetters, key(letter.id), value)
}

/// The writes that keep a letter whose retry was refused again.
pub(crate) fn keep_again(letter: &DeadLetter) -> Vec<Write> {
    [Some(keep(letter)), unmark(letter)].into_iter().flatten().collect()
}

/// The writes that take a letter away.
pub(crate) fn remove(letter: &DeadLetter) -> Vec<Write> {
    [Some(Write::remove(Tree::DeadLetters, key(letter.id))), unmark(letter)].into_iter().flatten().collect()
}

/// The letters of a sink whose retry was asked for, at most 64, in the order of the log.
pub(crate) fn due(store: &Store, sink: &str) -> Result<Vec<DeadLetter>, store::Error> {
    let mut letters = Vec::new();
    for (key, _) in store.scan(Tree::DeadLetters, &format!("{RETRY}{sink}:"), None, SCAN)? {
        let id = key.rsplit(':').next().and_then(|id| id.parse().ok());
        match id.map(|id| read(store, id)).transpose()?.flatten() {
            Some(letter) => letters.push(letter),
            None => store.put(&[Write::remove(Tree::DeadLetters, key)])?,
        }
    }
    letters.sort_by_key(|letter| letter.offset);
    Ok(letters)
}
