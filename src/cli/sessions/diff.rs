//! `watchpost sessions diff`.

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::config::Environment;

/// Print what differs between two sessions.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The one before.
    a: String,
    /// The one after.
    b: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let _not_yet = (args, reach.settings(environment)?, out);
    Err(Failure::says(Exit::Internal, "not there yet"))
}
