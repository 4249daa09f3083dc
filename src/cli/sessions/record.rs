//! `watchpost sessions record`: what a program prints, line by line.

mod adopt;
mod to;

use std::collections::VecDeque;
use std::io::Write;

use tokio::io::{AsyncReadExt, stdin};

use super::super::exit::{Exit, Failure, Outcome};
use super::super::line::printable;
use super::super::out::Out;
use super::super::{filter, reach};
use super::emit;
use super::run::metadata;
use crate::client::sessions::{End, Refusal, Settings, Start, Writer};
use crate::config::Environment;
use crate::event::session::SessionStarted;
use crate::event::{Data, Invalid, StreamId, Traceparent};
use crate::source::jsonl::{Line, Lines};

use adopt::{Adopted, Adopting};
use to::To;

/// So many bytes are read at a time.
const CHUNK: usize = 64 * 1024;

/// Send the events that stand on the standard input, one JSON object a line; prints the session's id.
///
/// They go to the session that is named, or around (in `sessions run`), by the spool where no daemon answers; else
/// to a new one, which begins with the first line and ends with the input. A first line of the type session_started
/// says what that begins with, and one of the type session_ended how it ends. So a session that was printed is
/// recorded anew: under another id, and without its interruptions.
///
/// A bad line is told with its number, and the others are stored all the same; then the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ./generate --events-as-json | watchpost sessions record --name nightly
  watchpost events query --session 019a0c3e-7b1a-7c3d-9e4f-0123456789ab --json | watchpost sessions record
  watchpost sessions record --session 019a0c3e-7b1a-7c3d-9e4f-0123456789ab < events.jsonl")]
pub(super) struct Args {
    /// What a new session is called in lists, before the command.
    #[arg(long, value_name = "TEXT", conflicts_with = "session")]
    name: Option<String>,
    /// The session [env: WATCHPOST_SESSION].
    #[arg(long, value_name = "ID", value_parser = filter::session)]
    session: Option<StreamId>,
}

pub(super) async fn run(args: &Args, reach: &reach::Args, environment: &Environment, out: &mut Out) -> Outcome {
    let around = if args.name.is_some() { None } else { emit::session(args.session.as_ref(), environment)? };
    let mut recording = Recording::default();
    let to = match around {
        Some(id) => To::resume(id, reach, environment).await?,
        None => {
            let client = reach.client(environment)?;
            let start = recording.start(args, environment).await?;
            To::Daemon(Writer::start(client, start, Settings::default()).await?)
        }
    };
    out.line(to.id().as_str())?;
    out.flush()?;
    let read = recording.feed(&to).await;
    if let To::Daemon(writer) = &to {
        writer.flush().await;
        recording.tell(&to);
    }
    if let (To::Daemon(writer), true) = (to, recording.is_to_end()) {
        end(writer, &read).await?;
    }
    read?;
    Ok(if recording.bad == 0 { Exit::Ok } else { Exit::Found })
}

