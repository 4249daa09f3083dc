//! The recorded supervisors of a demo, and the settings of the daemon that watches them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::cli::exit::{Exit, Failure};
use crate::config::{self, Endpoint, JetStream, Listen, Nats, ProcessCompose, Settings};
use crate::demo::{Player, Recording};

/// What is played: a name, which becomes the namespace, and what process-compose answered.
const RECORDINGS: [(&str, &str); 2] = [
    ("health", include_str!("../../../tests/recordings/health.0.5.jsonl")),
    ("restarts", include_str!("../../../tests/recordings/restarts.0.5.jsonl")),
];

/// Where the store is; a folder of ours is removed at the end.
pub(super) struct Place {
    dir: PathBuf,
    ours: bool,
}

impl Place {
    pub(super) fn new(keep: Option<&Path>) -> Result<Self, Failure> {
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
pub(super) struct Played {
    pub(super) name: &'static str,
    pub(super) about: String,
    interval: Duration,
    pub(super) player: Player,
    port: u16,
    _serving: tokio_util::sync::DropGuard,
}

/// Starts to serve all of them.
pub(super) fn played(speed: f64) -> Result<Vec<Played>, Failure> {
    RECORDINGS.iter().map(|(name, text)| one(name, text, speed)).collect()
}

fn one(name: &'static str, text: &str, speed: f64) -> Result<Played, Failure> {
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

/// The settings of a daemon that watches them, and nothing else.
pub(super) fn settings(args: &Args, place: &Place, players: &[Played]) -> Result<Settings, Failure> {
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
        process_compose: players.iter().map(supervisor).collect(),
        jetstream: jetstream.transpose()?,
        ..empty(place)
    })
}

/// The settings of a daemon that watches nothing and that nobody else can reach.
pub(super) fn empty(place: &Place) -> Settings {
    Settings {
        // What is thrown away need not survive a power cut.
        store: config::Store {
            dir: place.dir.clone(),
            unsafe_fs: place.ours,
            min_free: 16 << 20,
            ..config::Store::default()
        },
        api: config::Api { listen: Listen::Off, ..config::Api::default() },
        // What waits for the user's own daemon is none of its business.
        session: config::Session { spool: place.dir.join("spool"), ..config::Session::default() },
        ..Settings::default()
    }
}
