//! Taking one file: from where it stands to its end, in order.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{ASIDE, Line, Start};
use crate::event::input::Input;
use crate::event::{Draft, Invalid, SenderId, StreamId};
use crate::session::{self, Sessions};
use crate::source::jsonl::{Lines, MAX_LINE};
use crate::store::{Store, Tree, Write as Record};

/// So many bytes are read at a time; more than a line may have.
const CHUNK: usize = 4 * MAX_LINE;

/// How it went with a file.
pub(super) enum Taken {
    /// All that is there now.
    Done,
    /// It must be tried again, from where it stands.
    Later(String),
    /// Nothing of it can be used.
    Unreadable(String),
}

/// How far a file was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// Tells the file from another one of the same name.
    inode: u64,
    bytes: u64,
    lines: u64,
}

/// Why a file is not gone on with.
enum Stop {
    Later(String),
    Unreadable(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Takes a file up to its end, and removes it when nobody holds it.
pub(super) async fn take(
    dir: &Path,
    path: &Path,
    session: &StreamId,
    sessions: &Sessions,
    stop: &CancellationToken,
) -> Taken {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Taken::Done,
        Err(error) => return Taken::Unreadable(error.to_string()),
    };
    let taker = Taker { dir, path, session, sessions, file };
    match taker.run(stop).await {
        Ok(()) => Taken::Done,
        Err(Stop::Later(reason)) => Taken::Later(format!("{}: {reason}", path.display())),
        Err(Stop::Unreadable(reason)) => Taken::Unreadable(reason),
    }
}

struct Taker<'a> {
    dir: &'a Path,
    path: &'a Path,
    session: &'a StreamId,
    sessions: &'a Sessions,
    file: File,
}

