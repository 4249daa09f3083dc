//! `watchpost sessions diff`.

use serde::Serialize;

use super::view::compare::compare;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::config::Environment;
use crate::event::StreamId;
use crate::state::session::{Diff, diff};

/// Print what differs between two sessions: nodes added and removed, slower and faster, failed and mended.
///
/// Nodes are told by their path. One is slower where it took at least half as long again, and 100 ms more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions diff 019a0c3e latest
  watchpost sessions diff 019a0c3e 019a0d12 --json | jq .newly_failed")]
pub(super) struct Args {
    /// The first: its id, the beginning of it where that is unique, or `latest`.
    #[arg(value_name = "A", value_parser = super::wanted)]
    a: String,
    /// The second, likewise.
    #[arg(value_name = "B", value_parser = super::wanted)]
    b: String,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let (a, b) = (reader.session(&args.a, None).await?, reader.session(&args.b, None).await?);
    let diff = diff(&a.state, &b.state);
    if args.json {
        #[derive(Serialize)]
        struct Told {
            a: StreamId,
            b: StreamId,
            #[serde(flatten)]
            diff: Diff,
        }
        out.json(&Told { a: a.session.id, b: b.session.id, diff })?;
        return Ok(Exit::Ok);
    }
    let columns = out.size().map(|(columns, _)| columns);
    for line in compare(&a.session, &b.session, &diff) {
        let line = columns.map_or(line.clone(), |columns| line.cut(columns));
        out.line(line.render(out.colour))?;
    }
    Ok(Exit::Ok)
}
