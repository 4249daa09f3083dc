//! `watchpost sessions run`: a command as a session.

mod child;
pub(super) mod metadata;

use std::ffi::OsString;
use std::time::Duration;

use super::super::exit::{Exit, Outcome};
use super::super::reach;
use super::outlet::{Outlet, Told, behind, spool};
use crate::client::sessions::{End, Start, new_id};
use crate::config::{self, Environment};
use crate::event::{Data, StreamId, Timestamp, Trace, Traceparent};
use crate::source::spool::{Hold, Line, Place};

use child::Outcome as Ending;

/// Run a command as a session: it begins and ends with it, and events sent from inside belong to it.
///
/// The command's input, output, signals and exit code are its own (128 and the signal's number where a signal
/// killed it). In its environment stand WATCHPOST_SESSION, WATCHPOST_URL and TRACEPARENT. Its arguments are
/// recorded. Where no daemon answers, that is said once, and events go to the spool, which the daemon takes in
/// when it is back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions run -- make all
  watchpost sessions run --name nightly -- ./build.sh --clean")]
pub(super) struct Args {
    /// What the session is called in lists, before the command.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// How often the daemon is told that the session is alive; well below its `session.idle`.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = config::duration)]
    heartbeat: Duration,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A session that is on.
struct Running {
    id: StreamId,
    traceparent: String,
    place: Place,
    /// Held while there is nobody but the spool.
    spooling: Option<Hold>,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment) -> Outcome {
    let outlet = Outlet::new(reach, environment)?;
    let running = begin(args, &outlet, environment).await;
    let variables = variables(&running, &outlet);
    let ending = tokio::select! {
        ending = child::run(&args.command, &variables) => ending,
        () = beat(&running, &outlet, args.heartbeat) => unreachable!("it beats for ever"),
    };
    let code = ending.code();
    end(&running, &outlet, ending.end()).await;
    if let Ending::NotRun { error, .. } = &ending {
        tracing::error!("{}: {error}", args.command[0].to_string_lossy());
    }
    Ok(Exit::Command(code))
}

/// Begins the session, at the daemon or in the spool.
async fn begin(args: &Args, outlet: &Outlet, environment: &Environment) -> Running {
    let (id, ts) = (new_id(), Timestamp::now());
    let place = outlet.place(&id, environment);
    let caller: Option<Traceparent> = environment.get("TRACEPARENT").and_then(|text| text.parse().ok());
    let metadata = metadata::of(&args.command, args.name.as_deref(), environment);
    // A struct of texts: there is nothing that could fail to be written.
    let metadata = Data::from_value(&metadata).or_else(|_| Data::parse("{}".into()));
    let start = Start {
        id: Some(id.clone()),
        ts: Some(ts),
        traceparent: caller.as_ref().map(ToString::to_string),
        metadata: metadata.unwrap_or_else(|_| unreachable!("it is an object")),
    };
    let reason = match outlet.start(&start).await {
        Told::Answer(started) => {
            return Running { id, traceparent: started.traceparent, place, spooling: None };
        }
        Told::No(error) => error.to_string(),
        Told::Away(reason) => reason,
    };
    tracing::warn!("{reason}; the session {id} goes to {}", place.path().display());
    let spooling = place.hold().inspect_err(|error| tracing::warn!("the session is not recorded: {error}")).ok();
    let traceparent = Traceparent::of(&Trace::root(&id, ts, caller.as_ref()), &id, ts).to_string();
    if spooling.is_some() {
        spool(&place, &Line::Start(start));
    }
    Running { id, traceparent, place, spooling }
}

/// What the command finds in its environment.
fn variables(running: &Running, outlet: &Outlet) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![
        ("TRACEPARENT", running.traceparent.clone().into()),
        ("WATCHPOST_SESSION", running.id.as_str().into()),
        ("WATCHPOST_SPOOL", running.place.path().into()),
    ];
    variables.extend(outlet.client.as_ref().map(|client| ("WATCHPOST_URL", client.url().into())));
    variables
}

/// Tells the daemon again and again that the session is alive. A held spool file says the same.
async fn beat(running: &Running, outlet: &Outlet, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let (Some(client), None) = (&outlet.client, &running.spooling)
            && let Err(error) = client.heartbeat(&running.id).await
        {
            tracing::debug!("a heartbeat was not heard: {error}");
        }
    }
}

/// Ends the session where it is on.
async fn end(running: &Running, outlet: &Outlet, end: End) {
    let end = End { ts: Some(Timestamp::now()), ..end };
    let line = Line::End(end.clone());
    if running.spooling.is_some() {
        return spool(&running.place, &line);
    }
    if behind(&running.place, &line) {
        return;
    }
    match outlet.end(&running.id, &end).await {
        Told::Answer(()) => {}
        // It has ended itself.
        Told::No(crate::client::Error::Refused { status: 409, .. }) => {}
        Told::No(error) => tracing::warn!("the session {} was not ended: {error}", running.id),
        Told::Away(reason) => {
            tracing::warn!("{reason}; the end of the session goes to {}", running.place.path().display());
            spool(&running.place, &line);
        }
    }
}
