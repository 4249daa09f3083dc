//! `watchpost config`.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use crate::config::{self, Base, Environment, Flag, Settings, Sources};

/// Check, print and explain configurations.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read a file and tell every mistake in it (exit code 2), or that there is none.
    #[command(after_help = "Example:
  watchpost config check /etc/watchpost.yaml")]
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print a full configuration with comments; every key is in it.
    #[command(after_help = "Example:
  watchpost config example > watchpost.yaml")]
    Example,
    /// Print what is in force: the file, the environment and the defaults, with secrets masked.
    #[command(after_help = "Examples:
  watchpost config show --config /etc/watchpost.yaml
  WATCHPOST_STORE_DIR=/srv/events watchpost config show")]
    Show {
        /// The file [env: WATCHPOST_CONFIG]; without it, what `watchpost adapter` would run with.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    match &args.command {
        Command::Check { file } => {
            let settings = load(Some(file), Base::Empty, environment, &[])?;
            let sources = settings.process_compose.len();
            let supervisors = if sources == 1 { "supervisor" } else { "supervisors" };
            out.line(format!("{}: no mistakes ({sources} {supervisors}, {})", file.display(), sinks(&settings)))?;
        }
        Command::Example => out.text(&config::example())?,
        Command::Show { config } => {
            let config = path(config.as_ref(), environment);
            let base = if config.is_some() { Base::Empty } else { Base::Adapter };
            out.text(&config::show(&load(config.as_deref(), base, environment, &[])?))?;
        }
    }
    Ok(Exit::Ok)
}

/// The configuration that an option names, else the environment.
pub(super) fn path(option: Option<&PathBuf>, environment: &Environment) -> Option<PathBuf> {
    option.cloned().or_else(|| environment.get("WATCHPOST_CONFIG").map(PathBuf::from))
}

/// The most bytes that a configuration may have.
const MAX_FILE: u64 = 1 << 20;

/// Reads settings; warnings go to the log, mistakes are a failure of usage.
pub(super) fn load(
    file: Option<&Path>,
    base: Base,
    environment: &Environment,
    flags: &[Flag],
) -> Result<Settings, Failure> {
    let text = file.map(read).transpose()?;
    let name = file.map(|file| file.display().to_string()).unwrap_or_default();
    let file = text.as_deref().map(|text| (name.as_str(), text));
    let sources = Sources { base, file, environment, flags };
    let (settings, warnings) = config::load(&sources).map_err(|error| Failure::new(Exit::Usage, error))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let failure = |error: String| Failure::says(Exit::Usage, format!("{}: {error}", file.display()));
    let mut text = String::new();
    let open = std::fs::File::open(file).map_err(|error| failure(error.to_string()))?;
    let read = open.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failure(error.to_string()))?;
    if read as u64 > MAX_FILE {
        return Err(failure(format!("a configuration of more than {}", config::write_size(MAX_FILE))));
    }
    Ok(text)
}

/// Where events go, in a few words.
fn sinks(settings: &Settings) -> String {
    let elasticsearch = settings.elasticsearch.as_ref().is_some_and(|sink| sink.deliver);
    let there = [
        ("JetStream", settings.jetstream.is_some()),
        ("OTLP", settings.otlp.is_some()),
        ("Elasticsearch", elasticsearch),
    ];
    let names: Vec<&str> = there.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    if names.is_empty() { "no sink".into() } else { names.join(", ") }
}
