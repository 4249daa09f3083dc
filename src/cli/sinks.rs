//! `watchpost sinks`.

use super::exit::{Exit, Outcome};
use super::out::{Out, table};
use super::reach;
use crate::config::Environment;
use crate::deliver::{Circuit, State, Status};

/// Tell how far each sink is behind, what it is doing, and its last error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sinks
  watchpost sinks --json | jq 'select(.lag_events > 1000)'")]
pub(super) struct Args {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: reach::Args,
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let sinks = args.reach.reader(environment).await?.sinks().await?;
    if args.json {
        for sink in &sinks {
            out.json(sink)?;
        }
    } else {
        let rows: Vec<Vec<String>> = sinks.iter().map(row).collect();
        for line in table(&["SINK", "STATE", "LAG", "BEHIND", "DELIVERED", "DEAD", "LAST ERROR"], &rows) {
            out.line(line)?;
        }
    }
    Ok(Exit::Ok)
}

fn row(status: &Status) -> Vec<String> {
    let error = status.last_error.as_ref();
    vec![
        status.sink.to_string(),
        state(status).into(),
        status.lag_events.to_string(),
        format!("{:.1} s", status.lag_seconds),
        status.delivered.to_string(),
        status.dead_lettered.to_string(),
        error.map_or_else(
            || "-".into(),
            |error| format!("{} {}", error.time, super::line::printable(&error.message)),
        ),
    ]
}

fn state(status: &Status) -> &'static str {
    match (status.breaker, status.state) {
        (Circuit::Open, State::Waiting) => "open",
        (_, State::Starting) => "starting",
        (_, State::Delivering) => "delivering",
        (_, State::Idle) => "idle",
        (_, State::Waiting) => "waiting",
        (_, State::Stopped) => "stopped",
    }
}
