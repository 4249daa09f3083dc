//! `watchpost watch`.

use std::collections::HashSet;

use super::events::follow;
use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line};
use super::out::Out;
use super::run::flag;
use super::{filter, reach};
use crate::api::events::Row;
use crate::api::filter::{Begin, Filter, MAX_LIMIT, process_pattern};
use crate::client::Client;
use crate::config::{Environment, JetStream};
use crate::consumer::{self, Consumer, Start};
use crate::event::subject::token;
use crate::event::{Invalid, Kind, Offset, Pattern, StreamId, Timestamp};
use crate::nats;

/// The current state is looked for among so many pages of the newest events.
const STATE_PAGES: usize = 20;

/// Print process events as they happen, beginning with the current state. Times are UTC.
///
/// The current state is the last event of each type of each process, as it stands in the stream. With --sessions
/// it is the events of sessions: those that come, or with --session the whole session and what comes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost watch
  watchpost watch -p default/caddy
  watchpost watch -t crashed --new --json | jq .exit_code
  watchpost watch --sessions -t session_started,session_ended
  watchpost watch --from daemon --since 10m")]
pub(super) struct Args {
    /// Where the events come from.
    #[arg(long, value_enum, default_value = "nats")]
    from: Origin,
    /// Of this process: NAME or NAMESPACE/NAME; may be given several times.
    #[arg(short, long, value_name = "PROCESS")]
    process: Vec<String>,
    /// The events of sessions, in place of those of processes.
    #[arg(long, conflicts_with = "process")]
    sessions: bool,
    /// Of this session, from its beginning.
    #[arg(long, value_name = "ID", requires = "sessions", value_parser = filter::session)]
    session: Option<StreamId>,
    /// Of this type, such as crashed; may be given several times.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = filter::kind)]
    kinds: Vec<Kind>,
    /// Begin with this time instead of the current state: RFC 3339, or 10m, 2h, 1d ago.
    #[arg(long, value_name = "TIME", value_parser = filter::time, conflicts_with = "new")]
    since: Option<Timestamp>,
    /// Skip the current state: only what is new.
    #[arg(long)]
    new: bool,
    /// End after so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// The NATS server [env: NATS_URL] [default: nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL")]
    nats_url: Option<String>,
    #[command(flatten)]
    reach: reach::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Origin {
    /// From JetStream.
    Nats,
    /// From the daemon's API.
    Daemon,
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let filter = Filter {
        processes: args.process.clone(),
        kinds: args.kinds.clone(),
        since: args.since,
        ..Filter::default()
    };
    filter.validate().map_err(|error| Failure::new(Exit::Usage, error))?;
    let filter = if args.sessions { of_sessions(args, filter)? } else { filter };
    if let (Origin::Nats, Some(option)) = (args.from, args.reach.not_for_nats()) {
        return Err(Failure::says(Exit::Usage, format!("{option} is of the daemon: give --from daemon with it")));
    }
    match args.from {
        Origin::Nats => from_nats(args, &filter, environment, out).await,
        Origin::Daemon => from_daemon(args, filter, &args.reach.client(environment)?, out).await,
    }
}

async fn from_nats(args: &Args, filter: &Filter, environment: &Environment, out: &mut Out) -> Outcome {
    let own = flag("--nats-url", "jetstream.url", args.nats_url.clone());
    let settings = args.reach.settings_with(environment, own.into_iter().collect())?;
    let prefixes = settings.subject_prefixes();
    let JetStream { nats, stream, sessions, .. } = settings.jetstream.unwrap_or_default();
    let stream = match args.sessions {
        true => sessions.ok_or_else(|| {
            Failure::says(Exit::Usage, "`jetstream.session_stream` is off: give --from daemon to watch sessions")
        })?,
        false => stream,
    };
    let mut wanted = consumer::Filter::all();
    for subject in subjects(filter, &prefixes) {
        wanted = wanted.subject(&subject);
    }
    let start = match (args.since, args.new) {
        (Some(time), _) => Start::Since(time),
        (None, true) => Start::New,
        (None, false) if args.session.is_some() => Start::All,
        (None, false) if args.sessions => Start::New,
        (None, false) => Start::Current,
    };
    let mut subscription = Consumer::new(nats, stream).subscribe(&wanted, start).await?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let received = subscription.next().await?;
        match args.json {
            true => out.line(received.event.published())?,
            false => out.line(line(&received.event, Clock::Time, out.colour))?,
        }
        out.flush()?;
        received.ack().await;
        left -= 1;
    }
    subscription.close().await;
    Ok(Exit::Ok)
}

