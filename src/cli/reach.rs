//! How a command that reads reaches what it reads.

use std::path::PathBuf;

use super::config::{load, path};
use super::exit::{Exit, Failure};
use super::run::flag;
use crate::client::{self, Client, Failed, Reader};
use crate::config::{Base, Environment, Flag, Listen, Secret, Settings};
use crate::store::{self, Store};

/// Where the events are. By default: the daemon, and where none answers, the store.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Where to read")]
pub(super) struct Args {
    /// The daemon: http://HOST:PORT or unix:PATH [env: WATCHPOST_URL] [default: http://127.0.0.1:9001].
    #[arg(long, global = true)]
    url: Option<String>,
    /// A file that holds the daemon's token [env: WATCHPOST_TOKEN, the token itself].
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Open this store, and ask no daemon.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "url")]
    store: Option<PathBuf>,
    /// The configuration that says where both are [env: WATCHPOST_CONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// Those of a daemon, and nothing but that.
    pub(super) fn daemon_at(url: &str, token_file: Option<&PathBuf>) -> Self {
        Self { url: Some(url.into()), token_file: token_file.cloned(), ..Self::default() }
    }

    /// Where the daemon's API listens, the settings, and whether the URL was given outright.
    fn daemon(&self, settings: &Settings, environment: &Environment) -> Result<Option<(Client, bool)>, Failure> {
        let given = self.url.clone().or_else(|| environment.get("WATCHPOST_URL").cloned());
        let outright = given.is_some();
        let Some(url) = given.or_else(|| default_url(&settings.api.listen)) else { return Ok(None) };
        if !url.starts_with("unix:") {
            crate::config::http_url(&url).map_err(|expected| {
                Failure::says(Exit::Usage, format!("--url: expected {expected}, or unix:PATH, found `{url}`"))
            })?;
        }
        let token = match &self.token_file {
            Some(file) => Some(Secret::from_file(file).map_err(|expected| {
                Failure::says(Exit::Usage, format!("--token-file {}: expected {expected}", file.display()))
            })?),
            None => environment.get("WATCHPOST_TOKEN").map(Secret::new).or_else(|| settings.api.token.clone()),
        };
        Ok(Some((Client::new(&url, token)?, outright)))
    }

    /// The settings that these arguments, the file and the environment make.
    pub(super) fn settings(&self, environment: &Environment) -> Result<Settings, Failure> {
        self.settings_with(environment, Vec::new())
    }

    /// The same with options of the command's own.
    pub(super) fn settings_with(&self, environment: &Environment, own: Vec<Flag>) -> Result<Settings, Failure> {
        let config = path(self.config.as_ref(), environment);
        let store = self.store.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        let flags: Vec<Flag> = flag("--store", "store.dir", store).into_iter().chain(own).collect();
        let base = if config.is_some() { Base::Empty } else { Base::Adapter };
        load(config.as_deref(), base, environment, &flags)
    }

    /// The first option that is of no use where events come from NATS.
    pub(super) fn not_for_nats(&self) -> Option<&'static str> {
        let given = [("--url", self.url.is_some()), ("--store", self.store.is_some())];
        given
            .into_iter()
            .chain([("--token-file", self.token_file.is_some())])
            .find(|given| given.1)
            .map(|given| given.0)
    }

    /// Whether a daemon or a store is named outright, so that the log itself is meant.
    pub(super) fn names_log(&self) -> bool {
        self.url.is_some() || self.store.is_some()
    }

    /// A client of the daemon, which need not answer; nothing where the settings have it listen nowhere.
    pub(super) fn daemon_client(
        &self,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Option<Client>, Failure> {
        if self.store.is_some() {
            return Err(Failure::says(Exit::Usage, "--store: only a daemon takes events; leave it out"));
        }
        Ok(self.daemon(settings, environment)?.map(|(client, _)| client))
    }

    /// A client of the daemon, where only that will do.
    pub(super) fn client(&self, environment: &Environment) -> Result<Client, Failure> {
        if self.store.is_some() {
            let words = "--store: this needs a daemon; `watchpost events query` reads a store";
            return Err(Failure::says(Exit::Usage, words));
        }
        let settings = self.settings(environment)?;
        let daemon = self.daemon(&settings, environment)?;
        let nowhere = || Failure::says(Exit::Usage, "`api.listen` is off: give the daemon's --url");
        daemon.map(|(client, _)| client).ok_or_else(nowhere)
    }

    /// The daemon where one answers, else the store.
    pub(super) async fn reader(&self, environment: &Environment) -> Result<Reader, Failure> {
        let settings = self.settings(environment)?;
        let daemon = if self.store.is_some() { None } else { self.daemon(&settings, environment)? };
        let Some((client, outright)) = daemon else { return reader(&settings) };
        match client.end().await {
            Ok(_) => Ok(Reader::Daemon(client)),
            Err(error @ (client::Error::Unreachable { .. } | client::Error::Malformed { .. })) if !outright => {
                reader(&settings).map_err(|failure| beside(failure, &error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens the store to read it; one that is not there is not made.
fn reader(settings: &Settings) -> Result<Reader, Failure> {
    Ok(Reader::Store { store: open(settings)?, prefixes: settings.subject_prefixes() })
}

/// Opens a store that is there.
pub(super) fn open(settings: &Settings) -> Result<Store, Failure> {
    let dir = &settings.store.dir;
    if !store::is_there(dir) {
        return Err(Failure::says(Exit::Unavailable, format!("there is no store at {}", dir.display())));
    }
    Ok(Store::open(&settings.store)?)
}

/// Where the store could not be opened either, both reasons are told.
fn beside(failure: Failure, daemon: &client::Error) -> Failure {
    Failure { error: failure.error.map(|error| error.context(daemon.to_string())), ..failure }
}

/// Where a daemon with these settings is reached from this machine.
fn default_url(listen: &Listen) -> Option<String> {
    match listen {
        Listen::Tcp(address) if address.ip().is_unspecified() => {
            Some(format!("http://127.0.0.1:{}", address.port()))
        }
        Listen::Tcp(address) => Some(format!("http://{address}")),
        Listen::Socket(path) => Some(format!("unix:{}", path.display())),
        Listen::Off => None,
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let exit = match &error {
            client::Error::Refused { status: 404, .. } => Exit::Found,
            client::Error::Refused { status: 400 | 401 | 403 | 409, .. } => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Daemon(error) => error.into(),
            Failed::Store(error) => error.into(),
            Failed::Refused(error) => {
                let exit = match error.status.as_u16() {
                    404 => Exit::Found,
                    400 | 409 => Exit::Usage,
                    _ => Exit::Unavailable,
                };
                Self::new(exit, error)
            }
        }
    }
}
