//! The list of sessions, and one of them as a whole.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Range, Tree};
use super::lifecycle::{self, Entry, Record};
use super::{Error, Status, Store, prune, query, read};
use crate::event::{Class, Data, Invalid, Offset, StreamId, Timestamp, Trace};

/// The most ids that one prefix is looked up for.
const MAX_FOUND: usize = 100;

/// A session as a whole, as far as it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: StreamId,
    /// When it started.
    pub start: Timestamp,
    /// When it ended; nothing follows then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Its status. One that has failed and has no end may still be written to.
    pub status: Status,
    /// How many events it has, which is its last seq.
    pub events: u64,
    /// How many stretches between a start, or a resume, and an end, or an interruption.
    pub segments: u64,
    /// Its trace, with its root span, and the caller's span as parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The data of its `session_started`.
    pub metadata: Data,
}

impl SessionInfo {
    /// What was run, in short: its summary, else its name, else the command; empty where it gave none.
    pub fn command(&self) -> String {
        lifecycle::command(&self.metadata)
    }
}

/// Which sessions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionQuery {
    /// Any of these; none means all.
    pub statuses: Vec<Status>,
    /// Started at this time or later.
    pub since: Option<Timestamp>,
    /// Started before this time.
    pub until: Option<Timestamp>,
    /// Has this in its command, in upper or lower case.
    pub command: Option<String>,
    /// Behind the page before: its `next`.
    pub after: Option<String>,
    /// So many a page, 1 to 1000; 0 means 100.
    pub limit: usize,
}

/// A page of sessions, the newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// What to give as `after` for the next page; nothing when this is the last.
    pub next: Option<String>,
}

/// A place in the list.
pub(super) struct Listed {
    pub(super) id: StreamId,
    pub(super) entry: Entry,
}

/// The list between two bounds.
pub(super) fn list(
    engine: &dyn Engine,
    range: Range,
    newest_first: bool,
) -> impl Iterator<Item = Result<Listed, Error>> + '_ {
    engine.range(Tree::Index, range, newest_first).map(|pair| {
        let (key, value) = pair?;
        let (_, id) = lifecycle::of_list_key(&key)?;
        let entry = postcard::from_bytes(&value);
        let entry = entry.map_err(|e| Error::Corrupt(format!("the list of sessions at {id}: {e}")))?;
        Ok(Listed { id, entry })
    })
}

/// All of the list.
pub(super) fn everything() -> Range {
    (Bound::Included(b"l".to_vec()), Bound::Excluded(b"m".to_vec()))
}

impl SessionQuery {
    fn range(&self) -> Result<Range, Error> {
        let at = |time: Timestamp| lifecycle::list_start(time).to_vec();
        let (all_from, all_to) = everything();
        let from = self.since.map_or(all_from, |since| Bound::Included(at(since)));
        let mut to = self.until.map_or(all_to, |until| Bound::Excluded(at(until)));
        if let Some(after) = &self.after {
            let (start, id) = read_place(after)?;
            to = Bound::Excluded(lifecycle::list_key(start, &id));
        }
        Ok((from, to))
    }

    fn accepts(&self, entry: &Entry, command: Option<&str>) -> bool {
        !entry.going
            && (self.statuses.is_empty() || self.statuses.contains(&entry.status))
            && command.is_none_or(|command| entry.command.to_lowercase().contains(command))
    }
}

/// A place in the list as text: `{start in ms}.{id}`.
fn place(info: &SessionInfo) -> String {
    format!("{}.{}", info.start.as_millis(), info.id)
}

fn read_place(text: &str) -> Result<(Timestamp, StreamId), Error> {
    let parse = || {
        let (start, id) = text.split_once('.')?;
        Some((Timestamp::from_millis(start.parse().ok()?), StreamId::new(id).ok()?))
    };
    Ok(parse().ok_or_else(|| Invalid::new("after", text, "the `next` of the page before"))?)
}

impl Store {
    /// Sessions, the newest first, by pages.
    pub fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, Error> {
        let (engine, end) = self.reader()?;
        let limit = if query.limit == 0 { 100 } else { query.limit.min(query::MAX_PAGE) };
        let command = query.command.as_ref().map(|command| command.to_lowercase());
        let mut page = SessionPage::default();
        let (from, to) = query.range()?;
        if is_empty(&from, &to) {
            return Ok(page);
        }
        for listed in list(&*engine, (from, to), true) {
            let Listed { id, entry, .. } = listed?;
            if !query.accepts(&entry, command.as_deref()) {
                continue;
            }
            if page.sessions.len() == limit {
                page.next = page.sessions.last().map(place);
                break;
            }
            page.sessions.extend(session(&*engine, end, &id)?);
        }
        Ok(page)
    }