impl Taker<'_> {
    async fn run(mut self, stop: &CancellationToken) -> Result<(), Stop> {
        let mut at = self.position()?;
        while !stop.is_cancelled() {
            // The lock first: what is read behind it is all that there will be.
            let alone = match self.file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            };
            let chunk = self.read(at.bytes, alone)?;
            if chunk.is_empty() {
                return self.reached(alone);
            }
            // Nobody who wants to add something waits for ingest.
            self.file.unlock()?;
            at = self.chunk(at, &chunk).await?;
        }
        Ok(())
    }

    /// At the end: the file goes, or its writer is still there.
    fn reached(&self, alone: bool) -> Result<(), Stop> {
        if alone {
            // The position first: without it a file is read again, and nothing is stored twice.
            self.record(None)?;
            return Ok(std::fs::remove_file(self.path)?);
        }
        if let Err(error) = self.sessions.heartbeat(self.session) {
            tracing::debug!(session = %self.session, %error, "its spool file is held");
        }
        Ok(())
    }

    /// The next whole lines; of a file that nobody writes to any more also the last one without its end.
    fn read(&mut self, from: u64, alone: bool) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::new();
        self.file.seek(SeekFrom::Start(from))?;
        (&self.file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        let whole = chunk.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        match chunk.len() {
            // A line without end: it is taken by pieces, none of which can be read.
            CHUNK if whole == 0 => {}
            length if length < CHUNK && alone => {}
            _ => chunk.truncate(whole),
        }
        Ok(chunk)
    }

    async fn chunk(&self, at: Position, chunk: &[u8]) -> Result<Position, Stop> {
        let mut lines = Lines::default();
        let mut read = lines.feed(chunk);
        read.extend(lines.finish());
        let mut drafts = Vec::new();
        for line in read {
            let number = at.lines + line.number;
            let told = line.text.and_then(|text| Ok((Line::parse(&text)?, text)));
            let (line, text) = match told {
                Ok(told) => told,
                Err(invalid) => {
                    self.put_aside(number, &invalid.found, &invalid.to_string())?;
                    continue;
                }
            };
            match line {
                Line::Event(_) => match self.draft(number, &text) {
                    Ok(draft) => drafts.push((number, text, draft)),
                    Err(invalid) => self.put_aside(number, &text, &invalid.to_string())?,
                },
                Line::Start(start) => {
                    self.append(&mut drafts).await?;
                    self.begin(start).await?;
                }
                Line::End(end) => {
                    self.append(&mut drafts).await?;
                    let ended = self.sessions.end(self.session, end).await;
                    self.settle(number, &text, ended.map(|_| ()))?;
                }
            }
        }
        self.append(&mut drafts).await?;
        let breaks = chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        let next = Position { bytes: at.bytes + chunk.len() as u64, lines: at.lines + breaks, ..at };
        self.record(Some(&next))?;
        Ok(next)
    }

    fn draft(&self, number: u64, text: &str) -> Result<Draft, Invalid> {
        // Our own commands give each line an id. Another file of the same name has other ones.
        let made = self.file.metadata().and_then(|meta| meta.created()).ok();
        let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let fallback = SenderId::new(format!("spool/{}/{number}", made.as_nanos()))?;
        Input::parse(text)?.into_draft(self.session, Some(fallback))
    }

    async fn begin(&self, start: Start) -> Result<(), Stop> {
        if start.id.as_ref().is_some_and(|id| id != self.session) {
            return Err(Stop::Unreadable("start: it is of another session than the file's name".into()));
        }
        let traceparent = start.traceparent.map(|text| text.parse()).transpose();
        let traceparent = traceparent.map_err(|invalid: Invalid| Stop::Unreadable(invalid.to_string()))?;
        let start = session::Start {
            id: Some(self.session.clone()),
            ts: start.ts,
            traceparent,
            ..session::Start::from_data(start.metadata)
        };
        match self.sessions.begin(start).await {
            Ok(_) => Ok(()),
            Err(error) if can_wait(&error) => Err(Stop::Later(error.to_string())),
            Err(error) => Err(Stop::Unreadable(error.to_string())),
        }
    }

    /// Hands the events over that were collected.
    async fn append(&self, drafts: &mut Vec<(u64, String, Draft)>) -> Result<(), Stop> {
        let (lines, drafts): (Vec<_>, Vec<_>) =
            drafts.drain(..).map(|(number, text, draft)| ((number, text), draft)).unzip();
        if drafts.is_empty() {
            return Ok(());
        }
        let answers = self.sessions.append(self.session, drafts).await;
        for ((number, text), answer) in lines.iter().zip(answers) {
            self.settle(*number, text, answer.map(|_| ()))?;
        }
        Ok(())
    }

    fn settle(&self, number: u64, text: &str, answer: Result<(), session::Error>) -> Result<(), Stop> {
        match answer {
            Ok(()) => Ok(()),
            Err(error) if can_wait(&error) => Err(Stop::Later(error.to_string())),
            Err(session::Error::Ended(_)) => {
                tracing::warn!(session = %self.session, line = number, "a line of the spool came after the end");
                Ok(())
            }
            Err(error) => Ok(self.put_aside(number, text, &error.to_string())?),
        }
    }

    /// Keeps a line that cannot be taken.
    fn put_aside(&self, line: u64, text: &str, reason: &str) -> io::Result<()> {
        tracing::warn!(session = %self.session, line, "a line of the spool was set aside: {reason}");
        let aside = self.dir.join(ASIDE);
        std::fs::create_dir_all(&aside)?;
        let lines = aside.join(format!("{}.lines.jsonl", self.session));
        let mut file = OpenOptions::new().create(true).append(true).open(lines)?;
        let kept = serde_json::json!({ "line": line, "reason": reason, "text": text });
        file.write_all(format!("{kept}\n").as_bytes())
    }

    fn position(&self) -> Result<Position, Stop> {
        let inode = self.file.metadata()?.ino();
        let stored = self.store().get(Tree::Snapshots, &self.key());
        let stored = stored.map_err(|error| Stop::Later(error.to_string()))?;
        let known: Option<Position> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(known.filter(|known| known.inode == inode).unwrap_or(Position { inode, ..Position::default() }))
    }

    /// Without a flush: what is read again after a crash is not stored again.
    fn record(&self, position: Option<&Position>) -> Result<(), Stop> {
        let record = match position {
            // Three numbers: there is nothing that could fail to be written.
            Some(position) => {
                Record::put(Tree::Snapshots, self.key(), serde_json::to_vec(position).unwrap_or_default())
            }
            None => Record::remove(Tree::Snapshots, self.key()),
        };
        self.store().put(&[record]).map_err(|error| Stop::Later(error.to_string()))
    }

    fn store(&self) -> &Store {
        self.sessions.store()
    }

    /// No source has a colon in its name.
    fn key(&self) -> String {
        format!("spool:{}", self.session)
    }
}

/// Whether it is nothing about the line.
fn can_wait(error: &session::Error) -> bool {
    match error {
        session::Error::Ingest(_) | session::Error::Store(_) => true,
        _ => error.is_retryable(),
    }
}
