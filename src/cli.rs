//! The command line. Each command has a file; what they share is here.

mod adapter;
mod audit;
mod catalog;
mod completions;
mod config;
mod demo;
mod dlq;
mod elasticsearch;
mod events;
mod exit;
mod filter;
mod line;
mod live;
mod log;
mod out;
mod reach;
mod run;
mod search;
mod sessions;
mod sinks;
mod store;
mod styled;
mod watch;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

pub use exit::{Exit, Failure, Outcome};
pub use out::{Colour, Out};

use crate::config::Environment;
use crate::telemetry::Slots;

/// Watches supervised processes and records long sessions of work: commits every event durably and in order, and
/// delivers it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to use colour: auto (on a terminal, unless NO_COLOR is set), always or never.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        hide_possible_values = true
    )]
    color: Colour,
    /// What to log to the standard error: error, warn, info, debug, or a filter such as watchpost=debug
    /// [env: WATCHPOST_LOG] [default: info for the daemon, else warn].
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    Adapter(adapter::Args),
    Watch(watch::Args),
    Events(events::Args),
    Search(search::Args),
    Sessions(sessions::Args),
    Sinks(sinks::Args),
    Dlq(dlq::Args),
    Elasticsearch(elasticsearch::Args),
    Audit(audit::Args),
    Store(store::Args),
    Catalog(catalog::Args),
    Config(config::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

impl Cli {
    /// Runs the command to its end: prints what it has to say, then its error, and gives the exit code.
    pub fn run(&self, environment: Environment) -> ExitCode {
        let mut out = Out::standard(self.color, &environment);
        let outcome = self.start(&environment, &mut out);
        let flushed = out.flush().map_err(Failure::from);
        let exit = match outcome.and_then(|exit| flushed.map(|()| exit)) {
            Ok(exit) => exit,
            Err(Failure { exit, error }) => {
                error.iter().for_each(complain);
                exit
            }
        };
        ExitCode::from(exit.code())
    }

    fn start(&self, environment: &Environment, out: &mut Out) -> Outcome {
        let log = log::start(self.log.as_deref(), self.command.usual_log(), environment)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, error))?;
        let outcome = runtime.block_on(self.command.run(environment, &log, out));
        // After a forced drain a thread may hang in the disk: it is not waited for.
        runtime.shutdown_timeout(Duration::from_millis(100));
        outcome
    }
}

impl Command {
    /// What is logged where nobody said: a daemon tells of its course, a command of what went wrong. The NATS
    /// client is silent: whoever uses a connection tells of its loss, and goes on trying where the client gives up.
    /// So is the OpenTelemetry SDK: what it cannot export is told by our exporters.
    fn usual_log(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Adapter(_) => "warn,watchpost=info,async_nats=off,opentelemetry=off",
            Self::Demo(_) => "error,async_nats=off",
            Self::Watch(_) => "warn,watchpost::consumer=info,async_nats=off",
            _ => "warn",
        }
    }

    /// Runs the command; what it has to say goes to `out`.
    async fn run(&self, environment: &Environment, log: &Slots, out: &mut Out) -> Outcome {
        match self {
            Self::Run(args) => run::run(args, environment, log).await,
            Self::Adapter(args) => adapter::run(args, environment, log).await,
            Self::Watch(args) => watch::run(args, environment, out).await,
            Self::Events(args) => events::run(args, environment, out).await,
            Self::Search(args) => search::run(args, environment, out).await,
            Self::Sessions(args) => sessions::run(args, environment, out).await,
            Self::Sinks(args) => sinks::run(args, environment, out).await,
            Self::Dlq(args) => dlq::run(args, environment, out).await,
            Self::Elasticsearch(args) => elasticsearch::run(args, environment, out).await,
            Self::Audit(args) => audit::run(args, environment, out).await,
            Self::Store(args) => store::run(args, environment, out),
            Self::Catalog(args) => catalog::run(args, out),
            Self::Config(args) => config::run(args, environment, out),
            Self::Demo(args) => demo::run(args, environment, out).await,
            Self::Completions(args) => completions::run(args, out),
        }
    }
}

/// Prints an error with its causes to the standard error.
fn complain(error: &anyhow::Error) {
    // Where that cannot be written either, the exit code says it.
    let _nobody_hears = writeln!(std::io::stderr(), "error: {error:#}");
}
