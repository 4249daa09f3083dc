//! A folder's content: read from the real disk, and written to it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::IFlags;

/// A file or a folder below the root; the root itself has the empty path.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) inode: u64,
    /// `None`: a folder.
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) synchronous: bool,
}

/// Reads a folder, parents before what is in them.
pub(crate) fn walk(root: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut todo = vec![String::new()];
    while let Some(path) = todo.pop() {
        let whole = root.join(&path);
        let meta = std::fs::metadata(&whole)?;
        if meta.is_dir() {
            for child in std::fs::read_dir(&whole)? {
                let name = child?.file_name().into_string().expect("names are UTF-8 here");
                todo.push(if path.is_empty() { name } else { format!("{path}/{name}") });
            }
            entries.push(Entry { path, inode: meta.ino(), content: None, synchronous: false });
        } else {
            let synchronous = is_synchronous(&std::fs::File::open(&whole)?);
            let content = Some(std::fs::read(&whole)?);
            entries.push(Entry { path, inode: meta.ino(), content, synchronous });
        }
    }
    Ok(entries)
}

/// Whether the file has the synchronous flag.
pub(crate) fn is_synchronous(file: &std::fs::File) -> bool {
    rustix::fs::ioctl_getflags(file).is_ok_and(|flags| flags.contains(IFlags::SYNC))
}

/// Sets or clears the synchronous flag.
pub(crate) fn set_synchronous(file: &std::fs::File, on: bool) -> io::Result<()> {
    let mut flags = rustix::fs::ioctl_getflags(file)?;
    flags.set(IFlags::SYNC, on);
    Ok(rustix::fs::ioctl_setflags(file, flags)?)
}

/// A folder as a power cut left it.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) folders: Vec<String>,
    /// Path, content, synchronous flag.
    pub(crate) files: Vec<(String, Vec<u8>, bool)>,
}

impl Image {
    /// Writes it into an empty folder.
    pub(crate) fn write_to(&self, root: &Path) -> io::Result<()> {
        std::fs::create_dir_all(root)?;
        for folder in &self.folders {
            std::fs::create_dir_all(root.join(folder))?;
        }
        for (path, content, synchronous) in &self.files {
            let whole = root.join(path);
            std::fs::create_dir_all(whole.parent().expect("a file is in a folder"))?;
            std::fs::write(&whole, content)?;
            if *synchronous {
                set_synchronous(&std::fs::File::open(&whole)?, true)?;
            }
        }
        Ok(())
    }
}
