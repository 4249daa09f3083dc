//! A spool file as its writers see it: lines are added at its end, each by one write.
//!
//! Whoever writes holds a shared lock of the file, so that the daemon, which takes an exclusive one, removes
//! nothing that somebody is about to add to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Line;
use crate::event::StreamId;

/// The most bytes that all files of a spool may have together.
pub const MAX_SPOOL: u64 = 256 << 20;

/// Why a line was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spool has as much as it may.
    #[error("the spool {} has {} MiB already, and takes no more", .0.display(), MAX_SPOOL >> 20)]
    Full(PathBuf),
    /// The file cannot be written.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// The file of one session, which may be there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

/// A file that is kept open, so that it is not removed: its writer is alive.
#[derive(Debug)]
pub struct Hold {
    _locked: File,
}

impl Place {
    /// That of a session, in the folder of the spool.
    pub fn new(spool: &Path, session: &StreamId) -> Self {
        Self(spool.join(format!("{session}.jsonl")))
    }

    /// That path.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is there: then what comes next goes there too, as it would pass the rest otherwise.
    pub fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// Makes it, where it is not there, and holds it until the answer is dropped.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn hold(&self) -> Result<Hold, Error> {
        loop {
            if let Some(file) = self.open(true)? {
                return Ok(Hold { _locked: file });
            }
        }
    }

    /// Adds a line, and makes it durable; makes the file, where it is not there.
    ///
    /// # Errors
    /// There is no room in the spool, or it cannot be written.
    pub fn append(&self, line: &Line) -> Result<(), Error> {
        loop {
            if let Some(file) = self.open(true)? {
                return self.add(file, line);
            }
        }
    }

    /// Adds a line where the file is there; answers whether it was.
    ///
    /// # Errors
    /// As [`Place::append`].
    pub fn append_if_there(&self, line: &Line) -> Result<bool, Error> {
        loop {
            match self.open(false) {
                Ok(Some(file)) => return self.add(file, line).map(|()| true),
                Ok(None) => {}
                Err(Error::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens it and locks it; nothing where it was removed meanwhile.
    fn open(&self, make: bool) -> Result<Option<File>, Error> {
        let failed = |error| Error::Io(self.0.clone(), error);
        if let Some(dir) = self.0.parent().filter(|_| make) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(make).mode(0o600).open(&self.0);
        let file = file.map_err(failed)?;
        file.lock_shared().map_err(failed)?;
        let links = file.metadata().map_err(failed)?.nlink();
        Ok((links > 0).then_some(file))
    }

    fn add(&self, mut file: File, line: &Line) -> Result<(), Error> {
        let failed = |error| Error::Io(self.0.clone(), error);
        let spool = self.0.parent().unwrap_or(Path::new("."));
        let mut text = line.write();
        if taken(spool).map_err(failed)? + text.len() as u64 > MAX_SPOOL {
            return Err(Error::Full(spool.to_owned()));
        }
        text.push('\n');
        if is_torn(&mut file).map_err(failed)? {
            // A full disk cut the line before: it must not take this one along.
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
    }
}

/// Whether the last line has no end.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The bytes of all files in a spool, those set aside too.
fn taken(spool: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for dir in [spool, &spool.join(super::ASIDE)] {
        match fs::read_dir(dir) {
            Ok(files) => {
                bytes += files.filter_map(|file| file.ok()?.metadata().ok()).map(|meta| meta.len()).sum::<u64>()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
