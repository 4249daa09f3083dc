//! `watchpost sessions emit`: one event, from a shell.

use std::io::{self, Read};

use serde::Serialize;
use uuid::Uuid;

use super::super::exit::{Exit, Failure, Outcome};
use super::super::{filter, reach};
use super::outlet::{Outlet, Told, behind, spool};
use crate::config::Environment;
use crate::event::{Data, Kind, MAX_EVENT_BYTES, StreamId, Timestamp};
use crate::source::spool::Line;

/// Send one event to a session; done when it is durable.
///
/// Inside of `sessions run` the session is known. Where no daemon answers, that is said once, and the event goes
/// to the spool.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost sessions emit level_started --data '{\"level_index\":0,\"total_count\":12}'
  jq -c .summary report.json | watchpost sessions emit tests_done --data -
  watchpost sessions emit note --session 019a0c3e-7b1a-7c3d-9e4f-0123456789ab")]
pub(super) struct Args {
    /// Its type: snake_case.
    #[arg(value_name = "TYPE", value_parser = filter::kind)]
    kind: Kind,
    /// Its data: a JSON object, or `-` to read one from the standard input.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// The session [env: WATCHPOST_SESSION].
    #[arg(long, value_name = "ID", value_parser = filter::session)]
    session: Option<StreamId>,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment) -> Outcome {
    let event = event(&args.kind, &args.data)?;
    let session = session(args.session.as_ref(), environment)?;
    let session =
        session.ok_or_else(|| Failure::says(Exit::Usage, "give --session ID, or set WATCHPOST_SESSION"))?;
    let outlet = Outlet::new(reach, environment)?;
    let place = outlet.place(&session, environment);
    let line = Line::Event(event);
    if behind(&place, &line) {
        return Ok(Exit::Ok);
    }
    match outlet.send(&session, &line.write()).await {
        Told::Answer(()) => {}
        Told::No(error) => return Err(error.into()),
        Told::Away(reason) => {
            tracing::warn!("{reason}; events of {session} go to {}", place.path().display());
            spool(&place, &line);
        }
    }
    Ok(Exit::Ok)
}

/// The session that was named, else the one around.
pub(super) fn session(named: Option<&StreamId>, environment: &Environment) -> Result<Option<StreamId>, Failure> {
    let around = || environment.get("WATCHPOST_SESSION").filter(|id| !id.is_empty()).map(StreamId::new);
    let around =
        || around().transpose().map_err(|error| Failure::says(Exit::Usage, format!("WATCHPOST_SESSION: {error}")));
    named.cloned().map_or_else(around, |id| Ok(Some(id)))
}

/// The event as a sender writes it, with an id and the present time: it may be sent again, and later.
fn event(kind: &Kind, data: &str) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Event<'a> {
        id: Uuid,
        ts: Timestamp,
        #[serde(rename = "type")]
        kind: &'a Kind,
        data: &'a Data,
    }
    let data = if data == "-" { input()? } else { data.to_owned() };
    let usage = |error: crate::event::Invalid| Failure::says(Exit::Usage, format!("--data: {error}"));
    let data = Data::parse(data.trim().to_owned()).map_err(usage)?;
    let event = Event { id: Uuid::now_v7(), ts: Timestamp::now(), kind, data: &data };
    let event = serde_json::to_string(&event).map_err(|error| Failure::new(Exit::Internal, error))?;
    match event.len() <= MAX_EVENT_BYTES {
        true => Ok(event),
        false => {
            let expected = format!("an event of at most {MAX_EVENT_BYTES} bytes");
            Err(usage(crate::event::Invalid::new("data", "", expected)))
        }
    }
}

/// The standard input, as far as an event may be long.
fn input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().take(MAX_EVENT_BYTES as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::says(Exit::Usage, format!("--data -: the standard input: {error}")))?;
    Ok(text)
}
