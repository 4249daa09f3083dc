//! `watchpost demo`.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure, Outcome};
use super::line::{Clock, line};
use super::out::Out;
use crate::api::Follower;
use crate::config::{self, Endpoint, JetStream, Listen, Nats, ProcessCompose, Settings};
use crate::daemon::{Daemon, Shutdown};
use crate::deliver;
use crate::demo::{Player, Recording};
use crate::event::Severity;
use crate::store::{Limit, Query, Store};

/// What is played: a name, which becomes the namespace, and what process-compose answered.
const RECORDINGS: [(&str, &str); 2] = [
    ("health", include_str!("../../tests/recordings/health.0.5.jsonl")),
    ("restarts", include_str!("../../tests/recordings/restarts.0.5.jsonl")),
];

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
    let players: Result<Vec<Played>, Failure> =
        RECORDINGS.iter().map(|(name, text)| played(name, text, args.speed)).collect();
    let players = players?;
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

/// Where the store is; a folder of ours is removed at the end.
struct Place {
    dir: PathBuf,
    ours: bool,
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = keep.filter(|dir| dir.exists()) {
            return Err(Failure::says(Exit::Usage, format!("--keep {}: it is there already", dir.display())));
        }
        let ours = || std::env::temp_dir().join(format!("watchpost-demo-{}", std::process::id()));
        Ok(Self { dir: keep.map_or_else(ours, Path::to_owned), ours: keep.is_none() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ours {
            let _never_made = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A recording on its port.
struct Played {
    name: &'static str,
    about: String,
    interval: Duration,
    player: Player,
    port: u16,
    _serving: tokio_util::sync::DropGuard,
}

fn played(name: &'static str, text: &str, speed: f64) -> Result<Played, Failure> {
    let internal = |error: anyhow::Error| Failure::new(Exit::Internal, error);
    let recording = Recording::parse(text).map_err(|error| internal(error.into()))?;
    let (about, interval_ms) = (recording.about.clone(), recording.interval_ms);
    let player = Player::new(recording, speed);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let listener = listener.map_err(|error| internal(error.into()))?;
    let port = listener.local_addr().map_err(|error| internal(error.into()))?.port();
    let shutdown = CancellationToken::new();
    let serving = shutdown.clone().drop_guard();
    let server = player.clone();
    tokio::spawn(async move {
        if let Err(error) = server.serve(listener, shutdown).await {
            tracing::error!("the recording {name} cannot be served: {error}");
        }
    });
    let interval = Duration::from_secs_f64(interval_ms as f64 / 1000.0 / speed).max(Duration::from_millis(4));
    Ok(Played { name, about, interval, player, port, _serving: serving })
}

fn settings(args: &Args, place: &Place, players: &[Played]) -> Result<Settings, Failure> {
    let supervisor = |played: &Played| ProcessCompose {
        name: played.name.into(),
        endpoint: Endpoint::Url(format!("http://127.0.0.1:{}", played.port)),
        poll_interval: played.interval,
        // The player holds an answer back until its time has come.
        timeout: played.interval.max(Duration::from_secs(5)),
        namespace: Some(played.name.into()),
        // A recording that has ended answers no more; that is no outage.
        down_after: u32::MAX,
        ..ProcessCompose::default()
    };
    let jetstream = args.nats_url.as_ref().map(|url| {
        let url = config::nats_url(url).map_err(|expected| {
            Failure::says(Exit::Usage, format!("--nats-url: expected {expected}, found `{url}`"))
        })?;
        Ok::<_, Failure>(JetStream {
            nats: Nats { url, ..Nats::default() },
            required: false,
            ..JetStream::default()
        })
    });
    Ok(Settings {
        // What is thrown away need not survive a power cut.
        store: config::Store {
            dir: place.dir.clone(),
            unsafe_fs: place.ours,
            min_free: 16 << 20,
            ..config::Store::default()
        },
        process_compose: players.iter().map(supervisor).collect(),
        jetstream: jetstream.transpose()?,
        api: config::Api { listen: Listen::Off, ..config::Api::default() },
        ..Settings::default()
    })
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

/// Counts what is in the store, checks it, and tells what reached NATS.
fn summary(settings: &config::Store, nats_url: Option<&str>, out: &mut Out) -> Result<(), Failure> {
    let store = Store::open(settings)?;
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let (mut from, end) = (store.range().start, store.range().end);
    while from < end {
        let page = store.log(from, Limit::events(1000))?;
        let Some(last) = page.last() else { break };
        from = last.offset + 1;
        for logged in &page {
            *kinds.entry(logged.event.kind.to_string()).or_default() += 1;
        }
    }
    let counts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    out.line(format!("\n{} events: {}", kinds.values().sum::<u64>(), counts.join(", ")))?;
    let violated = store.check()?.violated;
    match violated {
        0 => out.line("The store holds every one of them, in order, without a gap: all invariants hold.")?,
        _ => return Err(Failure::says(Exit::Internal, format!("the store has {violated} violations"))),
    }
    if let Some(url) = nats_url.map(config::without_password) {
        let left = undelivered(&store)?;
        out.line(match left {
            0 => format!("All that go to NATS are at {url}."),
            left => format!("{left} of them are not at {url}: no answer, or not in time."),
        })?;
    }
    Ok(())
}

/// Resolves when everything has been delivered.
async fn delivered(store: &Store) {
    while !undelivered(store).is_ok_and(|events| events == 0) {
        sleep(Duration::from_millis(20)).await;
    }
}

/// How many events the one sink has still to confirm; all, before it has confirmed any.
fn undelivered(store: &Store) -> Result<u64, Failure> {
    Ok(deliver::at_rest(store)?.first().map_or(store.range().end, |sink| sink.lag_events))
}

/// Whether a NATS server greets on the default port.
fn nats_answers() -> bool {
    let address = ([127, 0, 0, 1], 4222).into();
    let greeting = TcpStream::connect_timeout(&address, Duration::from_millis(200)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting)?;
        Ok(greeting)
    });
    greeting.is_ok_and(|greeting| &greeting == b"INFO ")
}

fn explore(keep: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let Some(dir) = keep else {
        out.line("\nTo explore what is left of a demo, keep its store:")?;
        out.line("  watchpost demo --keep /tmp/watchpost-demo")?;
        return Ok(());
    };
    let dir = dir.display();
    out.line(format!("\nThe store is in {dir}. To explore it:"))?;
    out.line(format!("  watchpost events query --store {dir} -t crashed"))?;
    out.line(format!("  watchpost events query --store {dir} -p restarts/fast --json"))?;
    out.line(format!("  watchpost store stats --store {dir}"))?;
    Ok(out.line(format!("  watchpost store check --store {dir}"))?)
}
