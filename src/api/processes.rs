//! `GET /api/processes?limit=&after=`: every process as the fold of the log has it, a JSON array in the order of
//! source and name; the next page in `Link`.
//!
//! The fold is brought up to the end of the log at each request, and saved from time to time, so that only what
//! came since has to be read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Error, Shared};
use crate::event::{Invalid, Offset};
use crate::state::process::{Process, Processes};
use crate::store::{self, Limit, Store, Tree, Write};

/// The processes in a page, at most and where nothing else is asked for.
const PAGE: usize = 1000;
/// The fold is saved after so many events.
const SAVE_EVERY: u64 = 20_000;
/// Where it is saved. It is not, where it is larger than a value may be.
const KEY: &str = "api-processes";
const MAX_SAVED: usize = 1 << 20;

/// A process with its place.
#[derive(Debug, Clone, Serialize)]
struct Row<'a> {
    source: &'a str,
    process: &'a str,
    #[serde(flatten)]
    fold: &'a Process,
}

/// The fold, and how far it has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fold {
    next: Offset,
    processes: Processes,
}

/// The fold that all requests share; made at the first one.
#[derive(Clone, Default)]
pub(super) struct Cache(Arc<Mutex<Option<Fold>>>);

impl Fold {
    fn load(store: &Store) -> Result<Self, store::Error> {
        let saved = store.get(Tree::Folds, KEY)?.and_then(|saved| serde_json::from_slice(&saved).ok());
        let (next, processes) = store.trimmed_processes()?;
        // One that is ahead of the log belongs to another log; one that is behind what was trimmed has missed it.
        let usable = saved.filter(|fold: &Self| (next..=store.range().end).contains(&fold.next));
        Ok(usable.unwrap_or(Self { next, processes }))
    }

    async fn catch_up(&mut self, store: &Store) -> Result<(), store::Error> {
        let (began, end) = (self.next, store.range().end);
        while self.next < end {
            let page = store.log(self.next, Limit::events(PAGE))?;
            let Some(last) = page.last() else { break };
            self.next = last.offset + 1;
            page.iter().for_each(|logged| self.processes.apply(&logged.event));
            tokio::task::yield_now().await;
        }
        if self.next - began >= SAVE_EVERY {
            self.save(store)?;
        }
        Ok(())
    }

    fn save(&self, store: &Store) -> Result<(), store::Error> {
        match serde_json::to_vec(self) {
            Ok(saved) if saved.len() <= MAX_SAVED => store.put(&[Write::put(Tree::Folds, KEY, saved)]),
            _ => Ok(()),
        }
    }
}

pub(super) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<(HeaderMap, Json<Vec<serde_json::Value>>), Error> {
    let (limit, after) = parameters(&query.unwrap_or_default())?;
    let mut cache = shared.processes.0.lock().await;
    // What was trimmed since the last request is in the store's own fold alone.
    let mut fold = match cache.take().filter(|fold| fold.next >= shared.store.range().start) {
        Some(fold) => fold,
        None => Fold::load(&shared.store)?,
    };
    let caught_up = fold.catch_up(&shared.store).await;
    let (rows, next) = page(&fold.processes, limit, after.as_deref());
    *cache = Some(fold);
    caught_up?;
    let mut headers = HeaderMap::new();
    if let Some(after) = next {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("limit", &limit.to_string())
            .append_pair("after", &after)
            .finish();
        let link = HeaderValue::try_from(format!("</api/processes?{query}>; rel=\"next\""));
        headers.extend(link.ok().map(|link| (header::LINK, link)));
    }
    Ok((headers, Json(rows)))
}

/// A page of them, and what to give as `after` for the next.
fn page(processes: &Processes, limit: usize, after: Option<&str>) -> (Vec<serde_json::Value>, Option<String>) {
    let after = after.map(|after| after.split_once('/').unwrap_or((after, "")));
    let all = processes
        .sources
        .iter()
        .flat_map(|(source, of)| of.processes.iter().map(move |(process, fold)| Row { source, process, fold }));
    let mut rest = all.filter(|row| after.is_none_or(|after| (row.source, row.process) > after)).peekable();
    let (mut rows, mut last) = (Vec::new(), None);
    for row in rest.by_ref().take(limit) {
        last = Some(format!("{}/{}", row.source, row.process));
        rows.extend(serde_json::to_value(&row));
    }
    (rows, last.filter(|_| rest.peek().is_some()))
}

fn parameters(query: &str) -> Result<(usize, Option<String>), Invalid> {
    let (mut limit, mut after) = (PAGE, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=PAGE).contains(limit));
                let expected = format!("a whole number from 1 to {PAGE}");
                limit = number.ok_or_else(|| Invalid::new("limit", &value, expected))?;
            }
            "after" => after = Some(value.into_owned()),
            _ => return Err(Invalid::new("query", &name, "the parameters limit or after")),
        }
    }
    Ok((limit, after))
}
