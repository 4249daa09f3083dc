//! `watchpost sessions show`.

use super::Which;
use super::view::whole::whole;
use crate::api::sessions::present;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::config::Environment;

/// Of the parts of each part so many are shown at least.
const MOST: usize = 20;

/// Print how a session stands: its levels and nodes, its slowest path, its failures, its tokens. Times are UTC.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions show latest
  watchpost sessions show 019a0c3e --all
  watchpost sessions show latest --json | jq .state.counts")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// As it stood after this event.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// Show every node of a level, not only those that failed or go on and the longest ones.
    #[arg(long)]
    all: bool,
    /// As one JSON object: the session, its state and its rates.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let shown = reader.session(args.which.wanted(), args.until).await?;
    if args.json {
        out.json(&shown)?;
        return Ok(Exit::Ok);
    }
    let most = if args.all { usize::MAX } else { MOST };
    let columns = out.size().map(|(columns, _)| columns);
    let now = present(&shown.session, args.until);
    let now = shown.state.updated.map_or(now, |updated| now.max(updated));
    for line in whole(&shown.session, &shown.state, &shown.rates, most, now) {
        let line = columns.map_or(line.clone(), |columns| line.cut(columns));
        out.line(line.render(out.colour))?;
    }
    Ok(Exit::Ok)
}
