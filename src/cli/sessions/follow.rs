//! `watchpost sessions follow`.

use futures_util::FutureExt;
use tokio::time::sleep;

use super::Which;
use super::pages::Pages;
use super::watching::{Present, Watching};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::client::Followed;
use crate::client::sessions::Following;
use crate::config::Environment;

/// Print a session as it runs: what has happened, then what comes, up to its end. Times are UTC.
///
/// On a terminal a bar for each level stands below. With no daemon running, what the store has is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions follow --latest
  watchpost sessions follow 019a0c3e --from now
  watchpost sessions follow latest --json | jq -r .type")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Begin with this event: a seq, or now for what comes.
    #[arg(long, value_name = "SEQ", default_value = "1", value_parser = from)]
    from: From,
    /// One JSON object a line, with nothing below.
    #[arg(long)]
    json: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Seq(u64),
    Now,
}

fn from(text: &str) -> Result<From, String> {
    match text.parse() {
        Ok(seq) if seq > 0 => Ok(From::Seq(seq)),
        _ if text == "now" => Ok(From::Now),
        _ => Err("a seq, which is a whole number from 1, or now".into()),
    }
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let session = super::one(&reader, &args.which).await?;
    let from = match args.from {
        From::Seq(seq) => seq,
        From::Now => session.events + 1,
    };
    if from > session.events && session.end.is_some() {
        return Ok(Exit::Ok);
    }
    let mut watching = Watching::new(args.json, Present::Now);
    // What was before is of interest for the bars alone.
    let before = if args.json || out.size().is_none() { 1 } else { from.min(session.events + 1) };
    let mut pages = Pages::new(&reader, &session.id, 1..before);
    while let Some(page) = pages.next().await? {
        page.iter().for_each(|row| watching.skip(row));
    }
    follow(reader.follow_session(&session.id, from), &mut watching, out).await?;
    if !watching.ended() {
        tracing::warn!("no daemon runs here, so nothing more can come");
    }
    Ok(Exit::Ok)
}

/// Prints what comes until the session has ended, or until nothing more can come.
pub(in crate::cli) async fn follow(
    mut following: Following,
    watching: &mut Watching,
    out: &mut Out,
) -> Result<(), Failure> {
    while !watching.ended() {
        // What is there already is taken together, and shown when there is no more.
        let followed = match following.next().now_or_never() {
            Some(followed) => followed?,
            None => {
                let again = watching.show(out)?;
                tokio::select! {
                    followed = following.next() => followed?,
                    () = sleep(again) => continue,
                }
            }
        };
        match followed {
            Some(Followed::Event(row)) => watching.take(&row, out)?,
            Some(Followed::Gap { from, until }) => tracing::warn!("the events {from} to {} are gone", until - 1),
            Some(Followed::Lost(error)) => tracing::warn!("{error}; trying again"),
            None => break,
        }
    }
    Ok(watching.end(out)?)
}
