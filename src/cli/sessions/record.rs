//! `watchpost sessions record`: what a program prints, line by line.

use std::io::Write;

use tokio::io::{AsyncReadExt, stdin};

use super::super::exit::{Exit, Failure, Outcome};
use super::super::line::printable;
use super::super::out::Out;
use super::super::{filter, reach};
use super::emit;
use crate::client::sessions::{End, Refused, Settings, Start, Started, Writer};
use crate::config::Environment;
use crate::event::session::SessionStarted;
use crate::event::{Data, StreamId};
use crate::source::jsonl::{Line, Lines};

/// So many bytes are read at a time.
const CHUNK: usize = 64 * 1024;

/// Send the events that stand on the standard input, one JSON object a line; prints the session's id.
///
/// They go to the session that is named, or around (in `sessions run`), else to a new one that ends with the
/// input. A bad line is told with its number, and the others are stored all the same; then the exit code is 1.
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

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let client = reach.client(environment)?;
    let around = if args.name.is_some() { None } else { emit::session(args.session.as_ref(), environment)? };
    let is_new = around.is_none();
    let writer = match around {
        Some(id) => {
            // So that a session that is not there is told before anything is read.
            client.heartbeat(&id).await?;
            Writer::resume(client, Started { id, traceparent: String::new() }, Settings::default())
        }
        None => Writer::start(client, start(args)?, Settings::default()).await?,
    };
    out.line(writer.id().as_str())?;
    out.flush()?;
    let mut bad = 0;
    let read = feed(&writer, &mut bad).await;
    let tally = writer.flush().await;
    bad += tell(&writer);
    if is_new {
        let end = match &read {
            Ok(()) => End::completed(),
            Err(failure) => End::failed(failure.error.as_ref().map_or_else(String::new, ToString::to_string)),
        };
        match writer.end(&end).await {
            // One of the lines was its end.
            Ok(_) | Err(crate::client::Error::Refused { status: 409, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    read?;
    tracing::debug!("{} events stored", tally.stored);
    Ok(if bad == 0 { Exit::Ok } else { Exit::Found })
}

fn start(args: &Args) -> Result<Start, Failure> {
    let command = "watchpost sessions record";
    let metadata = SessionStarted {
        command: Some(command.into()),
        command_summary: Some(command.into()),
        name: args.name.as_deref().map(Into::into),
        ..SessionStarted::default()
    };
    let metadata = Data::from_value(&metadata).map_err(|error| Failure::new(Exit::Internal, error))?;
    Ok(Start { id: None, ts: None, traceparent: std::env::var("TRACEPARENT").ok(), metadata })
}

/// Hands line after line to the writer, as they come.
async fn feed(writer: &Writer, bad: &mut u64) -> Result<(), Failure> {
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
            match text {
                Ok(text) => match writer.line(number, text).await {
                    Ok(()) => {}
                    Err(Refused::Closed(reason)) => return Err(Failure::says(Exit::Unavailable, reason)),
                    Err(refused) => *bad += complain(number, &refused.to_string()),
                },
                Err(invalid) => *bad += complain(number, &invalid.to_string()),
            }
        }
        *bad += tell(writer);
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
