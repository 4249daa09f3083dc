//! Searching events by the fields of their documents: in Elasticsearch, or over the store where there is none.
//!
//! The query is Elasticsearch's `query_string` syntax. Over the store a part of it is understood, which
//! [`Expression::parse`] describes, with the same outcome; what is not understood is an error that names it.

mod document;
mod expression;
mod field;
mod matching;
mod value;

use serde::Serialize;
use serde_json::Value;

use self::document::Document;
use crate::api::events::Row;
use crate::api::filter::{Filter, MAX_LIMIT};
use crate::client::{Failed, Reader};
use crate::elasticsearch::{self, Connection};
use crate::event::{Invalid, Logged, Timestamp};

pub(crate) use document::moment;
pub use expression::Expression;

/// Where a word is looked for that no field is named for.
pub const DEFAULT_FIELDS: [&str; 5] = [
    "body.text",
    "event_name",
    "attributes.watchpost.event.id",
    "attributes.watchpost.stream.id",
    "attributes.watchpost.process.name",
];

/// What is searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The query's text.
    pub text: String,
    /// Events that happened at this time or later.
    pub since: Option<Timestamp>,
    /// Events that happened before this time.
    pub until: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
    /// Behind this place, which an earlier hit told.
    pub after: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The event's id.
    pub id: String,
    /// What to give as [`Query::after`] to go on behind it.
    pub after: String,
    /// The document.
    pub document: Value,
}

impl Hit {
    /// When the event happened; nothing where the document does not say.
    pub fn time(&self) -> Option<Timestamp> {
        document::moment(&self.document["@timestamp"])
    }
}

/// The document of one event, by itself: without what only the events before it tell.
pub(crate) fn document(logged: &Logged) -> Value {
    Document::of(logged).json
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query is not understood.
    #[error(transparent)]
    Query(#[from] Invalid),
    /// Elasticsearch did not answer it.
    #[error(transparent)]
    Elasticsearch(#[from] elasticsearch::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Failed),
}

/// A search that goes on page by page.
pub struct Search<'a> {
    place: Place<'a>,
    query: Query,
}

enum Place<'a> {
    Elasticsearch(Connection),
    Log { reader: &'a Reader, expression: Expression },
}

impl<'a> Search<'a> {
    /// In Elasticsearch.
    pub fn in_elasticsearch(connection: Connection, query: Query) -> Self {
        Self { place: Place::Elasticsearch(connection), query }
    }

    /// Over the log, through the daemon or not.
    ///
    /// # Errors
    /// What in the query is not understood.
    pub fn over_log(reader: &'a Reader, query: Query) -> Result<Self, Error> {
        let expression = Expression::parse(&query.text)?;
        Ok(Self { place: Place::Log { reader, expression }, query })
    }

    /// The next hits, at most `most` (1 to 1,000). Nothing only where there are no more; a page may be short.
    ///
    /// # Errors
    /// All of [`Error`].
    pub async fn page(&mut self, most: usize) -> Result<Vec<Hit>, Error> {
        let hits = match &self.place {
            Place::Elasticsearch(connection) => in_elasticsearch(connection, &self.query, most).await?,
            Place::Log { reader, expression } => over_log(reader, expression, &self.query, most).await?,
        };
        if let Some(last) = hits.last() {
            self.query.after = Some(last.after.clone());
        }
        Ok(hits)
    }
}

async fn in_elasticsearch(connection: &Connection, query: &Query, most: usize) -> Result<Vec<Hit>, Error> {
    let search = elasticsearch::Search {
        text: &query.text,
        fields: &DEFAULT_FIELDS,
        since: query.since,
        until: query.until,
        newest_first: query.newest_first,
        after: query.after.as_deref(),
        most,
    };
    let found = search.run(connection).await?;
    Ok(found.into_iter().map(|(id, after, document)| Hit { id, after, document }).collect())
}

/// Reads on until there are enough.
async fn over_log(reader: &Reader, expression: &Expression, query: &Query, most: usize) -> Result<Vec<Hit>, Error> {
    let place =
        |word: &str| word.parse().map_err(|_| Invalid::new("after", word, "a place in the log that a hit told"));
    let after = query.after.as_deref().map(place).transpose()?;
    let mut filter = Filter {
        since: query.since,
        until: query.until,
        newest_first: query.newest_first,
        after,
        limit: Some(MAX_LIMIT),
        ..Filter::default()
    };
    let mut hits = Vec::new();
    loop {
        let page = reader.events(&filter).await?;
        for row in &page.events {
            hits.extend(hit(row, expression));
            if hits.len() == most {
                return Ok(hits);
            }
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return Ok(hits),
        }
    }
}

fn hit(row: &Row, expression: &Expression) -> Option<Hit> {
    let document = Document::of(&row.logged);
    let found = expression.matches(&document);
    found.then(|| Hit {
        id: row.logged.event.id.to_string(),
        after: row.logged.offset.to_string(),
        document: document.json,
    })
}