async fn end(writer: Writer, read: &Result<(), Failure>) -> Result<(), Failure> {
    let end = match read {
        Ok(()) => End::completed(),
        Err(failure) => End::failed(failure.error.as_ref().map_or_else(String::new, ToString::to_string)),
    };
    match writer.end(&end).await {
        // Somebody else has ended it.
        Ok(_) | Err(crate::client::Error::Refused { status: 409, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What is read, and what became of it.
#[derive(Default)]
struct Recording {
    lines: Lines,
    /// Lines that were read and not handed on.
    ready: VecDeque<Line>,
    is_over: bool,
    /// Where the session is a new one.
    adopting: Option<Adopting>,
    /// The line that ends the session.
    end: Option<u64>,
    /// How many lines were not taken.
    bad: u64,
}

impl Recording {
    /// What a new session begins with: its first line, where that says so.
    async fn start(&mut self, args: &Args, environment: &Environment) -> Result<Start, Failure> {
        self.read().await?;
        let adopting = self.adopting.insert(Adopting::default());
        let begun = match self.ready.front() {
            Some(Line { text: Ok(text), .. }) => adopting.begin(text),
            _ => Ok(None),
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(invalid) => {
                let number = self.ready.pop_front().map_or(1, |line| line.number);
                self.complain(number, &invalid.to_string());
                None
            }
        };
        let (ts, metadata) = match begun {
            Some(begun) => {
                self.ready.pop_front();
                (begun.ts, begun.data)
            }
            None => (None, unsaid().map_err(|error| Failure::new(Exit::Internal, error))?),
        };
        let metadata = match &args.name {
            Some(name) => named(&metadata, name).map_err(|error| Failure::new(Exit::Usage, error))?,
            None => metadata,
        };
        // W3C: a context that is none is passed over.
        let caller = environment.get("TRACEPARENT").filter(|text| text.parse::<Traceparent>().is_ok());
        Ok(Start { id: None, ts, traceparent: caller.cloned(), metadata })
    }

    /// Hands line after line over, as they come.
    async fn feed(&mut self, to: &To) -> Result<(), Failure> {
        loop {
            while let Some(Line { number, text }) = self.ready.pop_front() {
                match text.and_then(|text| self.adopt(number, text)) {
                    Ok(None) => {}
                    Ok(Some(text)) => {
                        if let Some(refusal) = to.take(number, text).await? {
                            self.refused(&refusal);
                        }
                    }
                    Err(invalid) => self.complain(number, &invalid.to_string()),
                }
                self.tell(to);
            }
            if self.is_over {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Reads until there is a line, or no more.
    async fn read(&mut self) -> Result<(), Failure> {
        let (mut input, mut chunk) = (stdin(), vec![0; CHUNK]);
        while self.ready.is_empty() && !self.is_over {
            let read = input.read(&mut chunk).await;
            let length =
                read.map_err(|error| Failure::says(Exit::Unavailable, format!("the standard input: {error}")))?;
            self.ready.extend(self.lines.feed(&chunk[..length]));
            self.is_over = length == 0;
            if self.is_over {
                self.ready.extend(self.lines.finish());
            }
        }
        Ok(())
    }

    /// A line as it is sent; nothing where it says nothing of this session.
    fn adopt(&mut self, number: u64, text: String) -> Result<Option<String>, Invalid> {
        let Some(adopting) = &mut self.adopting else { return Ok(Some(text)) };
        Ok(match adopting.line(text)? {
            Adopted::Nothing => None,
            Adopted::Event(text) => Some(text),
            Adopted::End(text) => {
                self.end.get_or_insert(number);
                Some(text)
            }
        })
    }

    /// Whether the session has begun here, and has no end.
    fn is_to_end(&self) -> bool {
        self.adopting.is_some() && self.end.is_none()
    }

    /// Tells of the lines that the daemon has refused so far.
    fn tell(&mut self, to: &To) {
        to.refusals().iter().for_each(|refusal| self.refused(refusal));
    }

    fn refused(&mut self, refusal: &Refusal) {
        self.end.take_if(|end| *end == refusal.number);
        self.complain(refusal.number, &refusal.reason);
    }

    fn complain(&mut self, number: u64, reason: &str) {
        // Where that cannot be written either, the exit code says it.
        let _nobody_hears = writeln!(std::io::stderr(), "line {number}: {}", printable(reason));
        self.bad += 1;
    }
}

/// What a session begins with that does not say.
fn unsaid() -> Result<Data, Invalid> {
    let command = "watchpost sessions record";
    Data::from_value(&SessionStarted {
        command: Some(command.into()),
        command_summary: Some(command.into()),
        ..SessionStarted::default()
    })
}

fn named(metadata: &Data, name: &str) -> anyhow::Result<Data> {
    let mut fields: serde_json::Map<String, serde_json::Value> = metadata.read()?;
    let command = ["command_summary", "command"].into_iter().find_map(|key| fields.get(key)?.as_str());
    let summary = metadata::summary(Some(name), command.unwrap_or("watchpost sessions record"));
    fields.insert("command_summary".into(), summary.into());
    fields.insert("name".into(), name.into());
    Ok(Data::from_value(&fields)?)
}
