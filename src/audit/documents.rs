//! The log beside Elasticsearch: window by window, the documents of the same time of commit.

use std::collections::HashMap;

use serde_json::Value;

use super::log::Log;
use super::stray::Strays;
use super::{Brief, Difference, Error, Finding, MARGIN, Progress, Summary, content};
use crate::api::events::Row;
use crate::client::Reader;
use crate::config;
use crate::elasticsearch::{Connection, Listing};
use crate::event::{Offset, Timestamp};
use crate::otel::names;
use crate::search;

/// Documents younger than this are not judged where the log has nothing: they may be of an event that is committed
/// while the audit runs. In milliseconds.
const YOUNG: i64 = 10_000;

/// A day's data stream goes as a whole, so the last of its documents a day before their time. In milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// An event of the window.
struct Expected {
    offset: Offset,
    hash: u64,
    observed: Timestamp,
    brief: Brief,
    found: bool,
}

/// Compares; `settings` is where the documents are, `since` when the events happened at the earliest. Findings are
/// told as they are found.
///
/// # Errors
/// What keeps it from its end; what was told until then stands.
pub async fn elasticsearch(
    reader: &Reader,
    settings: &config::Elasticsearch,
    since: Option<Timestamp>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Summary, Error> {
    let (began, mut summary) = (Timestamp::now(), Summary::of("elasticsearch"));
    let connection = Connection::new(settings)?;
    let progress = Progress::read(reader, &settings.name).await?;
    let retention = i64::try_from(settings.retention.as_millis()).unwrap_or(i64::MAX);
    let horizon = began.plus_millis(DAY + MARGIN - retention);
    Listing::refresh(&connection).await?;
    let (mut log, mut strays) = (Log::new(reader, since), Strays::new(reader));
    let mut from = None;
    loop {
        let window = log.window(expect).await?;
        let last = window.last().map(|(observed, _)| observed.plus_millis(1));
        let mut expected: HashMap<String, Expected> = window.into_iter().map(|(_, event)| event).collect();
        // Behind the log's end, as far as there could have been events of it.
        let to = last.unwrap_or_else(|| began.plus_millis(-YOUNG));
        let mut listing = Listing::new(from, to, since);
        loop {
            let page = listing.page(&connection).await?;
            if page.is_empty() {
                break;
            }
            for (id, document) in &page {
                compare(id, document, &mut expected, &mut summary, &mut strays, tell).await?;
            }
        }
        miss(expected, &progress, horizon, &mut summary, tell);
        if last.is_none() {
            return Ok(summary);
        }
        from = last;
    }
}

fn expect(row: &Row) -> (String, Expected) {
    let brief = Brief::of(&row.logged.event);
    let hash = content::of_document(&brief.id, &search::document(&row.logged));
    (
        brief.id.clone(),
        Expected { offset: row.logged.offset, hash, observed: row.logged.event.observed, brief, found: false },
    )
}

async fn compare(
    id: &str,
    document: &Value,
    expected: &mut HashMap<String, Expected>,
    summary: &mut Summary,
    strays: &mut Strays<'_>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), Error> {
    match expected.get_mut(id) {
        Some(event) if event.found => summary.note(Difference::Extra, &event.brief, tell),
        Some(event) => {
            event.found = true;
            match event.hash == content::of_document(id, document) {
                true => summary.alike += 1,
                false => summary.note(Difference::Different, &event.brief, tell),
            }
        }
        None => {
            let brief = brief(id, document);
            match strays.judge(&brief).await? {
                Some(difference) => summary.note(difference, &brief, tell),
                None => summary.let_go += 1,
            }
        }
    }
    Ok(())
}

/// Those of a window that were not found. What was committed before the horizon need not be there any more.
fn miss(
    expected: HashMap<String, Expected>,
    progress: &Progress,
    horizon: Timestamp,
    summary: &mut Summary,
    tell: &mut (dyn FnMut(Finding) + Send),
) {
    let mut missing: Vec<Expected> = expected.into_values().filter(|event| !event.found).collect();
    missing.sort_by_key(|event| event.offset);
    for event in missing {
        match progress {
            Progress { letters, .. } if letters.contains(&event.offset) => summary.dead_letters += 1,
            Progress { confirmed, .. } if event.offset >= *confirmed => summary.waiting += 1,
            _ if event.observed < horizon => {}
            _ => summary.note(Difference::Missing, &event.brief, tell),
        }
    }
}

fn brief(id: &str, document: &Value) -> Brief {
    let attribute = |name: &str| document["attributes"].get(name).unwrap_or(&Value::Null);
    let text = |name: &str| attribute(name).as_str().unwrap_or_default().to_owned();
    let seq = attribute(names::EVENT_SEQ).as_u64().unwrap_or_default();
    Brief { id: id.into(), session: text(names::STREAM_ID), seq, kind: text(names::EVENT_TYPE) }
}
