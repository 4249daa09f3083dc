//! `watchpost sessions replay`.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::Which;
use super::pages::Pages;
use super::view::whole::whole;
use super::watching::{Present, Watching};
use crate::api::events::Row;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::cli::styled::{Line, Style};
use crate::client::sessions::Shown;
use crate::config::Environment;
use crate::event::Timestamp;
use crate::otel::body::amount::things;
use crate::state::session::rates;

/// The longest pause between two events.
const PAUSE: Duration = Duration::from_secs(5);
/// Of the parts of each part so many are shown at least.
const MOST: usize = 20;

/// Play a session again from its first event, and print the state that results. Times are UTC.
///
/// The same events give the same state: its hash is told below. On a terminal a bar for each level stands below the
/// events.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions replay latest --speed 4
  watchpost sessions replay 019a0c3e --until 120
  watchpost sessions replay latest --json | jq -r .hash")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// So many times as fast as it was, with pauses of 5 s at most [default: as fast as it can be read].
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    speed: Option<f64>,
    /// End with this event.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// Print the state alone, as one JSON object.
    #[arg(long, conflicts_with = "speed")]
    json: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| "a number from 0.01 to 10000".into())
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let session = super::one(&reader, &args.which).await?;
    let until = args.until.unwrap_or(u64::MAX).min(session.events);
    let mut watching = Watching::new(false, Present::Then);
    let mut pages = Pages::new(&reader, &session.id, 1..until + 1);
    let mut before = None;
    while let Some(page) = pages.next().await? {
        for row in &page {
            if args.json {
                watching.skip(row);
                continue;
            }
            if let Some(speed) = args.speed {
                pause(row, &mut before, speed, &mut watching, out).await?;
            }
            watching.take(row, out)?;
        }
    }
    watching.end(out)?;
    let state = watching.state();
    let (hash, view) = (state.hash(), state.view());
    let now = view.updated.unwrap_or(session.start);
    let rates = rates(state, now);
    if args.json {
        #[derive(Serialize)]
        struct Replayed {
            #[serde(flatten)]
            shown: Shown,
            hash: String,
        }
        out.json(&Replayed { shown: Shown { session, state: view, rates }, hash })?;
        return Ok(Exit::Ok);
    }
    out.line("")?;
    for line in whole(&session, &view, &rates, MOST, now) {
        out.line(line.render(out.colour))?;
    }
    out.line("")?;
    let state = format!("state {hash} after {}", things(until, "event"));
    out.line(Line::of(Style::Dim, state).render(out.colour))?;
    Ok(Exit::Ok)
}

/// Waits for as long as it took from the event before, at that speed.
async fn pause(
    row: &Row,
    before: &mut Option<Timestamp>,
    speed: f64,
    watching: &mut Watching,
    out: &mut Out,
) -> Result<(), Failure> {
    let at = row.logged.event.ts;
    let passed = before.replace(at).map_or(0, |before| at.as_millis().saturating_sub(before.as_millis()));
    let mut left = Duration::from_secs_f64(passed.max(0) as f64 / 1000.0 / speed).min(PAUSE);
    while !left.is_zero() {
        let part = watching.show(out)?.min(left);
        sleep(part).await;
        left -= part;
    }
    Ok(())
}
