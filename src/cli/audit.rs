//! `watchpost audit`.

use super::exit::{Exit, Failure, Outcome};
use super::line::printable;
use super::out::{Out, table};
use super::{filter, reach};
use crate::audit::{self, Difference, Error, Finding, Summary};
use crate::config::Environment;
use crate::event::Timestamp;
use crate::nats;

/// Compare JetStream and Elasticsearch with the log: is each event there once, with the same content? Exit code 1
/// where one is missing, extra or different. What a sink has not confirmed yet, what is a dead letter, and what a
/// retention has taken is not missed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost audit --since 1d
  watchpost audit --json | jq -r 'select(.difference == \"missing\") | .id'")]
pub(super) struct Args {
    /// Only events that happened at this time or later: RFC 3339, or 10m, 2h, 1d ago.
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    since: Option<Timestamp>,
    /// One JSON object a line: findings, then a summary of each backend.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: reach::Args,
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let settings = args.reach.settings(environment)?;
    if settings.jetstream.is_none() && settings.elasticsearch.is_none() {
        let words = "the configuration has neither jetstream nor elasticsearch: there is nothing to compare with";
        return Err(Failure::says(Exit::Usage, words));
    }
    let reader = args.reach.reader(environment).await?;
    let mut summaries = Vec::new();
    // A pipe that is gone is noticed with the summary.
    let mut tell = |finding: Finding| drop(print(&finding, args.json, out));
    for stream in settings.jetstream.iter().flat_map(|jetstream| jetstream.streams()) {
        summaries.push(audit::jetstream(&reader, &stream, args.since, &mut tell).await?);
    }
    if let Some(there) = &settings.elasticsearch {
        summaries.push(audit::elasticsearch(&reader, there, args.since, &mut tell).await?);
    }
    summarize(&summaries, args.json, out)?;
    Ok(if summaries.iter().all(Summary::is_clean) { Exit::Ok } else { Exit::Found })
}

fn print(finding: &Finding, json: bool, out: &mut Out) -> std::io::Result<()> {
    if json { out.json(finding) } else { out.line(line(finding)) }
}

/// A finding in one line. What is extra says of itself whatever its sender wrote.
fn line(finding: &Finding) -> String {
    let word = match finding.difference {
        Difference::Missing => "missing",
        Difference::Extra => "extra",
        Difference::Different => "different",
    };
    let Finding { backend, id, session, seq, kind, .. } = finding;
    printable(&format!("{word:<9}  {backend}  {id}  {session}:{seq}  {kind}"))
}

fn summarize(summaries: &[Summary], json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(summaries.iter().try_for_each(|summary| out.json(summary))?);
    }
    let headings = ["BACKEND", "ALIKE", "MISSING", "EXTRA", "DIFFERENT", "DEAD LETTERS", "WAITING", "LET GO"];
    let row = |summary: &Summary| {
        let Summary { backend, alike, missing, extra, different, dead_letters, waiting, let_go } = summary;
        let counts = [alike, missing, extra, different, dead_letters, waiting, let_go];
        std::iter::once(backend.clone()).chain(counts.iter().map(ToString::to_string)).collect()
    };
    for line in table(&headings, &summaries.iter().map(row).collect::<Vec<_>>()) {
        out.line(line)?;
    }
    Ok(())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Log(error) => error.into(),
            Error::Elasticsearch(error) => error.into(),
            Error::Nats(nats::Error::Misconfigured { .. }) => Self::new(Exit::Usage, error),
            Error::Nats(nats::Error::Unreachable { .. }) | Error::Stream { .. } => {
                Self::new(Exit::Unavailable, error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch;

    #[test]
    fn a_backend_that_is_away_is_told_from_a_configuration_that_is_wrong() {
        let (url, message) = (|| "nats://a".to_owned(), || "no".to_owned());
        for (error, exit) in [
            (Error::Nats(nats::Error::Unreachable { url: url(), message: message() }), Exit::Unavailable),
            (Error::Nats(nats::Error::Misconfigured { url: url(), message: message() }), Exit::Usage),
            (
                Error::Elasticsearch(elasticsearch::Error::Unavailable { url: url(), message: message() }),
                Exit::Unavailable,
            ),
            (
                Error::Elasticsearch(elasticsearch::Error::Misconfigured { url: url(), message: message() }),
                Exit::Usage,
            ),
            (Error::Stream { stream: "S".into(), message: message() }, Exit::Unavailable),
        ] {
            let said = error.to_string();
            assert_eq!(Failure::from(error).exit, exit, "{said}");
        }
    }

    #[test]
    fn what_a_message_says_of_itself_does_not_drive_the_terminal() {
        let [id, session, kind] = ["a\n", "b\x1b[2J", "c"].map(str::to_owned);
        let finding =
            Finding { backend: "jetstream S".into(), difference: Difference::Extra, id, session, seq: 4, kind };
        assert_eq!(line(&finding), "extra      jetstream S  a\\n  b\\u{1b}[2J:4  c");
    }
}