/// The same filter for the events of sessions, by their subjects.
fn of_sessions(args: &Args, filter: Filter) -> Result<Filter, Failure> {
    let session = args.session.as_ref().map_or_else(|| "*".to_owned(), |id| token(id.as_str()));
    let pattern = |kind: &str| Pattern::parse(format!("core.session.{session}.{kind}"));
    let kinds = filter.kinds.iter().map(Kind::as_str);
    let subjects: Result<Vec<Pattern>, Invalid> = match filter.kinds.is_empty() {
        true => [pattern("*")].into_iter().collect(),
        false => kinds.map(|kind| pattern(&token(kind))).collect(),
    };
    let subjects = subjects.map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Filter { subjects, kinds: Vec::new(), session: args.session.clone(), ..filter })
}

/// The subjects of what was asked for; none for everything.
fn subjects(filter: &Filter, prefixes: &[String]) -> Vec<String> {
    if !filter.subjects.is_empty() {
        return filter.subjects.iter().map(ToString::to_string).collect();
    }
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    let any = ["*"];
    let kinds = if kinds.is_empty() { &any[..] } else { &kinds };
    let of = |what: &dyn Fn(&str) -> Vec<String>| kinds.iter().flat_map(|kind| what(kind)).collect::<Vec<_>>();
    match (filter.processes.is_empty(), filter.kinds.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => of(&|kind| {
            let processes = prefixes.iter().map(|prefix| format!("{prefix}.*.*.{kind}"));
            processes.chain([format!("core.source.*.{kind}")]).collect()
        }),
        (false, _) => of(&|kind| {
            let each = filter
                .processes
                .iter()
                .flat_map(|process| prefixes.iter().map(move |prefix| process_pattern(prefix, process, kind)));
            each.collect()
        }),
    }
}

async fn from_daemon(args: &Args, filter: Filter, client: &Client, out: &mut Out) -> Outcome {
    let mut left = args.limit.unwrap_or(u64::MAX);
    let from = if args.new {
        Begin::Now
    } else if args.since.is_some() || args.session.is_some() {
        Begin::Start
    } else if args.sessions {
        Begin::Now
    } else {
        let (rows, next) = current(client, &filter).await?;
        for row in rows.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            match args.json {
                true => out.line(&row.json)?,
                false => out.line(line(&row.logged.event, Clock::Time, out.colour))?,
            }
            left -= 1;
        }
        out.flush()?;
        Begin::Offset(next)
    };
    let filter = Filter { from: Some(from), ..filter };
    follow(client, &filter, Some(left), args.json, Clock::Time, out).await
}

/// The last event of each subject, in the order of the log, and the offset at which the log ended then.
async fn current(client: &Client, filter: &Filter) -> Result<(Vec<Row>, Offset), Failure> {
    let end = client.end().await?;
    let mut filter = Filter { newest_first: true, after: Some(end), limit: Some(MAX_LIMIT), ..filter.clone() };
    let (mut rows, mut subjects) = (Vec::new(), HashSet::new());
    for _ in 0..STATE_PAGES {
        let page = client.events(&filter).await?;
        rows.extend(page.events.into_iter().filter(|row| subjects.insert(row.logged.event.subject.clone())));
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    if let Some(offset) = filter.after {
        tracing::warn!("the current state is that of the events from {offset} on: older ones were not looked at");
    }
    rows.reverse();
    Ok((rows, end))
}

impl From<consumer::Error> for Failure {
    fn from(error: consumer::Error) -> Self {
        use consumer::Error;
        let exit = match &error {
            Error::Nats(nats::Error::Unreachable { .. }) | Error::NoStream(_) | Error::Server(_) => {
                Exit::Unavailable
            }
            Error::Nats(nats::Error::Misconfigured { .. }) | Error::Invalid(_) => Exit::Usage,
            Error::OtherFilter { .. } | Error::Refused(_) => Exit::Usage,
        };
        Self::new(exit, error)
    }
}
