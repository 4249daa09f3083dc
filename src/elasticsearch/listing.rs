//! All documents of a time, in the order in which their events were committed.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::search::{FORMAT, ask};
use super::{Connection, Error, PATTERN};
use crate::event::Timestamp;
use crate::otel::names;

/// The most documents of a page.
const PAGE: usize = 1000;

/// The documents of events that were committed from a time on and before another.
#[derive(Debug)]
pub struct Listing {
    body: Value,
    done: bool,
}

impl Listing {
    /// From `from` on, or from the first on, to before `to`; of these the events that happened at `since` or later.
    pub fn new(from: Option<Timestamp>, to: Timestamp, since: Option<Timestamp>) -> Self {
        let mut committed = json!({"lt": to.to_string(), "format": FORMAT});
        if let Some(from) = from {
            committed["gte"] = from.to_string().into();
        }
        let mut filter = vec![json!({"range": {"observed_timestamp": committed}})];
        if let Some(since) = since {
            filter.push(json!({"range": {"@timestamp": {"gte": since.to_string(), "format": FORMAT}}}));
        }
        let id = format!("attributes.{}", names::EVENT_ID);
        let body = json!({
            "size": PAGE,
            "track_total_hits": false,
            "query": {"bool": {"filter": filter}},
            "sort": [
                {"observed_timestamp": {"order": "asc", "format": FORMAT, "unmapped_type": "date_nanos"}},
                {id: {"order": "asc", "unmapped_type": "keyword"}},
                // Two copies of one event are told apart.
                {"_index": "asc"},
            ],
        });
        Self { body, done: false }
    }

    /// The next ids and documents; nothing when there are no more.
    ///
    /// # Errors
    /// All of [`Error`].
    pub async fn page(&mut self, connection: &Connection) -> Result<Vec<(String, Value)>, Error> {
        if self.done {
            return Ok(Vec::new());
        }
        let mut answer = ask(connection, &self.body).await?;
        let Some(Value::Array(hits)) = answer.pointer_mut("/hits/hits").map(Value::take) else {
            return Err(connection.not_understood("no hits"));
        };
        self.done = hits.len() < PAGE;
        if let Some(last) = hits.last() {
            self.body["search_after"] = last["sort"].clone();
        }
        let one = |mut hit: Value| Some((hit["_id"].as_str()?.to_owned(), hit["_source"].take()));
        Ok(hits.into_iter().filter_map(one).collect())
    }

    /// Makes what was written until now be found.
    ///
    /// # Errors
    /// All of [`Error`].
    pub async fn refresh(connection: &Connection) -> Result<(), Error> {
        let path = format!("{PATTERN}/_refresh?allow_no_indices=true&ignore_unavailable=true");
        connection.ask(Method::Post, &path, None).await.map(drop)
    }
}
