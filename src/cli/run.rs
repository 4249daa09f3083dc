//! `watchpost run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::config::{load, path};
use super::exit::{Exit, Failure, Outcome};
use crate::config::{Base, Environment, Flag, Settings};
use crate::daemon::{self, Daemon, Notify, Shutdown};
use crate::telemetry::{Slots, Telemetry};

/// Run the daemon that a configuration describes, until SIGTERM or Ctrl-C; a second one forces it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost config example > watchpost.yaml
  watchpost run --config watchpost.yaml")]
pub(super) struct Args {
    /// The configuration [env: WATCHPOST_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store's folder.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where the API listens: ADDRESS:PORT, unix:PATH, or off.
    #[arg(long, value_name = "PLACE")]
    api: Option<String>,
}

pub(super) async fn run(args: &Args, environment: &Environment, log: &Slots) -> Outcome {
    let Some(config) = path(args.config.as_ref(), environment) else {
        let words = "give --config FILE; `watchpost config example` prints one, and `watchpost adapter` needs none";
        return Err(Failure::says(Exit::Usage, words));
    };
    let flags = [
        flag("--store", "store.dir", args.store.as_ref().map(|dir| dir.to_string_lossy().into_owned())),
        flag("--api", "api.listen", args.api.clone()),
    ];
    let flags: Vec<Flag> = flags.into_iter().flatten().collect();
    serve(load(Some(&config), Base::Empty, environment, &flags)?, environment, log).await
}

/// An option as a setting, where it is given.
pub(super) fn flag(name: &'static str, path: &'static str, word: Option<String>) -> Option<Flag> {
    word.map(|word| Flag { name, path, word })
}

/// Lets this process have as many files open as it may: a connection is one, and the API takes more of them than
/// the limit that most shells begin with.
fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Runs a daemon until a signal, or until one of its tasks fails.
pub(super) async fn serve(settings: Settings, environment: &Environment, log: &Slots) -> Outcome {
    open_more_files();
    let notify = Notify::from_environment(environment);
    let shutdown = Shutdown::default();
    let signals = tokio::spawn(heed(shutdown.clone(), notify.clone()));
    let listener = daemon::bind(&settings).await?;
    let api = listener.as_ref().map_or_else(|| "off".to_owned(), |listener| listener.url());
    let dir = settings.store.dir.clone();
    let telemetry = Telemetry::start(&settings).map_err(daemon::Error::from)?;
    log.fill(&telemetry);
    let daemon = tokio::select! {
        daemon = Daemon::start_with(settings, listener, telemetry.clone()) => daemon?,
        () = shutdown.force.cancelled() => {
            telemetry.shutdown(&shutdown.force).await;
            return Err(daemon::Error::Forced("the start".into()).into());
        }
    };
    tracing::info!(store = %dir.display(), api, "ready");
    notify.ready();
    let ended = daemon.run(shutdown).await;
    signals.abort();
    ended?;
    Ok(Exit::Ok)
}

/// Signals within this time are one: what passes a signal on, such as `timeout`, may send it to the whole group
/// of processes too.
const ONE_SIGNAL: Duration = Duration::from_millis(200);

/// The first SIGTERM or Ctrl-C drains, the second forces.
async fn heed(shutdown: Shutdown, notify: Notify) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be heeded: end this process with SIGKILL, nothing acknowledged is lost");
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    next().await;
    notify.stopping();
    shutdown.drain.cancel();
    let echoes = async {
        loop {
            next().await;
        }
    };
    let _elapsed: Result<(), _> = tokio::time::timeout(ONE_SIGNAL, echoes).await;
    next().await;
    shutdown.force.cancel();
}

impl From<daemon::Error> for Failure {
    fn from(error: daemon::Error) -> Self {
        let exit = match error {
            daemon::Error::Store(error) => return error.into(),
            daemon::Error::Settings(_)
            | daemon::Error::Source(_)
            | daemon::Error::Otlp(_)
            | daemon::Error::Elasticsearch(_) => Exit::Usage,
            daemon::Error::Listen { .. } | daemon::Error::Forced(_) => Exit::Unavailable,
            daemon::Error::Failed(_) => Exit::Internal,
        };
        Self::new(exit, error)
    }
}
