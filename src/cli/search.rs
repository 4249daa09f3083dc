//! `watchpost search`.

use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line_of_hit};
use super::out::Out;
use super::{filter, reach};
use crate::config::Environment;
use crate::elasticsearch::Connection;
use crate::event::Timestamp;
use crate::search::{Error, Query, Search};

/// The most hits that one page has.
const PAGE: usize = 1000;

/// Find events by the fields of their documents, the oldest first: in Elasticsearch where the configuration has it,
/// else in the log. Times are UTC.
///
/// The query is Elasticsearch's query_string syntax. Over the log this part of it is understood: field:value,
/// field:"several words", field:(one OR other), * and ? in a value, field:* (it is there), [a TO b], {a TO b},
/// from a number or a time on (field:>=5), AND, OR, NOT, +, -, and parentheses; write them where AND and OR meet. A
/// word alone is looked for in the text, the event's name, its id, its stream and its process. `attributes.` may be
/// left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost search 'event_name:process.crashed AND watchpost.process.name:api' --since 1d
  watchpost search 'severity_number:>=17 NOT event_name:session.*'
  watchpost search 'body.text:\"exit code 143\"' --reverse --limit 20 --json")]
pub(super) struct Args {
    /// What to look for; nothing means everything.
    #[arg(default_value = "*", hide_default_value = true)]
    query: String,
    /// That happened at this time or later: RFC 3339, or 10m, 2h, 1d ago.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    since: Option<Timestamp>,
    /// That happened before this time.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    until: Option<Timestamp>,
    /// The newest first.
    #[arg(long)]
    reverse: bool,
    /// So many at most.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on behind a hit, by its `after` of --json.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// One JSON object a line: the id, the place and the document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: reach::Args,
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let query = Query {
        text: args.query.clone(),
        since: args.since,
        until: args.until,
        newest_first: args.reverse,
        after: args.after.clone(),
    };
    let settings = args.reach.settings(environment)?;
    match &settings.elasticsearch {
        Some(there) if !args.reach.names_log() => {
            let connection = Connection::new(there)?;
            print(Search::in_elasticsearch(connection, query), args, out).await
        }
        _ => {
            let reader = args.reach.reader(environment).await?;
            print(Search::over_log(&reader, query)?, args, out).await
        }
    }
}

/// Prints page after page until there is none, or until there are enough.
async fn print(mut search: Search<'_>, args: &Args, out: &mut Out) -> Outcome {
    let colour = out.colour;
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let hits = search.page(usize::try_from(left).unwrap_or(PAGE).min(PAGE)).await?;
        if hits.is_empty() {
            break;
        }
        for hit in &hits {
            match args.json {
                true => out.json(hit)?,
                false => out.line(line_of_hit(hit, Clock::Date, colour))?,
            }
        }
        left -= hits.len() as u64;
    }
    Ok(Exit::Ok)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => Self::new(Exit::Usage, error),
            Error::Elasticsearch(error) => error.into(),
            Error::Log(error) => error.into(),
        }
    }
}
