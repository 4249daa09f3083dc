//! The options that choose events.

use super::exit::{Exit, Failure};
use crate::api::filter::Filter;
use crate::config;
use crate::event::{Kind, Pattern, StreamId, Timestamp};

/// Which events.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which events")]
pub(super) struct Args {
    /// Of this process: NAME or NAMESPACE/NAME; may be given several times.
    #[arg(short, long, value_name = "PROCESS")]
    process: Vec<String>,
    /// Of this type, such as crashed; may be given several times.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<Kind>,
    /// Under this subject; `*` stands for one token, `>` for the rest; may be given several times.
    #[arg(long, value_name = "PATTERN", value_parser = pattern, conflicts_with = "process")]
    subject: Vec<Pattern>,
    /// Of this stream.
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<StreamId>,
    /// That happened at this time or later: RFC 3339, or 10m, 2h, 1d ago.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
}

impl Args {
    /// The filter, which the options of a single command complete.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let filter = Filter {
            subjects: self.subject.clone(),
            kinds: self.kinds.clone(),
            processes: self.process.clone(),
            session: self.session.clone(),
            since: self.since,
            ..Filter::default()
        };
        filter.validate().map_err(|error| Failure::new(Exit::Usage, error))?;
        Ok(filter)
    }
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    Kind::new(text).map_err(|error| error.expected)
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.expected)
}

pub(super) fn session(text: &str) -> Result<StreamId, String> {
    StreamId::new(text).map_err(|error| error.expected)
}

/// A time, or how long ago it is.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    match config::duration(text) {
        Ok(ago) => Ok(Timestamp::now().plus_millis(-i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))),
        Err(_) => text.parse().map_err(|_| "an RFC 3339 time, or how long ago, such as 10m".into()),
    }
}
