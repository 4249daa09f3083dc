//! `watchpost demo session`: the standard workload, played.

use std::path::PathBuf;

use super::paced::{Paced, Timed};
use super::played::{Place, empty};
use super::waterfall::waterfall;
use crate::cli::Environment;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out::Out;
use crate::cli::reach;
use crate::cli::sessions::follow::follow;
use crate::cli::sessions::watching::{Present, Watching};
use crate::client::sessions::{Following, Settings, Start, Writer, new_id};
use crate::client::{Client, Reader};
use crate::daemon::{Daemon, Shutdown};
use crate::demo::Workload;
use crate::event::StreamId;
use crate::event::session::kind::SESSION_STARTED;
use crate::session::{self, Sessions};
use crate::store::Store;

/// Play a whole session of generation work: a plan, levels of nodes, a queue, a provider that sometimes fails.
///
/// It is the standard workload: the same seed gives the same events. They go to a store that is thrown away at the
/// end, or to a daemon, and are printed as they are committed; then the session is drawn over time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost demo session --seed 7 --levels 6 --nodes 20
  watchpost demo session --keep /tmp/demo --fast
  watchpost demo session --url http://127.0.0.1:9001
  watchpost demo session --json | watchpost sessions record")]
pub(super) struct Args {
    /// Chooses everything that is left to chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// So many levels.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    levels: u32,
    /// So many nodes a level.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// So many events a second.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Wait for nothing: as if all of it had happened by now.
    #[arg(long)]
    fast: bool,
    /// Keep the store in this folder, to explore it; it must not be there yet.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["json", "url"])]
    keep: Option<PathBuf>,
    /// Send the session to this daemon: http://HOST:PORT or unix:PATH.
    #[arg(long, conflicts_with = "json")]
    url: Option<String>,
    /// A file that holds the daemon's token [env: WATCHPOST_TOKEN, the token itself].
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// Only print the events, one JSON object a line, as `watchpost sessions record` takes them.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn paced(&self) -> Paced {
        let Self { seed, levels, nodes, rate, .. } = *self;
        Paced::new(&Workload { seed, levels, nodes, rate }, self.fast)
    }
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    if args.json {
        return print(args.paced(), out).await;
    }
    match &args.url {
        Some(url) => {
            let client = reach::Args::daemon_at(url, args.token_file.as_ref()).client(environment)?;
            at_daemon(args, client, out).await
        }
        None => in_store(args, out).await,
    }
}

async fn print(mut paced: Paced, out: &mut Out) -> Outcome {
    loop {
        let due = paced.due().await;
        if due.is_empty() {
            return Ok(Exit::Ok);
        }
        for timed in due {
            out.line(timed.json())?;
        }
        out.flush()?;
    }
}

async fn in_store(args: &Args, out: &mut Out) -> Outcome {
    let place = Place::new(args.keep.as_deref())?;
    let settings = empty(&place);
    let daemon = Daemon::start(settings.clone(), None).await?;
    let (store, sessions) = (daemon.store().clone(), daemon.sessions().clone());
    let shutdown = Shutdown::default();
    let running = tokio::spawn(daemon.run(shutdown.clone()));
    let id = new_id();
    let following = Following::live(store, &id);
    let writing = async { Ok(play(sessions, &id, args.paced()).await?) };
    let shown = show(writing, following, out).await;
    shutdown.drain.cancel();
    running.await.map_err(|error| Failure::new(Exit::Internal, error))??;
    shown?;
    let store = Store::open(&settings.store)?;
    waterfall(&Reader::Store { store, prefixes: Vec::new() }, &id, out).await?;
    if let Some(dir) = &args.keep {
        let dir = dir.display();
        out.line(format!("\nThe store is in {dir}. To explore it:"))?;
        for command in ["show latest", "replay latest --speed 4", "list"] {
            out.line(format!("  watchpost sessions {command} --store {dir}"))?;
        }
    }
    Ok(Exit::Ok)
}

async fn at_daemon(args: &Args, client: Client, out: &mut Out) -> Outcome {
    let mut paced = args.paced();
    let mut first = paced.due().await;
    let begin = first.remove(0);
    let metadata = begin.data().map_err(session::Error::from)?;
    let start = Start { id: None, ts: Some(begin.ts), traceparent: None, metadata };
    let writer = Writer::start(client.clone(), start, Settings::default()).await?;
    let id = writer.id().clone();
    let reader = Reader::Daemon(client.clone());
    show(send(&writer, first, paced), reader.follow_session(&id, 1), out).await?;
    waterfall(&reader, &id, out).await?;
    out.line(format!("\nThe session is {id} at {}. To explore it:", client.url()))?;
    out.line(format!("  watchpost sessions show {id} --url {}", client.url()))?;
    Ok(Exit::Ok)
}

/// Prints what is committed while it is written, until the session has ended or somebody ends it early.
async fn show(
    writing: impl Future<Output = Result<(), Failure>>,
    following: Following,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut watching = Watching::new(false, Present::Now);
    let interrupted = super::interrupted()?;
    tokio::select! {
        shown = async { tokio::try_join!(writing, follow(following, &mut watching, out)) } => {
            shown?;
            return Ok(());
        }
        () = interrupted => {}
    }
    Ok(watching.end(out)?)
}

/// Writes a session in this process.
pub(super) async fn play(sessions: Sessions, id: &StreamId, mut paced: Paced) -> Result<(), session::Error> {
    loop {
        let mut due = paced.due().await;
        if due.first().is_some_and(|timed| timed.step.kind == SESSION_STARTED) {
            let begin = due.remove(0);
            let start = session::Start::from_data(begin.data()?);
            sessions.begin(session::Start { id: Some(id.clone()), ts: Some(begin.ts), ..start }).await?;
        } else if due.is_empty() {
            return Ok(());
        }
        let drafts = due.iter().map(|timed| timed.draft(id)).collect::<Result<Vec<_>, _>>();
        for answer in sessions.append(id, drafts?).await {
            answer?;
        }
    }
}

/// Writes a session that has begun at a daemon.
async fn send(writer: &Writer, mut due: Vec<Timed>, mut paced: Paced) -> Result<(), Failure> {
    let refused = |reason: String| Failure::says(Exit::Internal, reason);
    let mut number = 0;
    loop {
        for timed in &due {
            number += 1;
            writer.line(number, timed.json()).await.map_err(|error| refused(error.to_string()))?;
        }
        due = paced.due().await;
        if due.is_empty() {
            break;
        }
    }
    writer.flush().await;
    writer.take_refusals().into_iter().next().map_or(Ok(()), |refusal| Err(refused(refusal.reason)))
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        let exit = if error.is_retryable() { Exit::Unavailable } else { Exit::Internal };
        Self::new(exit, error)
    }
}
