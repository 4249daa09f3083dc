//! `watchpost sinks`.

use std::io;
use std::time::Duration;

use super::exit::{Exit, Failure, Outcome};
use super::out::{Out, table};
use super::reach;
use crate::client::{self, Client};
use crate::config::Environment;
use crate::deliver::{self, Circuit, State, Status};
use crate::event::Invalid;

/// Tell how far each sink is behind, what it is doing, and its last error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sinks
  watchpost sinks --follow
  watchpost sinks --json | jq 'select(.lag_events > 1000)'
  watchpost sinks reset otlp --from start")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    /// Print the daemon's sinks again as they change, once a second at most.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    reach: reach::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send again what a destination has lost: logs and spans over OTLP, and documents to Elasticsearch. They have
    /// the same ids as before. From behind what is confirmed it changes nothing, so nothing is skipped. Metrics are
    /// not reset: they are the present state.
    #[command(after_help = "Examples:
  watchpost sinks reset otlp --from start
  watchpost sinks reset otlp-spans --from 2026-01-31T12:00:00Z
  watchpost sinks reset elasticsearch --from 120000")]
    Reset {
        /// The sink, or what several begin with: `otlp` means `otlp-logs` and `otlp-spans`.
        name: String,
        /// Where to begin: start, an offset, or a time (of commit).
        #[arg(long, value_name = "start|OFFSET|TIME")]
        from: String,
    },
}

/// How often a follower looks.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    if let Some(Command::Reset { name, from }) = &args.command {
        return reset(args, name, from, environment, out).await;
    }
    if args.follow {
        return follow(&args.reach.client(environment)?, args.json, out).await;
    }
    let sinks = args.reach.reader(environment).await?.sinks().await?;
    print(&sinks, args.json, true, out)?;
    Ok(Exit::Ok)
}

async fn reset(args: &Args, name: &str, word: &str, environment: &Environment, out: &mut Out) -> Outcome {
    let from: deliver::From =
        word.parse().map_err(|error: Invalid| Failure::says(Exit::Usage, format!("--from: {error}")))?;
    for reset in args.reach.reader(environment).await?.reset(name, from, word).await? {
        match args.json {
            true => out.json(&reset)?,
            false => out.line(format!("{}: sends again from offset {} on", reset.sink, reset.offset))?,
        }
    }
    Ok(Exit::Ok)
}

/// Prints each sink, then those that have changed. The daemon must be there at first; later it may be away.
async fn follow(client: &Client, json: bool, out: &mut Out) -> Outcome {
    let (mut sinks, mut away) = (client.sinks().await?, false);
    print(&sinks, json, true, out)?;
    loop {
        out.flush()?;
        tokio::time::sleep(EVERY).await;
        match client.sinks().await {
            Ok(now) => {
                let changed: Vec<Status> = now.iter().filter(|sink| !sinks.contains(sink)).cloned().collect();
                print(&changed, json, false, out)?;
                (sinks, away) = (now, false);
            }
            Err(error @ client::Error::Unreachable { .. }) => {
                if !away {
                    tracing::warn!("{error}; trying again");
                }
                away = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(sinks: &[Status], json: bool, heading: bool, out: &mut Out) -> io::Result<()> {
    if json {
        return sinks.iter().try_for_each(|sink| out.json(sink));
    }
    let rows: Vec<Vec<String>> = sinks.iter().map(row).collect();
    let lines = table(&["SINK", "STATE", "LAG", "BEHIND", "DELIVERED", "DEAD", "LAST ERROR"], &rows);
    lines.iter().skip(usize::from(!heading)).try_for_each(|line| out.line(line))
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
