//! `watchpost sessions list`.

use super::view::list::lines;
use crate::api::sessions::list;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::{filter, reach};
use crate::config::Environment;
use crate::event::Timestamp;
use crate::store::{SessionPage, SessionQuery, Status};

/// So many sessions are read at a time.
const PAGE: usize = 200;

/// Print the sessions, the newest first. Times are UTC.
///
/// The status is active, completed, failed, or interrupted: its writer is gone, and may come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions list --status active,interrupted
  watchpost sessions list --since 1d --command generate --limit 20
  watchpost sessions list --json | jq -r .id")]
pub(super) struct Args {
    /// Of this status: active, completed, failed or interrupted; may be given several times.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<Status>,
    /// Started at this time or later: RFC 3339, or 10m, 2h, 1d ago.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    since: Option<Timestamp>,
    /// Started before this time.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    until: Option<Timestamp>,
    /// With this in its command, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Go on where a list with --limit ended, which says so.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

fn status(text: &str) -> Result<Status, String> {
    list::status(text).map_err(|error| error.expected)
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let mut query = SessionQuery {
        statuses: args.status.clone(),
        since: args.since,
        until: args.until,
        command: args.command.clone(),
        after: args.after.clone(),
        ..SessionQuery::default()
    };
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut heading = true;
    while left > 0 {
        query.limit = left.min(PAGE);
        let page = reader.sessions(&query).await?;
        print(&page, args.json, heading, out)?;
        heading = false;
        left -= page.sessions.len().min(left);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(Exit::Ok);
        }
    }
    if let (Some(next), false) = (query.after.filter(|_| args.limit != Some(0)), args.json) {
        out.line(format!("… there are more: --after {next}"))?;
    }
    Ok(Exit::Ok)
}

fn print(page: &SessionPage, json: bool, heading: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        for session in &page.sessions {
            out.json(session)?;
        }
        return Ok(());
    }
    let columns = out.size().map(|(columns, _)| columns);
    for line in lines(&page.sessions, Timestamp::now(), columns).into_iter().skip(usize::from(!heading)) {
        out.line(line.render(out.colour))?;
    }
    Ok(())
}
