//! `watchpost dlq`: the dead letters.

use uuid::Uuid;

use super::exit::{Exit, Failure, Outcome};
use super::line::printable;
use super::out::{Out, table};
use super::reach;
use crate::api::dead_letters::Letter;
use crate::client::Reader;
use crate::config::Environment;
use crate::dead_letter::{Count, Filter, Kind};
use crate::event::Event;

/// So many letters are read at a time.
const PAGE: usize = 100;

/// List, show, retry and discard dead letters: what a sink refused for good, and events that came too late.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost dlq list --sink jetstream
  watchpost dlq retry-all --sink jetstream --dry-run
  watchpost dlq discard 019a0c3e-7b1a-7c3d-9e4f-0123456789ab")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    reach: reach::Args,
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print them, the oldest first.
    #[command(after_help = "Example:
  watchpost dlq list --sink jetstream --limit 20")]
    List {
        #[command(flatten)]
        which: Which,
        /// So many at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Print one whole, with its event; exit code 1 where there is none.
    #[command(after_help = "Example:
  watchpost dlq show 019a0c3e-7b1a-7c3d-9e4f-0123456789ab")]
    Show {
        /// Its id.
        id: Uuid,
    },
    /// Ask for some to be sent again. With no daemon running, it is done when the next one starts.
    #[command(after_help = "Example:
  watchpost dlq retry 019a0c3e-7b1a-7c3d-9e4f-0123456789ab")]
    Retry(Chosen),
    /// Ask for all of them to be sent again.
    #[command(after_help = "Example:
  watchpost dlq retry-all --sink jetstream --dry-run")]
    RetryAll {
        #[command(flatten)]
        which: Which,
        /// Print what would be retried, and leave it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Throw some away for good. Their events stay in the log.
    #[command(after_help = "Example:
  watchpost dlq discard 019a0c3e-7b1a-7c3d-9e4f-0123456789ab --dry-run")]
    Discard(Chosen),
    /// Count them, by kind and sink.
    #[command(after_help = "Example:
  watchpost dlq stats --json")]
    Stats,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Of this kind: delivery, or late for events that came after their session had ended.
    #[arg(long)]
    kind: Option<Kind>,
    /// For this sink.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Their ids.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Uuid>,
    /// Print what it would be done to, and leave it.
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    fn filter(&self) -> Filter {
        Filter { kind: self.kind, sink: self.sink.clone() }
    }
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let reader = args.reach.reader(environment).await?;
    match &args.command {
        Command::List { which, limit } => list(&reader, &which.filter(), *limit, args.json, out).await,
        Command::Show { id } => {
            let letter = reader.dead_letter(*id).await?;
            let whole = serde_json::to_value(&letter).map_err(|error| Failure::new(Exit::Internal, error))?;
            match args.json {
                true => out.json(&letter)?,
                false => out.line(format!("{whole:#}"))?,
            }
            Ok(Exit::Ok)
        }
        Command::Retry(chosen) => {
            let mut letters = 0;
            for id in &chosen.ids {
                letters += if chosen.dry_run { look(&reader, *id).await? } else { reader.retry(*id).await? };
            }
            done("will be sent again", letters, chosen.dry_run, args.json, out)
        }
        Command::RetryAll { which, dry_run: true } => list(&reader, &which.filter(), None, args.json, out).await,
        Command::RetryAll { which, .. } => {
            let letters = reader.retry_all(&which.filter()).await?;
            done("will be sent again", letters, false, args.json, out)
        }
        Command::Discard(chosen) => {
            let mut letters = 0;
            for id in &chosen.ids {
                letters += if chosen.dry_run { look(&reader, *id).await? } else { reader.discard(*id).await? };
            }
            done("discarded", letters, chosen.dry_run, args.json, out)
        }
        Command::Stats => stats(&reader.dead_letter_stats().await?, args.json, out),
    }
}

/// That a letter is there.
async fn look(reader: &Reader, id: Uuid) -> Result<u64, Failure> {
    reader.dead_letter(id).await?;
    Ok(1)
}

fn done(what: &str, letters: u64, dry_run: bool, json: bool, out: &mut Out) -> Outcome {
    let would = if dry_run { " (dry run: nothing was done)" } else { "" };
    match json {
        true => out.json(&serde_json::json!({ "letters": letters, "dry_run": dry_run }))?,
        false => out.line(format!("{letters} {what}{would}"))?,
    }
    Ok(Exit::Ok)
}

async fn list(reader: &Reader, filter: &Filter, limit: Option<usize>, json: bool, out: &mut Out) -> Outcome {
    let (mut left, mut after, mut heading) = (limit.unwrap_or(usize::MAX), None, true);
    while left > 0 {
        let (letters, next) = reader.dead_letters(filter, after, left.min(PAGE)).await?;
        left -= letters.len();
        print(&letters, json, heading, out)?;
        heading = false;
        after = next;
        if next.is_none() {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn print(letters: &[Letter], json: bool, heading: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        for letter in letters {
            out.json(letter)?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    let lines = table(&["ID", "TIME", "SINK", "SUBJECT", "TRIES", "REASON"], &rows);
    for line in lines.iter().skip(usize::from(!heading)) {
        out.line(line)?;
    }
    Ok(())
}

fn row(letter: &Letter) -> Vec<String> {
    let subject = Event::from_published(letter.event.get()).map(|event| event.subject.to_string());
    let retrying = if letter.retrying { "(waits for its retry) " } else { "" };
    vec![
        letter.id.to_string(),
        letter.time.to_string(),
        or_dash(&letter.sink).to_owned(),
        subject.unwrap_or_else(|_| "-".into()),
        letter.attempts.to_string(),
        format!("{retrying}{}", printable(&letter.reason)),
    ]
}

fn or_dash(sink: &Option<String>) -> &str {
    sink.as_deref().unwrap_or("-")
}

fn stats(counts: &[Count], json: bool, out: &mut Out) -> Outcome {
    if json {
        for count in counts {
            out.json(count)?;
        }
        return Ok(Exit::Ok);
    }
    let row = |count: &Count| {
        let Count { sink, letters, retrying, oldest, newest, .. } = count;
        let cells = [count.kind.name(), or_dash(sink)].map(str::to_owned).into_iter();
        cells.chain([letters.to_string(), retrying.to_string(), oldest.to_string(), newest.to_string()]).collect()
    };
    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
    for line in table(&["KIND", "SINK", "LETTERS", "RETRYING", "OLDEST", "NEWEST"], &rows) {
        out.line(line)?;
    }
    Ok(Exit::Ok)
}
