//! The store's folder: who holds it, which format it has, and the synchronous flag of its file.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held by the process whose id it has |
//! | `making` | there until the store is made: what stands beside it may be half |
//! | `format` | the format's version and who made it |
//! | `db`, `conf`, `snap.*` | sled's own |

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags, statvfs};

use super::Error;

/// The format that this build reads and writes.
pub const FORMAT: u32 = 1;

/// The name of the file that is there while a store is being made.
const MAKING: &str = "making";

/// The folder, held until this is dropped.
pub(super) struct Dir {
    path: PathBuf,
    _lock: File,
}

impl Dir {
    /// Makes the folder where it is missing, holds it, and checks what it is.
    pub(super) fn hold(path: &Path, unsafe_fs: bool) -> Result<Self, Error> {
        // Events tell of other people's processes: the folder is its owner's alone.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| io(path, "cannot be made", &e))?;
        let lock = lock(path)?;
        if !check_format(path)? {
            begin(path)?;
        }
        set_synchronous(path, unsafe_fs)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the snapshots that sled had not written to their end when it was killed, cut off or out of room:
    /// it takes one for the newest and opens no more. The one before is there as long as such a one is.
    pub(super) fn remove_unfinished(&self) -> Result<(), Error> {
        let unfinished = |name: &str| name.starts_with("snap.") && name.ends_with(".generating");
        remove(&self.path, unfinished).map_err(|e| io(&self.path, "cannot be read", &e))
    }

    /// Ends the making of a store, once sled has its files: until then a power cut may leave half of them,
    /// as sled never syncs its `conf`. Does nothing where the store was made before.
    pub(super) fn made(&self) -> Result<(), Error> {
        let (making, format) = (self.path.join(MAKING), self.path.join("format"));
        if !making.exists() {
            return Ok(());
        }
        let synced = ["conf", "db"].iter().try_for_each(|name| File::open(self.path.join(name))?.sync_all());
        let told = synced.and_then(|()| write_durable(&format, &format!("watchpost-store {FORMAT}\n")));
        let ended = told.and_then(|()| fs::remove_file(&making)).and_then(|()| sync_dir(&self.path));
        ended.map_err(|e| io(&self.path, "cannot be made a store", &e))
    }

    /// The bytes that the file system has left for us.
    pub(super) fn free(&self) -> Option<u64> {
        let stat = statvfs(&self.path).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Whether there is a store in that folder, be it a broken one. Opening one where there is none would make it.
pub fn is_there(dir: &Path) -> bool {
    ["format", MAKING, "db"].iter().any(|name| dir.join(name).exists())
}

fn io(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::Io(format!("{} {what}: {error}", path.display()))
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = opened.map_err(|e| io(&path, "cannot be opened", &e))?;
    match file.try_lock() {
        Ok(()) => {
            let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            written.map_err(|e| io(&path, "cannot be written", &e))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut pid));
            Err(Error::Locked { dir: dir.to_owned(), pid: pid.trim().parse().ok() })
        }
        Err(TryLockError::Error(e)) => Err(io(&path, "cannot be locked", &e)),
    }
}

/// Whether there is a store already, which must be one that this build reads.
fn check_format(dir: &Path) -> Result<bool, Error> {
    let path = dir.join("format");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let word = text.split_whitespace().nth(1).unwrap_or_default();
            let found = word.parse().map_err(|_| Error::Corrupt(format!("{}: {text:?}", path.display())))?;
            if found > FORMAT { Err(Error::NewerFormat { found, known: FORMAT }) } else { Ok(true) }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io(&path, "cannot be read", &e)),
    }
}

/// Begins to make a store: what an attempt that was cut off has left goes.
fn begin(dir: &Path) -> Result<(), Error> {
    let making = dir.join(MAKING);
    if making.exists() {
        clear(dir).map_err(|e| io(dir, "cannot be cleared", &e))?;
    } else if dir.join("db").metadata().is_ok_and(|db| db.len() > 0) {
        return Err(Error::Corrupt(format!("{} has a database and no `format` file", dir.display())));
    }
    write_durable(&making, "").map_err(|e| io(&making, "cannot be written", &e))
}

/// Removes sled's files.
fn clear(dir: &Path) -> std::io::Result<()> {
    remove(dir, |name| ["db", "conf", "blobs"].contains(&name) || name.starts_with("snap."))?;
    sync_dir(dir)
}

/// Removes what has such a name.
fn remove(dir: &Path, named: impl Fn(&str) -> bool) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.path() {
            _ if !named(&entry.file_name().to_string_lossy()) => {}
            path if entry.file_type()?.is_dir() => fs::remove_dir_all(path)?,
            path => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// Writes a small file so that either all of it is there after a crash, or nothing.
fn write_durable(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn sync_dir(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes every write to sled's file synchronous: its `flush` is none, and without this a power cut can take
/// acknowledged events or the whole database with it.
fn set_synchronous(dir: &Path, unsafe_fs: bool) -> Result<(), Error> {
    let path = dir.join("db");
    // One with nothing in it has lost nothing yet.
    let fresh = path.metadata().map_or(true, |db| db.len() == 0);
    let opened = File::options().create(true).append(true).open(&path);
    let file = opened.map_err(|e| io(&path, "cannot be opened", &e))?;
    let flags = ioctl_getflags(&file);
    let set = flags.and_then(|flags| {
        if !flags.contains(IFlags::SYNC) && fresh {
            ioctl_setflags(&file, flags | IFlags::SYNC)?;
        }
        Ok(ioctl_getflags(&file)?.contains(IFlags::SYNC))
    });
    if fresh {
        let synced = file.sync_all().and_then(|()| sync_dir(dir));
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        synced.and_then(|()| sync_dir(parent)).map_err(|e| io(dir, "cannot be synced", &e))?;
    }
    match set {
        Ok(true) => Ok(()),
        _ if unsafe_fs => {
            tracing::warn!(dir = %dir.display(), "no synchronous flag: a power cut can lose acknowledged events");
            Ok(())
        }
        _ => Err(Error::UnsafeFs(dir.to_owned())),
    }
}
