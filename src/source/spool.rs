//! The spool: what programs wrote of their sessions while no daemon ran, taken in when one is there.
//!
//! A file is `{session}.jsonl`: how the session began (where that was not told to a daemon before), one event a
//! line, how it ended. It is taken while it is still being written, whole lines only, in order; it is removed when
//! all of it is durable and nobody holds it. How far it was taken stands in the store, and every line has an id,
//! so that a crash in the middle repeats nothing. What cannot be taken is set aside with the reason, in a folder
//! beside.

mod file;
mod line;
mod take;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::take::Taken;
use crate::event::StreamId;
use crate::session::Sessions;

pub use file::{Error, Hold, MAX_SPOOL, Place};
pub use line::{Line, Start};

/// The folder of what was set aside.
pub const ASIDE: &str = "aside";

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// The most files of one look.
const MAX_FILES: usize = 10_000;

/// The task of a daemon that takes what is in the spool.
pub struct Spool {
    dir: PathBuf,
    sessions: Sessions,
    /// Locked while this daemon is the one that takes.
    taker: Option<File>,
}

impl Spool {
    /// For that folder, which need not be there.
    pub fn new(dir: PathBuf, sessions: Sessions) -> Self {
        Self { dir, sessions, taker: None }
    }

    /// Runs until `stop`. What is wrong with a file is told in the log and keeps no other one back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let problem = match self.look(&stop).await {
                Ok(()) => String::new(),
                Err(problem) => problem,
            };
            if !problem.is_empty() && problem != told {
                tracing::warn!(spool = %self.dir.display(), "the spool is not taken now: {problem}");
            }
            told = problem;
        }
    }

    /// Two daemons would take half of a session each.
    fn be_alone(&mut self) -> Result<(), String> {
        if self.taker.is_none() {
            let lock = File::create(self.dir.join(TAKER)).map_err(|error| error.to_string())?;
            lock.try_lock().map_err(|error| format!("another daemon may take it ({error})"))?;
            self.taker = Some(lock);
        }
        Ok(())
    }

    /// Takes what is there now, the oldest session first.
    async fn look(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let files = list(&self.dir).map_err(|error| error.to_string())?;
        if files.is_empty() {
            return Ok(());
        }
        self.be_alone()?;
        let mut problem = None;
        for path in files {
            if stop.is_cancelled() {
                break;
            }
            let session = path.file_stem().and_then(|stem| StreamId::new(stem.to_string_lossy()).ok());
            let Some(session) = session else {
                set_aside(&self.dir, &path, "its name is no session's id");
                continue;
            };
            match take::take(&self.dir, &path, &session, &self.sessions, stop).await {
                Taken::Done => {}
                Taken::Later(reason) => problem = Some(reason),
                Taken::Unreadable(reason) => set_aside(&self.dir, &path, &reason),
            }
        }
        problem.map_or(Ok(()), Err)
    }
}

/// The file by whose lock a daemon keeps others of this machine away.
const TAKER: &str = "taker.lock";

/// The files in the folder, the oldest id first; none where there is no folder.
fn list(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ours = |path: &PathBuf| path.extension().is_some_and(|end| end == "jsonl") && !path.is_dir();
    let mut files: Vec<PathBuf> = paths.filter(ours).take(MAX_FILES).collect();
    files.sort();
    Ok(files)
}

/// Moves a file out of the way, and writes down why.
fn set_aside(dir: &Path, path: &Path, reason: &str) {
    let aside = dir.join(ASIDE);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // With a name of its own: the session may have left one there before.
    let to = aside.join(format!("{}-{name}", uuid::Uuid::now_v7().simple()));
    let moved = std::fs::create_dir_all(&aside)
        .and_then(|()| std::fs::rename(path, &to))
        .and_then(|()| std::fs::write(to.with_extension("reason"), format!("{reason}\n")));
    match moved {
        Ok(()) => tracing::warn!(file = %to.display(), "a file of the spool was set aside: {reason}"),
        Err(error) => tracing::error!(file = %path.display(), %error, "cannot be set aside: {reason}"),
    }
}