    /// One session as a whole.
    pub fn session(&self, id: &StreamId) -> Result<Option<SessionInfo>, Error> {
        let (engine, end) = self.reader()?;
        session(&*engine, end, id)
    }

    /// The newest session.
    pub fn latest_session(&self) -> Result<Option<SessionInfo>, Error> {
        Ok(self.sessions(&SessionQuery { limit: 1, ..SessionQuery::default() })?.sessions.pop())
    }

    /// The sessions whose ids begin so, in the order of the ids, at most 100.
    pub fn find_sessions(&self, prefix: &str) -> Result<Vec<StreamId>, Error> {
        let (engine, end) = self.reader()?;
        let from = (Bound::Included(prefix.as_bytes().to_vec()), Bound::Unbounded);
        let mut found = Vec::new();
        for pair in engine.range(Tree::Sessions, from, false) {
            let (key, _) = pair?;
            if !key.starts_with(prefix.as_bytes()) || found.len() == MAX_FOUND {
                break;
            }
            // A part of a value has a key that is no id.
            let id = std::str::from_utf8(&key).ok().and_then(|key| StreamId::new(key).ok());
            let id = id.filter(|id| id.class() == Class::Session);
            if let Some(id) = id
                && session(&*engine, end, &id)?.is_some()
            {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// What pruning would take at that time: sessions that ended longer than `store.keep_sessions` ago, and the
    /// oldest of those beyond `store.max_sessions`; never one that a required sink has not all of.
    pub fn prunable(&self, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        let (engine, end) = self.reader()?;
        let settings = &self.shared.settings;
        let oldest = now.plus_millis(-(settings.keep_sessions.as_millis() as i64));
        let ended: Vec<Listed> = list(&*engine, everything(), false)
            .filter(|listed| {
                listed.as_ref().map_or(true, |listed| listed.entry.ended.is_some() && !listed.entry.going)
            })
            .collect::<Result<_, _>>()?;
        let over = (ended.len() as u64).saturating_sub(settings.max_sessions);
        let confirmed = prune::confirmed(self)?.min(self.shared.indexed());
        let mut prunable = Vec::new();
        for (place, Listed { id, entry, .. }) in (0..).zip(ended) {
            let expired = place < over || entry.ended.is_some_and(|end| end < oldest);
            if expired && last(&*engine, end, &id)?.is_some_and(|(_, offset)| offset < confirmed) {
                prunable.extend(session(&*engine, end, &id)?);
            }
        }
        Ok(prunable)
    }
}

/// One session as a whole, before the durable end of the log.
fn session(engine: &dyn Engine, durable: Offset, id: &StreamId) -> Result<Option<SessionInfo>, Error> {
    // The last event first: what is known of the session then is of that event or of a later one, and tells which.
    let Some((events, _)) = last(engine, durable, id)? else { return Ok(None) };
    let Some(record) = Record::load(engine, id)? else { return Ok(None) };
    let Record { start, end, status, segments, trace, metadata, turned, before, going, .. } = record;
    let (Some(metadata), false) = (metadata, going) else { return Ok(None) };
    // What is applied and not durable yet is not told.
    let (end, status) = if turned > events { (None, before) } else { (end, status) };
    Ok(Some(SessionInfo { id: id.clone(), start, end, status, events, segments, trace, metadata }))
}

/// The seq and the offset of the last event of a stream before the durable end of the log.
pub(super) fn last(engine: &dyn Engine, durable: Offset, id: &StreamId) -> Result<Option<(u64, Offset)>, Error> {
    let mut last = None;
    read::visit_back(engine, id, 0..u64::MAX, |seq, packed| {
        last = (packed.offset < durable).then_some((seq, packed.offset));
        Ok(last.is_none())
    })?;
    Ok(last)
}

/// Whether nothing can be between two bounds, which a range of sled may not be.
fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Excluded(to)) => from >= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_can_be_read_back() {
        let id = StreamId::new("a-b=c").expect("an id");
        for millis in [-5, 0, 1_700_000_000_000] {
            let start = Timestamp::from_millis(millis);
            let text = format!("{millis}.{id}");
            assert_eq!(read_place(&text), Ok((start, id.clone())));
            assert_eq!(lifecycle::of_list_key(&lifecycle::list_key(start, &id)), Ok((start, id.clone())));
        }
        assert!(read_place("17").is_err() && read_place("x.a").is_err());
        let early = lifecycle::list_key(Timestamp::from_millis(-5), &id);
        assert!(early < lifecycle::list_key(Timestamp::from_millis(3), &id));
    }
}
