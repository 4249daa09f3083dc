//! The log: on the standard error, and where own telemetry goes.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::exit::{Exit, Failure};
use crate::config::Environment;
use crate::telemetry::{self, Slots};

/// Starts the log. `filter` is what an option said; without it the environment, else `usual`. A command that starts
/// telemetry puts it into the slots.
pub(super) fn start(filter: Option<&str>, usual: &str, environment: &Environment) -> Result<Slots, Failure> {
    let words = filter.or_else(|| environment.get("WATCHPOST_LOG").map(String::as_str)).unwrap_or(usual);
    let filter = EnvFilter::try_new(words).map_err(|error| {
        Failure::says(Exit::Usage, format!("--log: expected a level or a filter, found `{words}` ({error})"))
    })?;
    let plain = environment.get("NO_COLOR").is_some_and(|word| !word.is_empty());
    let shown = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(!plain && io::stderr().is_terminal())
        .with_target(false);
    let (sent, slots) = telemetry::layers();
    let subscriber = tracing_subscriber::registry().with(sent).with(shown.with_filter(filter));
    // A second one in the same process (a test) keeps the first.
    let _already = tracing::subscriber::set_global_default(subscriber);
    Ok(slots)
}
