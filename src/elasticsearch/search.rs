//! Searching documents, page by page.

use std::time::Duration;

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Connection, Error, PATTERN};
use crate::event::Timestamp;
use crate::otel::names;

/// A search that cannot be answered just now is tried for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How times are written in a place to go on from.
pub(super) const FORMAT: &str = "strict_date_optional_time_nanos";

/// One page of a search.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The query, in `query_string` syntax.
    pub text: &'a str,
    /// Where words are looked for that no field is named for.
    pub fields: &'a [&'a str],
    /// Events that happened at this time or later.
    pub since: Option<Timestamp>,
    /// Events that happened before this time.
    pub until: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
    /// Behind this place.
    pub after: Option<&'a str>,
    /// So many, 1 to 10,000.
    pub most: usize,
}

impl Search<'_> {
    /// What is found: the document's id, the place behind it, and the document; in the order of time, those of
    /// one time by the event's id.
    ///
    /// # Errors
    /// All of [`Error`]; [`Error::Refused`] where the query is none.
    pub async fn run(&self, connection: &Connection) -> Result<Vec<(String, String, Value)>, Error> {
        let answer = ask(connection, &self.body()?).await?;
        let hits = answer.pointer("/hits/hits").and_then(Value::as_array);
        let hits = hits.ok_or_else(|| connection.not_understood("no hits"))?;
        Ok(hits.iter().filter_map(hit).collect())
    }

    fn body(&self) -> Result<Value, Error> {
        let text = if self.text.trim().is_empty() { "*" } else { self.text };
        let words = json!({"query_string": {"query": text, "fields": self.fields}});
        let mut range = json!({"format": FORMAT});
        for (end, time) in [("gte", self.since), ("lt", self.until)] {
            if let Some(time) = time {
                range[end] = time.to_string().into();
            }
        }
        let order = if self.newest_first { "desc" } else { "asc" };
        let id = format!("attributes.{}", names::EVENT_ID);
        let mut body = json!({
            "size": self.most,
            "track_total_hits": false,
            "query": {"bool": {"must": words, "filter": [
                {"range": {"@timestamp": range}},
                // What has no id of an event is not ours, and would have no place in the order.
                {"exists": {"field": id}},
            ]}},
            "sort": [
                {"@timestamp": {"order": order, "format": FORMAT, "unmapped_type": "date_nanos"}},
                {id.clone(): {"order": order, "unmapped_type": "keyword"}},
            ],
        });
        if let Some(after) = self.after {
            let place = after.split_once('/').filter(|(time, _)| time.parse::<Timestamp>().is_ok());
            let place = place.ok_or_else(|| Error::Refused {
                status: 400,
                kind: String::new(),
                reason: format!("after: expected a place that a hit told, found `{after}`"),
            })?;
            body["search_after"] = json!([place.0, place.1]);
        }
        Ok(body)
    }
}

/// Asks for one page; there is nothing where there is no data stream yet, and no answer where a shard has none. So it
/// is asked again for a while: the index of a new day has no shard to ask for a moment.
pub(super) async fn ask(connection: &Connection, body: &Value) -> Result<Value, Error> {
    let path = format!(
        "{PATTERN}/_search?allow_no_indices=true&ignore_unavailable=true&allow_partial_search_results=false"
    );
    let latest = Instant::now() + PATIENCE;
    loop {
        match connection.ask(Method::Post, &path, Some(body)).await {
            Err(error) if error.is_busy() && Instant::now() < latest => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

fn hit(hit: &Value) -> Option<(String, String, Value)> {
    let sort = |at: usize| hit["sort"].get(at)?.as_str().map(str::to_owned);
    let after = format!("{}/{}", sort(0)?, sort(1)?);
    Some((hit["_id"].as_str()?.to_owned(), after, hit["_source"].clone()))
}
