//! `watchpost store`: what needs the store itself, with no daemon running on it.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use super::config::{load, path};
use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use super::reach::open;
use super::run::flag;
use crate::config::{Base, Environment, Flag, Settings};
use crate::store::{self, Stats, Store};

/// Check, measure, export, import and compact a store. No daemon may run on it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The store's folder [default: that of the configuration].
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The configuration that says where it is [env: WATCHPOST_CONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prove every invariant; exit code 1, with each violation named, where one does not hold.
    #[command(after_help = "Example:
  watchpost store check --store /var/lib/watchpost")]
    Check,
    /// Tell how much is in it.
    #[command(after_help = "Example:
  watchpost store stats --json")]
    Stats,
    /// Write it as JSON Lines, to a file or to the standard output.
    #[command(after_help = "Examples:
  watchpost store export > events.jsonl
  watchpost store export backup.jsonl")]
    Export {
        /// The file, which must not be there yet.
        file: Option<PathBuf>,
    },
    /// Read an export into an empty store, from a file or from the standard input.
    #[command(after_help = "Example:
  watchpost store import --store /tmp/copy backup.jsonl")]
    Import {
        /// The file.
        file: Option<PathBuf>,
    },
    /// Give back the disk space of deleted events: copies the store beside itself, then swaps the two.
    #[command(after_help = "Example:
  watchpost store compact --store /var/lib/watchpost")]
    Compact,
}

pub(super) fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let settings = settings(args, environment)?;
    match &args.command {
        Command::Check => check(&open(&settings)?, args.json, out),
        Command::Stats => stats(&open(&settings)?.stats()?, args.json, out),
        Command::Export { file } => export(&open(&settings)?, file.as_ref(), out),
        Command::Import { file } => import(&settings, file.as_ref(), args.json, out),
        Command::Compact => {
            open(&settings)?;
            compact(&settings, args.json, out)
        }
    }
}

fn settings(args: &Args, environment: &Environment) -> Result<Settings, Failure> {
    let config = path(args.config.as_ref(), environment);
    let dir = args.store.as_ref().map(|dir| dir.to_string_lossy().into_owned());
    let flags: Vec<Flag> = flag("--store", "store.dir", dir).into_iter().collect();
    load(config.as_deref(), Base::Empty, environment, &flags)
}

fn check(store: &Store, json: bool, out: &mut Out) -> Outcome {
    let report = store.check()?;
    if json {
        out.json(&report)?;
    } else {
        for violation in &report.violations {
            out.line(violation)?;
        }
        let more = report.violated.saturating_sub(report.violations.len() as u64);
        if more > 0 {
            out.line(format!("… and {more} more"))?;
        }
        let (events, streams) = (report.events, report.streams);
        let found = if report.violated == 0 {
            "all invariants hold".into()
        } else {
            format!("{} violations", report.violated)
        };
        let s = if streams == 1 { "" } else { "s" };
        out.line(format!("{events} events in {streams} stream{s}: {found}"))?;
    }
    Ok(if report.violated == 0 { Exit::Ok } else { Exit::Found })
}

fn stats(stats: &Stats, json: bool, out: &mut Out) -> Outcome {
    if json {
        out.json(stats)?;
        return Ok(Exit::Ok);
    }
    let bytes = |bytes: u64| format!("{} ({bytes} bytes)", rounded(bytes));
    out.line(format!("events       {}", stats.next_offset - stats.first_offset))?;
    out.line(format!("offsets      {} to {}", stats.first_offset, stats.next_offset))?;
    out.line(format!("streams      {}", stats.streams))?;
    out.line(format!("indexed      up to {}", stats.indexed))?;
    out.line(format!("sender's ids {}", stats.ids))?;
    out.line(format!("live         {}", bytes(stats.live_bytes)))?;
    out.line(format!("on disk      {}", bytes(stats.disk_bytes)))?;
    if let Some(free) = stats.free_bytes {
        out.line(format!("free         {}", bytes(free)))?;
    }
    Ok(Exit::Ok)
}

/// A size in the unit in which it has at most three digits, with one decimal.
pub(super) fn rounded(bytes: u64) -> String {
    let unit = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match unit.into_iter().find(|(factor, _)| bytes >= *factor) {
        Some((factor, name)) => format!("{}.{} {name}", bytes / factor, bytes % factor * 10 / factor),
        None => format!("{bytes} B"),
    }
}

fn export(store: &Store, file: Option<&PathBuf>, out: &mut Out) -> Outcome {
    let (events, broken) = match file {
        Some(file) => {
            let fail = |error: io::Error| Failure::says(Exit::Unavailable, format!("{}: {error}", file.display()));
            let to = std::fs::File::create_new(file).map_err(fail)?;
            let mut to = Watched::new(io::BufWriter::new(&to));
            (store.export(&mut to)?, to.broken)
        }
        None => {
            let mut to = Watched::new(out.writer());
            let events = store.export(&mut to);
            (if to.broken { 0 } else { events? }, to.broken)
        }
    };
    if !broken {
        tracing::info!("{events} events written");
    }
    Ok(Exit::Ok)
}

fn import(settings: &Settings, file: Option<&PathBuf>, json: bool, out: &mut Out) -> Outcome {
    let mut from: Box<dyn BufRead> = match file {
        Some(file) => {
            let fail = |error: io::Error| Failure::says(Exit::Usage, format!("{}: {error}", file.display()));
            Box::new(io::BufReader::new(std::fs::File::open(file).map_err(fail)?))
        }
        None => Box::new(io::stdin().lock()),
    };
    let store = Store::open(&settings.store)?;
    let events = store.import(&mut from).map_err(|error| match error {
        store::Error::Corrupt(_) => Failure::new(Exit::Usage, error),
        _ => error.into(),
    })?;
    match json {
        true => out.json(&serde_json::json!({ "events": events }))?,
        false => out.line(format!("{events} events read"))?,
    }
    Ok(Exit::Ok)
}

fn compact(settings: &Settings, json: bool, out: &mut Out) -> Outcome {
    let compacted = store::compact(&settings.store)?;
    match json {
        true => out.json(&compacted)?,
        false => {
            let (before, after) = (rounded(compacted.before), rounded(compacted.after));
            out.line(format!("{before} before, {after} after"))?;
        }
    }
    Ok(Exit::Ok)
}

/// A writer that remembers that its reader is gone.
struct Watched<W> {
    inner: W,
    broken: bool,
}

impl<W> Watched<W> {
    fn new(inner: W) -> Self {
        Self { inner, broken: false }
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.broken |= result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.watch(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.watch(flushed)
    }
}
