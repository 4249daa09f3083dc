//! Where the events of a shell's session go: to the daemon, or to the spool while it is not there.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::super::exit::Failure;
use super::super::reach;
use crate::client::Client;
use crate::client::sessions::{End, Start, Started};
use crate::config::Environment;
use crate::event::StreamId;
use crate::source::spool::{self, Line, Place};

/// How long the daemon is waited for before the spool has to do.
const PATIENCE: Duration = Duration::from_secs(5);
/// The wait between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// The daemon and the spool, as the settings have them.
pub(super) struct Outlet {
    /// The daemon; `None` where the settings have it listen nowhere.
    pub(super) client: Option<Client>,
    /// The spool's folder.
    spool: PathBuf,
}

/// What the daemon said, or that it is not there.
pub(super) enum Told<T> {
    /// Its answer.
    Answer(T),
    /// It refused for good.
    No(crate::client::Error),
    /// It is not there, with the reason.
    Away(String),
}

impl Outlet {
    pub(super) fn new(reach: &reach::Args, environment: &Environment) -> Result<Self, Failure> {
        let settings = reach.settings(environment)?;
        let client = reach.daemon_client(&settings, environment)?;
        Ok(Self { client, spool: settings.session.spool })
    }

    /// The spool file of a session; one that the environment names is the one of the session around.
    pub(super) fn place(&self, session: &StreamId, environment: &Environment) -> Place {
        let around = environment.get("WATCHPOST_SESSION").is_some_and(|id| id == session.as_str());
        match environment.get("WATCHPOST_SPOOL").filter(|file| around && !file.is_empty()) {
            Some(file) => Place::at(file.into()),
            None => Place::new(&self.spool, session),
        }
    }

    pub(super) async fn start(&self, start: &Start) -> Told<Started> {
        self.ask(async |client| client.start_session(start).await).await
    }

    pub(super) async fn send(&self, session: &StreamId, event: &str) -> Told<()> {
        self.ask(async |client| client.send_event(session, event).await.map(|_| ())).await
    }

    pub(super) async fn end(&self, session: &StreamId, end: &End) -> Told<()> {
        self.ask(async |client| client.end_session(session, end).await.map(|_| ())).await
    }

    /// Says that a session is written to.
    pub(super) async fn beat(&self, session: &StreamId) -> Told<()> {
        self.ask(async |client| client.heartbeat(session).await).await
    }

    /// Asks the daemon. One that says "later" is asked again for a while; one that is not there is not.
    async fn ask<T>(&self, ask: impl AsyncFn(&Client) -> Result<T, crate::client::Error>) -> Told<T> {
        use crate::client::Error;
        let Some(client) = &self.client else { return Told::Away("`api.listen` is off".into()) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match timeout_at(deadline, ask(client)).await {
                Ok(Ok(answer)) => return Told::Answer(answer),
                Ok(Err(error @ (Error::Unreachable { .. } | Error::Malformed { .. }))) => {
                    return Told::Away(error.to_string());
                }
                Ok(Err(error)) if !error.is_retryable() => return Told::No(error),
                Ok(Err(error)) if Instant::now() + AGAIN >= deadline => return Told::Away(error.to_string()),
                Ok(Err(_)) => sleep(AGAIN).await,
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    return Told::Away(format!("the daemon at {} gave no answer within {seconds} s", client.url()));
                }
            }
        }
    }
}

/// Adds a line to the spool; what cannot be kept is told and breaks nothing.
pub(super) fn spool(place: &Place, line: &Line) {
    if let Err(error) = place.append(line) {
        not_kept(&error);
    }
}

/// Adds a line where something waits in the spool already: it must not pass that. Answers whether it was so.
pub(super) fn behind(place: &Place, line: &Line) -> bool {
    place.append_if_there(line).unwrap_or_else(|error| {
        not_kept(&error);
        true
    })
}

fn not_kept(error: &spool::Error) {
    tracing::warn!("an event is not kept: {error}");
}
