//! `watchpost completions`.

use clap::CommandFactory;

use super::exit::{Exit, Outcome};
use super::out::Out;

/// Print a completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost completions bash > /etc/bash_completion.d/watchpost
  watchpost completions zsh > ~/.zfunc/_watchpost
  watchpost completions fish > ~/.config/fish/completions/watchpost.fish")]
pub(super) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, out: &mut Out) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "watchpost", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
