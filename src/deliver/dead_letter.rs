//! Dead letters: what was given up on, kept with its reason until a person retries or discards it.
//!
//! A letter's key is its id, a UUIDv7, so they stand in the order of time. A person's wish for a retry is a
//! marker beside it, `retry:{sink}:{id}`, which the sink's own loop takes up; so it can be asked for while
//! no daemon runs, too.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Event, Offset, Timestamp};
use crate::store::{self, Store, Tree, Write};

/// The most letters that one call reads.
pub const MAX_PAGE: usize = 1000;

/// What was given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The delivery of an event to one sink.
    Delivery,
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "delivery" => Ok(Self::Delivery),
            _ => Err(format!("expected delivery, found {word:?}")),
        }
    }
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// What was given up on.
    pub kind: Kind,
    /// The sink that it was for.
    pub sink: String,
    /// The event's place in the log, from which it may have been pruned since.
    pub offset: Offset,
    /// A copy of the event.
    pub event: Event,
    /// What the destination said.
    pub reason: String,
    /// When it was given up, the last time.
    pub time: Timestamp,
    /// How often the destination refused it.
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
        self.kind.is_none_or(|kind| kind == letter.kind)
            && self.sink.as_ref().is_none_or(|sink| *sink == letter.sink)
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

/// How many letters there are for one sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// What was given up on.
    pub kind: Kind,
    /// For which sink.
    pub sink: String,
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
    store.put_durable(&[mark(&letter)])?;
    Ok(())
}

/// Asks for a retry of all that the filter takes; answers how many.
pub fn retry_all(store: &Store, filter: &Filter) -> Result<u64, Error> {
    each_page(store, filter, |letters| {
        let writes: Vec<Write> = letters.iter().map(mark).collect();
        store.put_durable(&writes)
    })
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
) -> Result<u64, Error> {
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = list(store, filter, after, SCAN)?;
        if !page.letters.is_empty() {
            each(&page.letters)?;
        }
        seen += page.letters.len() as u64;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(seen),
        }
    }
}

/// So many letters are read at a time: with events of 64 KiB, 4 MiB.
const SCAN: usize = 64;
const RETRY: &str = "retry:";

fn key(id: Uuid) -> String {
    id.to_string()
}

fn marker(sink: &str, id: Uuid) -> String {
    format!("{RETRY}{sink}:{id}")
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
    let marker = marker(&letter.sink, letter.id);
    Ok(DeadLetter { retrying: store.get(Tree::DeadLetters, &marker)?.is_some(), ..letter })
}

fn mark(letter: &DeadLetter) -> Write {
    Write::put(Tree::DeadLetters, marker(&letter.sink, letter.id), *b"{}")
}

fn unmark(letter: &DeadLetter) -> Write {
    Write::remove(Tree::DeadLetters, marker(&letter.sink, letter.id))
}

/// The write that keeps a letter.
pub(super) fn keep(letter: &DeadLetter) -> Write {
    let letter = DeadLetter { retrying: false, ..letter.clone() };
    // Strings, numbers and an event that was JSON before.
    let value = serde_json::to_vec(&letter).unwrap_or_default();
    Write::put(Tree::DeadLetters, key(letter.id), value)
}

/// The writes that keep a letter whose retry was refused again.
pub(super) fn keep_again(letter: &DeadLetter) -> [Write; 2] {
    [keep(letter), unmark(letter)]
}

/// The writes that take a letter away.
pub(super) fn remove(letter: &DeadLetter) -> [Write; 2] {
    [Write::remove(Tree::DeadLetters, key(letter.id)), unmark(letter)]
}

/// The letters of a sink whose retry was asked for, at most 64, in the order of the log.
pub(super) fn due(store: &Store, sink: &str) -> Result<Vec<DeadLetter>, store::Error> {
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
