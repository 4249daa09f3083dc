//! The log, on the standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::exit::{Exit, Failure};
use crate::config::Environment;

/// Starts the log. `filter` is what an option said; without it the environment, else `usual`.
pub(super) fn start(filter: Option<&str>, usual: &str, environment: &Environment) -> Result<(), Failure> {
    let words = filter.or_else(|| environment.get("WATCHPOST_LOG").map(String::as_str)).unwrap_or(usual);
    let filter = EnvFilter::try_new(words).map_err(|error| {
        Failure::says(Exit::Usage, format!("--log: expected a level or a filter, found `{words}` ({error})"))
    })?;
    let plain = environment.get("NO_COLOR").is_some_and(|word| !word.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(!plain && io::stderr().is_terminal())
        .with_target(false)
        .finish();
    // A second one in the same process (a test) keeps the first.
    let _already = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
