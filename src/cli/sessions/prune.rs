//! `watchpost sessions prune`: removes old sessions now.

use super::super::exit::{Exit, Outcome};
use super::super::line::printable;
use super::super::out::{Out, table};
use super::super::reach;
use crate::config::Environment;

/// Remove the ended sessions that are older than `store.keep_sessions`, or beyond `store.max_sessions`. The
/// daemon does it by itself from time to time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  watchpost sessions prune --dry-run")]
pub(super) struct Args {
    /// Print which would be removed, and leave them.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let sessions = reach.reader(environment).await?.prune_sessions(args.dry_run).await?;
    if args.json {
        sessions.iter().try_for_each(|session| out.json(session))?;
        return Ok(Exit::Ok);
    }
    let row = |session: &crate::store::SessionInfo| {
        let end = session.end.map_or_else(|| "-".into(), |end| end.to_string());
        vec![
            session.id.to_string(),
            session.start.to_string(),
            end,
            session.events.to_string(),
            printable(&session.command()),
        ]
    };
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    if !rows.is_empty() {
        table(&["ID", "START", "END", "EVENTS", "COMMAND"], &rows).iter().try_for_each(|line| out.line(line))?;
    }
    let done = if args.dry_run { "would be removed" } else { "removed" };
    out.line(format!("{} {done}", rows.len()))?;
    Ok(Exit::Ok)
}
