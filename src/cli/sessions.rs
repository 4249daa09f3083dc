//! `watchpost sessions`. Each command has a file; what they share is here.

mod close;
mod diff;
mod emit;
pub(super) mod follow;
mod list;
mod outlet;
pub(super) mod pages;
mod prune;
mod record;
mod replay;
mod run;
mod show;
pub(super) mod view;
pub(super) mod watching;

use super::exit::{Failure, Outcome};
use super::out::Out;
use super::reach;
use crate::client::Reader;
use crate::config::Environment;
use crate::event::StreamId;
use crate::store::SessionInfo;

/// Record sessions; list, show, follow, replay and compare them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    reach: reach::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Follow(follow::Args),
    Replay(replay::Args),
    Diff(diff::Args),
    Run(run::Args),
    Emit(emit::Args),
    Record(record::Args),
    Close(close::Args),
    Prune(prune::Args),
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reach = &args.reach;
    match &args.command {
        Command::List(args) => list::run(args, reach, environment, out).await,
        Command::Show(args) => show::run(args, reach, environment, out).await,
        Command::Follow(args) => follow::run(args, reach, environment, out).await,
        Command::Replay(args) => replay::run(args, reach, environment, out).await,
        Command::Diff(args) => diff::run(args, reach, environment, out).await,
        Command::Run(args) => run::run(args, reach, environment).await,
        Command::Emit(args) => emit::run(args, reach, environment).await,
        Command::Record(args) => record::run(args, reach, environment, out).await,
        Command::Close(args) => close::run(args, reach, environment, out).await,
        Command::Prune(args) => prune::run(args, reach, environment, out).await,
    }
}

/// Which session: an id, the beginning of one, or the latest.
#[derive(Debug, clap::Args)]
struct Which {
    /// Its id, the beginning of it where that is unique, or `latest`.
    #[arg(value_name = "ID", required_unless_present = "latest", value_parser = wanted)]
    id: Option<String>,
    /// The one that began last.
    #[arg(long, conflicts_with = "id")]
    latest: bool,
}

/// The session that is meant, as a whole.
async fn one(reader: &Reader, which: &Which) -> Result<SessionInfo, Failure> {
    // Its state is of no interest: that of the first event costs nothing.
    Ok(reader.session(which.wanted(), Some(1)).await?.session)
}

/// An id, the beginning of one, or `latest`: all of them are made of what an id is made of.
fn wanted(text: &str) -> Result<String, String> {
    StreamId::new(text).map(|id| id.to_string()).map_err(|error| error.expected)
}

impl Which {
    /// What was asked for, as the API takes it.
    fn wanted(&self) -> &str {
        self.id.as_deref().unwrap_or("latest")
    }
}
