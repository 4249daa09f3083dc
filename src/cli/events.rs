//! `watchpost events`.

use uuid::Uuid;

use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line};
use super::out::Out;
use super::{filter, reach};
use crate::api::events::Row;
use crate::api::filter::{Begin, Filter, MAX_LIMIT};
use crate::client::{Client, Followed, Reader};
use crate::config::Environment;
use crate::event::{Offset, Timestamp};

/// Query, follow and show the events of the log.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    reach: reach::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print events, the oldest first; from the daemon, or from the store where none runs. Times are UTC.
    #[command(after_help = "Examples:
  watchpost events query --since 1h -t crashed
  watchpost events query -p default/api --reverse --limit 20
  watchpost events query --subject 'core.process.*.api.>' --json | jq .exit_code")]
    Query(Query),
    /// Print events of the daemon as they come. Times are UTC.
    #[command(after_help = "Examples:
  watchpost events follow
  watchpost events follow --from start -p api --json
  watchpost events follow --since 10m -t crashed --limit 1")]
    Follow(Follow),
    /// Print one event whole; exit code 1 where there is none.
    #[command(after_help = "Example:
  watchpost events show 019a0c3e-7b1a-7c3d-9e4f-0123456789ab")]
    Show {
        /// The event's id.
        id: Uuid,
        /// On one line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Query {
    #[command(flatten)]
    filter: filter::Args,
    /// That happened before this time.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    until: Option<Timestamp>,
    /// The newest first.
    #[arg(long)]
    reverse: bool,
    /// So many at most.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Go on with what comes, from the daemon.
    #[arg(long, conflicts_with_all = ["reverse", "until"])]
    follow: bool,
}

#[derive(Debug, clap::Args)]
struct Follow {
    #[command(flatten)]
    filter: filter::Args,
    /// Where to begin: start, now, or an offset [default: now; with --since: start].
    #[arg(long, value_name = "PLACE", value_parser = place)]
    from: Option<Begin>,
    /// End after so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    match &args.command {
        Command::Query(Query { follow: true, filter, limit, json, .. }) => {
            let filter = Filter { from: Some(Begin::Start), ..filter.filter()? };
            follow(&args.reach.client(environment)?, &filter, *limit, *json, Clock::Date, out).await
        }
        Command::Query(query) => {
            let filter = Filter { until: query.until, newest_first: query.reverse, ..query.filter.filter()? };
            let reader = args.reach.reader(environment).await?;
            list(&reader, filter, query.limit, query.json, out).await
        }
        Command::Follow(Follow { filter, from, limit, json }) => {
            let mut filter = filter.filter()?;
            filter.from = from.or_else(|| filter.since.map(|_| Begin::Start));
            follow(&args.reach.client(environment)?, &filter, *limit, *json, Clock::Date, out).await
        }
        Command::Show { id, json } => {
            let found = args.reach.reader(environment).await?.event(*id).await?;
            show(*id, found, *json, out)
        }
    }
}

/// Prints page after page until there is none, or until there are enough.
async fn list(reader: &Reader, mut filter: Filter, limit: Option<u64>, json: bool, out: &mut Out) -> Outcome {
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        filter.limit = Some(usize::try_from(left).unwrap_or(MAX_LIMIT).min(MAX_LIMIT));
        let page = reader.events(&filter).await?;
        for row in &page.events {
            print(row, json, Clock::Date, out)?;
        }
        left -= page.events.len() as u64;
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// Prints what comes until there is enough.
pub(super) async fn follow(
    client: &Client,
    filter: &Filter,
    limit: Option<u64>,
    json: bool,
    clock: Clock,
    out: &mut Out,
) -> Outcome {
    let mut follow = client.follow(filter);
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        match follow.next().await? {
            Followed::Event(row) => {
                print(&row, json, clock, out)?;
                out.flush()?;
                left -= 1;
            }
            Followed::Gap { from, until } => {
                tracing::warn!("the events {from} to {} are not in the store any more", until - 1);
            }
            Followed::Lost(error) => tracing::warn!("{error}; trying again"),
        }
    }
    Ok(Exit::Ok)
}

fn print(row: &Row, json: bool, clock: Clock, out: &mut Out) -> Result<(), Failure> {
    let colour = out.colour;
    match json {
        true => out.line(&row.json)?,
        false => out.line(line(&row.logged.event, clock, colour))?,
    }
    Ok(())
}

fn show(id: Uuid, found: Option<Row>, json: bool, out: &mut Out) -> Outcome {
    let row = found.ok_or_else(|| Failure::says(Exit::Found, format!("there is no event {id}")))?;
    let whole: serde_json::Value =
        serde_json::from_str(&row.json).map_err(|error| Failure::new(Exit::Internal, error))?;
    match json {
        true => out.line(&row.json)?,
        false => out.line(format!("{whole:#}"))?,
    }
    Ok(Exit::Ok)
}

fn place(text: &str) -> Result<Begin, String> {
    match text {
        "start" => Ok(Begin::Start),
        "now" => Ok(Begin::Now),
        _ => text.parse::<Offset>().map(Begin::Offset).map_err(|_| "start, now or an offset".into()),
    }
}
