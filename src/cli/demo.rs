//! `watchpost demo`.

mod ending;
mod paced;
mod played;
mod session;
mod waterfall;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line};
use super::out::Out;
use crate::api::Follower;
use crate::client::Reader;
use crate::client::sessions::new_id;
use crate::config::{Environment, Nats, Settings};
use crate::daemon::{Daemon, Shutdown};
use crate::demo::Workload;
use crate::event::{Severity, StreamId};
use crate::store::{Query, Store};
use ending::{delivered, explore, nats_answers, summary};
use paced::Paced;
use played::{Place, Played, played, settings};

/// See processes start, crash, restart and turn unhealthy, and a session of generation work, with nothing installed.
///
/// Two recordings of a real process-compose are served on loopback, watched by the real source and committed to
/// a real store, which is thrown away at the end; so is a session beside them. Ctrl-C ends it early.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  watchpost demo
  watchpost demo session
  watchpost demo --keep /tmp/demo
  watchpost demo --nats-url nats://127.0.0.1:4222"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Keep the store in this folder, to explore it; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Publish the events to this NATS too.
    #[arg(long, value_name = "URL")]
    nats_url: Option<String>,
    /// So many times as fast as it was: the recordings took 45 s.
    #[arg(long, default_value_t = 3.0, value_name = "TIMES", value_parser = speed)]
    speed: f64,
    /// Print every event, those of no interest too.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Session(session::Args),
}

/// How long the recordings took, in milliseconds.
const RECORDED_MS: f64 = 45_000.0;
/// How long the last events may take to NATS, once the recordings have ended.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

fn speed(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|speed| (0.1..=100.0).contains(speed)).ok_or_else(|| "a number from 0.1 to 100".into())
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    match &args.command {
        Some(Command::Session(args)) => session::run(args, environment, out).await,
        None => all(args, out).await,
    }
}

/// The processes and a session beside them.
async fn all(args: &Args, out: &mut Out) -> Outcome {
    let place = Place::new(args.keep.as_deref())?;
    let players = played(args.speed)?;
    let settings = settings(args, &place, &players)?;
    out.line(format!(
        "Watching {} supervisors, played back {} times as fast as they were, and a session:",
        players.len(),
        args.speed
    ))?;
    for played in &players {
        out.line(format!("  {:<9} {}", played.name, played.about))?;
    }
    out.line(format!(
        "  {:<9} generation work: a plan, levels of nodes, a queue, a provider that sometimes fails",
        "session"
    ))?;
    out.line("")?;
    out.flush()?;
    let id = new_id();
    watch(settings.clone(), &players, &id, args, out).await?;
    let store = Store::open(&settings.store)?;
    summary(&store, args.nats_url.as_deref(), out)?;
    waterfall::waterfall(&Reader::Store { store, prefixes: Vec::new() }, &id, out).await?;
    if args.nats_url.is_none() && nats_answers() {
        let url = Nats::default().url;
        out.line(format!("\nNATS answers at {url}. To see these events there, in two terminals:"))?;
        out.line("  watchpost watch")?;
        out.line(format!("  watchpost demo --nats-url {url}"))?;
    }
    explore(args.keep.as_deref(), out)?;
    Ok(Exit::Ok)
}

/// A session that takes as long as the recordings do.
fn beside(speed: f64) -> Paced {
    let workload = Workload::default();
    let events = workload.steps().count() as f64;
    // As a cast: it lies between 1 and 1000.
    let rate = (events * 1000.0 * speed / RECORDED_MS).clamp(1.0, 1_000_000.0) as u32;
    Paced::new(&Workload { rate, ..workload }, false)
}

/// Resolves when somebody ends it early.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
    })
}

/// Runs the daemon until the recordings and the session end, and prints what comes.
async fn watch(
    settings: Settings,
    players: &[Played],
    session: &StreamId,
    args: &Args,
    out: &mut Out,
) -> Result<(), Failure> {
    let daemon = Daemon::start(settings, None).await?;
    let (store, sessions) = (daemon.store().clone(), daemon.sessions().clone());
    let mut follower = Follower::new(store.clone(), Query::default());
    let shutdown = Shutdown::default();
    let mut running = tokio::spawn(daemon.run(shutdown.clone()));
    let mut last = std::pin::pin!(async {
        let recordings = async {
            for played in players {
                played.player.ended().await;
            }
        };
        let (played, ()) = tokio::join!(session::play(sessions, session, beside(args.speed)), recordings);
        // The last answers are on their way to the store.
        sleep(Duration::from_millis(100)).await;
        played
    });
    let mut interrupted = std::pin::pin!(interrupted()?);
    loop {
        tokio::select! {
            logged = follower.next() => {
                let Some(logged) = logged? else { break };
                if args.all || logged.event.severity != Severity::Debug {
                    out.line(line(&logged.event, Clock::Time, out.colour))?;
                    out.flush()?;
                }
            }
            played = &mut last => {
                played?;
                if args.nats_url.is_some() {
                    let _too_long = tokio::time::timeout(LAST_DELIVERY, delivered(&store)).await;
                }
                break;
            }
            () = &mut interrupted => break,
            ended = &mut running => return ended.map_err(|error| Failure::new(Exit::Internal, error))?.map_err(Failure::from),
        }
    }
    drop((follower, store));
    shutdown.drain.cancel();
    running.await.map_err(|error| Failure::new(Exit::Internal, error))??;
    Ok(())
}
