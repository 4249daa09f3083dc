//! `watchpost sessions record`: what a program prints, line by line.

use std::io::Write;

use tokio::io::{AsyncReadExt, stdin};
use uuid::Uuid;

use super::super::exit::{Exit, Failure, Outcome};
use super::super::line::printable;
use super::super::out::Out;
use super::super::{filter, reach};
use super::emit;
use super::outlet::{Outlet, Told};
use crate::client::sessions::{End, Refused, Settings, Start, Started, Writer};
use crate::config::Environment;
use crate::event::session::SessionStarted;
use crate::event::{Data, Input, StreamId, Traceparent};
use crate::source::jsonl::{Line, Lines};
use crate::source::spool::{self, Place};

/// So many bytes are read at a time.
const CHUNK: usize = 64 * 1024;

/// Send the events that stand on the standard input, one JSON object a line; prints the session's id.
///
/// They go to the session that is named, or around (in `sessions run`), else to a new one that ends with the
/// input. To a session that is there they go by the spool, where no daemon answers. A bad line is told with its number, and the others are stored all the same; then the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ./generate --events-as-json | watchpost sessions record --name nightly
  watchpost sessions record --session 019a0c3e-7b1a-7c3d-9e4f-0123456789ab < events.jsonl")]
pub(super) struct Args {
    /// What a new session is called in lists.
    #[arg(long, value_name = "TEXT", conflicts_with = "session")]
    name: Option<String>,
    /// The session [env: WATCHPOST_SESSION].
    #[arg(long, value_name = "ID", value_parser = filter::session)]
    session: Option<StreamId>,
}

/// Where the lines go.
enum To {
    /// To the daemon.
    Daemon(Writer),
    /// To the spool, as something waits there already, or no daemon is there.
    Spool(Place, StreamId),
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let around = if args.name.is_some() { None } else { emit::session(args.session.as_ref(), environment)? };
    let is_new = around.is_none();
    let to = match around {
        Some(id) => resume(id, reach, environment).await?,
        None => {
            let client = reach.client(environment)?;
            To::Daemon(Writer::start(client, start(args, environment)?, Settings::default()).await?)
        }
    };
    out.line(to.id().as_str())?;
    out.flush()?;
    let mut bad = 0;
    let read = feed(&to, &mut bad).await;
    if let To::Daemon(writer) = to {
        writer.flush().await;
        bad += tell(&writer);
        if is_new {
            end(writer, &read).await?;
        }
    }
    read?;
    Ok(if bad == 0 { Exit::Ok } else { Exit::Found })
}

/// The way to a session that is there.
async fn resume(id: StreamId, reach: &reach::Args, environment: &Environment) -> Result<To, Failure> {
    let outlet = Outlet::new(reach, environment)?;
    let place = outlet.place(&id, environment);
    if place.is_there() {
        return Ok(To::Spool(place, id));
    }
    // So that a session that is not there is told before anything is read.
    match (outlet.beat(&id).await, outlet.client) {
        (Told::No(error), _) => Err(error.into()),
        (Told::Answer(()), Some(client)) => {
            let started = Started { id, traceparent: String::new() };
            Ok(To::Daemon(Writer::resume(client, started, Settings::default())))
        }
        (Told::Answer(()), None) => Err(Failure::says(Exit::Internal, "no daemon, and an answer of one")),
        (Told::Away(reason), _) => {
            tracing::warn!("{reason}; events of {id} go to {}", place.path().display());
            Ok(To::Spool(place, id))
        }
    }
}

async fn end(writer: Writer, read: &Result<(), Failure>) -> Result<(), Failure> {
    let end = match read {
        Ok(()) => End::completed(),
        Err(failure) => End::failed(failure.error.as_ref().map_or_else(String::new, ToString::to_string)),
    };
    match writer.end(&end).await {
        // One of the lines was its end.
        Ok(_) | Err(crate::client::Error::Refused { status: 409, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl To {
    fn id(&self) -> &StreamId {
        match self {
            Self::Daemon(writer) => writer.id(),
            Self::Spool(_, id) => id,
        }
    }

    /// Takes a line; answers how many bad ones it was.
    async fn take(&self, number: u64, text: String) -> Result<u64, Failure> {
        match self {
            Self::Daemon(writer) => match writer.line(number, text).await {
                Ok(()) => Ok(tell(writer)),
                Err(Refused::Closed(reason)) => Err(Failure::says(Exit::Unavailable, reason)),
                Err(refused) => Ok(complain(number, &refused.to_string())),
            },
            Self::Spool(place, id) => {
                let read = Input::parse(&text).and_then(|input| {
                    let own = input.id.is_some();
                    input.into_draft(id, None).map(|_| own)
                });
                let line = match read {
                    Ok(true) => text,
                    // With an id it is stored once, however often it is taken. It is an object that has a type.
                    Ok(false) => text.replacen('{', &format!("{{\"id\":\"{}\",", Uuid::now_v7()), 1),
                    Err(invalid) => return Ok(complain(number, &invalid.to_string())),
                };
                let kept = place.append(&spool::Line::Event(line));
                kept.map(|()| 0).map_err(|error| Failure::new(Exit::Unavailable, error))
            }
        }
    }
}

fn start(args: &Args, environment: &Environment) -> Result<Start, Failure> {
    let command = "watchpost sessions record";
    let metadata = SessionStarted {
        command: Some(command.into()),
        command_summary: Some(command.into()),
        name: args.name.as_deref().map(Into::into),
        ..SessionStarted::default()
    };
    // W3C: a context that is none is passed over.
    let traceparent: Option<Traceparent> = environment.get("TRACEPARENT").and_then(|text| text.parse().ok());
    let metadata = Data::from_value(&metadata).map_err(|error| Failure::new(Exit::Internal, error))?;
    Ok(Start { id: None, ts: None, traceparent: traceparent.map(|caller| caller.to_string()), metadata })
}

/// Hands line after line over, as they come.
async fn feed(to: &To, bad: &mut u64) -> Result<(), Failure> {
    let (mut input, mut lines, mut chunk) = (stdin(), Lines::default(), vec![0; CHUNK]);
    loop {
        let read = input.read(&mut chunk).await;
        let length =
            read.map_err(|error| Failure::says(Exit::Unavailable, format!("the standard input: {error}")))?;
        let mut ready = lines.feed(&chunk[..length]);
        if length == 0 {
            ready.extend(lines.finish());
        }
        for Line { number, text } in ready {
            *bad += match text {
                Ok(text) => to.take(number, text).await?,
                Err(invalid) => complain(number, &invalid.to_string()),
            };
        }
        if length == 0 {
            return Ok(());
        }
    }
}

/// Tells of the lines that the daemon has refused so far, and counts them.
fn tell(writer: &Writer) -> u64 {
    writer.take_refusals().iter().map(|refusal| complain(refusal.number, &refusal.reason)).sum()
}

fn complain(number: u64, reason: &str) -> u64 {
    // Where that cannot be written either, the exit code says it.
    let _nobody_hears = writeln!(std::io::stderr(), "line {number}: {}", printable(reason));
    1
}
