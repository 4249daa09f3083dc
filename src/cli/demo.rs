//! `watchpost demo`.

mod ending;
mod paced;
mod played;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line};
use super::out::Out;
use crate::api::Follower;
use crate::config::{Nats, Settings};
use crate::daemon::{Daemon, Shutdown};
use crate::event::Severity;
use crate::store::Query;
use ending::{delivered, explore, nats_answers, summary};
use played::{Place, Played, played, settings};

/// See processes start, crash, restart and turn unhealthy, with nothing installed.
///
/// Two recordings of a real process-compose are served on loopback, watched by the real source and committed to
/// a real store, which is thrown away at the end. Ctrl-C ends it early.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost demo
  watchpost demo --keep /tmp/demo
  watchpost demo --nats-url nats://127.0.0.1:4222")]
pub(super) struct Args {
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

/// How long the last events may take to NATS, once the recordings have ended.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

fn speed(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|speed| (0.1..=100.0).contains(speed)).ok_or_else(|| "a number from 0.1 to 100".into())
}

pub(super) async fn run(args: &Args, out: &mut Out) -> Outcome {
    let place = Place::new(args.keep.as_deref())?;
    let players = played(args.speed)?;
    let settings = settings(args, &place, &players)?;
    out.line(format!(
        "Watching {} supervisors, played back {} times as fast as they were:",
        players.len(),
        args.speed
    ))?;
    for played in &players {
        out.line(format!("  {:<9} {}", played.name, played.about))?;
    }
    out.line("")?;
    out.flush()?;
    watch(settings.clone(), &players, args, out).await?;
    summary(&settings.store, args.nats_url.as_deref(), out)?;
    if args.nats_url.is_none() && nats_answers() {
        let url = Nats::default().url;
        out.line(format!("\nNATS answers at {url}. To see these events there, in two terminals:"))?;
        out.line("  watchpost watch")?;
        out.line(format!("  watchpost demo --nats-url {url}"))?;
    }
    explore(args.keep.as_deref(), out)?;
    Ok(Exit::Ok)
}

/// Runs the daemon until the recordings end, and prints what comes.
async fn watch(settings: Settings, players: &[Played], args: &Args, out: &mut Out) -> Result<(), Failure> {
    let daemon = Daemon::start(settings, None).await?;
    let store = daemon.store().clone();
    let mut follower = Follower::new(store.clone(), Query::default());
    let shutdown = Shutdown::default();
    let mut running = tokio::spawn(daemon.run(shutdown.clone()));
    let mut last = std::pin::pin!(async {
        for played in players {
            played.player.ended().await;
        }
        // The last answers are on their way to the store.
        sleep(Duration::from_millis(100)).await;
    });
    let mut term = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            logged = follower.next() => {
                let Some(logged) = logged? else { break };
                if args.all || logged.event.severity != Severity::Debug {
                    out.line(line(&logged.event, Clock::Time, out.colour))?;
                    out.flush()?;
                }
            }
            () = &mut last => {
                if args.nats_url.is_some() {
                    let _too_long = tokio::time::timeout(LAST_DELIVERY, delivered(&store)).await;
                }
                break;
            }
            _ = tokio::signal::ctrl_c() => break,
            _ = term.recv() => break,
            ended = &mut running => return ended.map_err(|error| Failure::new(Exit::Internal, error))?.map_err(Failure::from),
        }
    }
    drop((follower, store));
    shutdown.drain.cancel();
    running.await.map_err(|error| Failure::new(Exit::Internal, error))??;
    Ok(())
}
