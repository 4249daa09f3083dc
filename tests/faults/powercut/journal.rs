//! The journal that `powercut.c` writes, read back record by record.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// One thing that the writer did, in the order in which it did them. Inodes name files, tokens join the
/// end of a call with its start, paths are below the recorded folder.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// A write begins: from here on, any part of it may be on the disk.
    Write { inode: u64, token: u64, offset: u64, data: Arc<[u8]> },
    /// It has ended; on a synchronous file, what was written is durable.
    Written { inode: u64, token: u64, bytes: usize, synchronous: bool },
    /// A sync begins: it covers the writes that had ended by then.
    Sync { inode: u64, token: u64 },
    /// It has ended well.
    Synced { token: u64 },
    /// `sync_file_range`: nothing is durable by it.
    Range,
    /// A file's length was set.
    Truncate { inode: u64, len: u64 },
    /// A file was made.
    Create { inode: u64, path: String },
    /// A folder was made.
    MakeDir { inode: u64, path: String },
    /// A name was changed.
    Rename { from: String, to: String },
    /// A name was removed.
    Remove { path: String },
    /// The writer told what is durable.
    Ack(Arc<[u8]>),
}

/// Reads all records. A record that is cut off at the end (the writer was killed) is left out.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut input = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let mut records = Vec::new();
    while let Some(record) = read_one(&mut input)? {
        records.push(record);
    }
    Ok(records)
}

fn read_one(input: &mut impl Read) -> io::Result<Option<Record>> {
    let mut head = [0; 40];
    if !fill(input, &mut head)? {
        return Ok(None);
    }
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes"));
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
    let (kind, synchronous, inode, at, token) = (word(0), word(4) == 1, long(8), long(16), long(24));
    let (mut first, mut second) = (vec![0; word(32) as usize], vec![0; word(36) as usize]);
    if !(fill(input, &mut first)? && fill(input, &mut second)?) {
        return Ok(None);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a path is UTF-8 here");
    Ok(Some(match kind {
        1 => Record::Write { inode, token, offset: at, data: first.into() },
        2 => Record::Written { inode, token, bytes: at as usize, synchronous },
        3 => Record::Sync { inode, token },
        4 => Record::Synced { token },
        5 => Record::Range,
        6 => Record::Truncate { inode, len: at },
        7 => Record::Create { inode, path: text(&first) },
        8 => Record::MakeDir { inode, path: text(&first) },
        9 => Record::Rename { from: text(&first), to: text(&second) },
        10 => Record::Remove { path: text(&first) },
        11 => Record::Ack(first.into()),
        _ => panic!("the writer used {} on {}, which powercut.c does not follow", text(&first), text(&second)),
    }))
}

/// Whether there was enough to fill the buffer.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
