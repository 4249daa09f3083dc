//! `watchpost sessions show`.

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::config::Environment;

/// Print where a session stands: its levels and nodes, its slowest path, its failures, its tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: super::Which,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let _not_yet = (args.which.wanted(), reach.settings(environment)?, out);
    Err(Failure::says(Exit::Internal, "not there yet"))
}
