//! `watchpost sessions close`: ends a session that nobody will resume.

use super::super::exit::{Exit, Outcome};
use super::super::out::Out;
use super::super::reach;
use super::{Which, one};
use crate::client::sessions::{End, Verdict};
use crate::config::Environment;

/// End a session whose writer is gone for good, such as an interrupted one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  watchpost sessions close 019a0c3e --reason 'the machine was replaced'")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// How it ended: failed or completed.
    #[arg(long, value_name = "STATUS", default_value = "failed", value_parser = status)]
    status: Verdict,
    /// Why it is closed.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn status(text: &str) -> Result<Verdict, String> {
    match text {
        "completed" => Ok(Verdict::Completed),
        "failed" => Ok(Verdict::Failed),
        _ => Err("completed or failed".into()),
    }
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = reach.reader(environment).await?;
    let id = one(&reader, &args.which).await?.id;
    let end = End { status: args.status, reason: args.reason.clone(), ..End::default() };
    reader.close_session(&id, end).await?;
    out.line(format!("{id} is closed"))?;
    Ok(Exit::Ok)
}
