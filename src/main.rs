//! The `watchpost` binary: arguments, environment and exit code. Everything else is the library's.

use std::process::ExitCode;

use clap::Parser;
use watchpost::cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, word)| Some((name.into_string().ok()?, word.into_string().ok()?)))
        // An empty variable is as if it were not there.
        .filter(|(_, word)| !word.is_empty())
        .collect();
    cli::Cli::parse().run(environment)
}
