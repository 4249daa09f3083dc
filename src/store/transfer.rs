//! Export, import, and giving disk back.
//!
//! An export is JSON Lines: the store's head, every event in the order of the log with its offset, every
//! stream, the remembered ids, and every record beside the log. Imported into an empty store it gives the same store again.

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::engine::{Op, Tree};
use super::head::Head;
use super::runs;
use super::{Error, Store, StreamInfo, ids, key, lifecycle, parts, prune, read};
use crate::config;
use crate::event::{Event, Logged, Offset, StreamId};

/// The trees beside the log.
pub(super) const SIDE: [Tree; 8] = [
    Tree::Sessions,
    Tree::Cursors,
    Tree::Folds,
    Tree::DeadLetters,
    Tree::Jobs,
    Tree::Snapshots,
    Tree::Writers,
    Tree::Idempotency,
];
/// One line of an export has at most so many bytes.
const MAX_LINE: u64 = 4 << 20;
/// Events and records are imported so many at once.
const BATCH: usize = 512;

/// One line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// The first.
    Store {
        format: u32,
        log_end: Offset,
    },
    Event {
        offset: Offset,
        sent_id: bool,
        event: Box<Event>,
    },
    Stream {
        id: StreamId,
        first_seq: u64,
        next_seq: u64,
        status: super::Status,
    },
    /// The value as text where it is UTF-8, else as hex.
    Record {
        tree: String,
        key: String,
        text: Option<String>,
        hex: Option<String>,
    },
    /// A record of the ids that senders gave, as hex: of trimmed events it is all that is left.
    Ids {
        key: String,
        value: String,
    },
}

/// What a compaction gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
}

impl Store {
    /// Writes the whole store; what is committed meanwhile is not in it.
    pub fn export(&self, to: &mut impl Write) -> Result<u64, Error> {
        let mut events = 0;
        self.lines(&mut |line| {
            events += u64::from(matches!(line, Line::Event { .. }));
            let mut text = serde_json::to_vec(&line).map_err(|e| Error::Corrupt(e.to_string()))?;
            text.push(b'\n');
            to.write_all(&text).map_err(|e| Error::Io(e.to_string()))
        })?;
        to.flush().map_err(|e| Error::Io(e.to_string()))?;
        Ok(events)
    }

    /// Reads an export into this store, which must be empty; answers how many events came.
    ///
    /// # Errors
    /// A line that is none of an export is named by its number; what came before it is in the store.
    pub fn import(&self, from: &mut impl BufRead) -> Result<u64, Error> {
        let mut importer = Importer::new(self)?;
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            let read = std::io::Read::take(&mut *from, MAX_LINE).read_until(b'\n', &mut text);
            if read.map_err(|e| Error::Io(e.to_string()))? == 0 {
                break;
            }
            let line = serde_json::from_slice(&text);
            importer.take(line.map_err(|e| Error::Corrupt(format!("line {number} of the export: {e}")))?)?;
        }
        importer.finish()
    }

    fn lines(&self, take: &mut dyn FnMut(Line) -> Result<(), Error>) -> Result<(), Error> {
        let end = self.range().end;
        take(Line::Store { format: super::FORMAT, log_end: end })?;
        let engine = self.shared.engine()?;
        for record in read::log_records(&*engine, 0) {
            let (_, spans) = record?;
            for span in spans {
                read::visit_span(&*engine, &span, |seq, packed| {
                    if packed.offset < end {
                        let Logged { offset, event } = packed.unpack(&span.session, seq)?;
                        let event = Box::new(Arc::unwrap_or_clone(event));
                        take(Line::Event { offset, sent_id: packed.sent_id, event })?;
                    }
                    Ok(true)
                })?;
            }
        }
        let mut after = None;
        loop {
            let page = self.streams(after.as_ref(), BATCH)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for StreamInfo { id, first_seq, next_seq, status } in page {
                take(Line::Stream { id, first_seq, next_seq, status })?;
            }
        }
        ids::records(&*engine, end, |(key, value)| take(Line::Ids { key: hex(&key), value: hex(&value) }))?;
        for tree in SIDE {
            for page in self.pages(tree, "") {
                for (key, value) in page? {
                    take(line_of(tree, key, value))?;
                }
            }
        }
        Ok(())
    }
}

fn line_of(tree: Tree, key: String, value: Vec<u8>) -> Line {
    let (text, hex) = match String::from_utf8(value) {
        Ok(text) => (Some(text), None),
        Err(e) => (None, Some(hex(e.as_bytes()))),
    };
    Line::Record { tree: tree.name().into(), key, text, hex }
}

/// Takes the lines of an export.
struct Importer<'a> {
    store: &'a Store,
    pending: Vec<(Offset, bool, Box<Event>)>,
    ops: Vec<Op>,
    log_end: Offset,
    events: u64,
}

impl<'a> Importer<'a> {
    fn new(store: &'a Store) -> Result<Self, Error> {
        if store.range().end != 0 || !store.streams(None, 1)?.is_empty() {
            return Err(crate::event::Invalid::new("store", "", "an empty store to import into").into());
        }
        Ok(Self { store, pending: Vec::new(), ops: Vec::new(), log_end: 0, events: 0 })
    }

    fn take(&mut self, line: Line) -> Result<(), Error> {
        match line {
            Line::Store { format, log_end } if format <= super::FORMAT => self.log_end = log_end,
            Line::Store { format, .. } => return Err(Error::NewerFormat { found: format, known: super::FORMAT }),
            Line::Event { offset, sent_id, event } => {
                self.pending.push((offset, sent_id, event));
                if self.pending.len() >= BATCH {
                    self.place()?;
                }
            }
            Line::Stream { id, first_seq, next_seq, status } => {
                let head = Head { first_seq, next_seq, status };
                self.ops.push(Op::put(Tree::SessionMeta, id.as_str(), head.pack()?));
            }
            Line::Ids { key, value } => self.ops.push(Op::put(Tree::Ids, unhex(&key)?, unhex(&value)?)),
            Line::Record { tree, key, text, hex } => {
                let tree = SIDE.into_iter().find(|side| side.name() == tree);
                let tree = tree.ok_or_else(|| Error::Corrupt("a record of an unknown tree".into()))?;
                let value = match (text, hex) {
                    (Some(text), _) => text.into_bytes(),
                    (None, hex) => unhex(&hex.unwrap_or_default())?,
                };
                if tree == Tree::Sessions {
                    self.ops.extend(lifecycle::unpack(&value)?.listed(&StreamId::new(&key)?)?);
                }
                parts::put(tree, key.as_bytes(), &value, &mut self.ops);
            }
        }
        if self.ops.len() >= BATCH { self.apply() } else { Ok(()) }
    }

    /// Turns pending events into records: consecutive ones of a stream stand together.
    fn place(&mut self) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        self.events += pending.len() as u64;
        let follows = |a: &(Offset, bool, Box<Event>), b: &(Offset, bool, Box<Event>)| {
            a.0 + 1 == b.0 && a.2.session == b.2.session && a.2.seq + 1 == b.2.seq
        };
        for group in pending.chunk_by(follows) {
            let placed = group.iter().map(|(offset, sent_id, event)| (&**event, *offset, *sent_id));
            let span = runs::put_events(placed, &mut self.ops)?;
            runs::put_log(group[0].0, span.as_slice(), &mut self.ops)?;
        }
        self.apply()
    }

    fn apply(&mut self) -> Result<(), Error> {
        let ops = std::mem::take(&mut self.ops);
        self.store.shared.count_live(&ops);
        Ok(self.store.shared.engine()?.apply(&ops)?)
    }

    fn finish(mut self) -> Result<u64, Error> {
        self.place()?;
        self.ops.push(Op::put(Tree::Index, prune::LOG_END, key::offset(self.log_end)));
        self.ops.push(Op::put(Tree::Index, prune::LIVE_BYTES, key::offset(self.store.shared.live_bytes())));
        self.apply()?;
        self.store.shared.reload()?;
        Ok(self.events)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Result<Vec<u8>, Error> {
    let byte = |at: usize| hex.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<_>>>();
    bytes.ok_or_else(|| Error::Corrupt("hex of an odd kind".into()))
}

/// Gives the disk back that deleted events still hold: copies the store beside itself and exchanges the two.
///
/// Needs room for what is alive. The exchange is one atomic rename, so a crash leaves the old store or the
/// new one, and a folder `….compact` to delete.
pub fn compact(settings: &config::Store) -> Result<Compacted, Error> {
    // Added to the whole name: in place of an extension it could be that of another store's neighbour.
    let mut name = settings.dir.file_name().unwrap_or_default().to_owned();
    name.push(".compact");
    let beside = settings.dir.with_file_name(name);
    let io = |e: std::io::Error| Error::Io(format!("{}: {e}", beside.display()));
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(io)?;
    }
    let old = Store::open(settings)?;
    let before = old.stats()?.disk_bytes;
    let after = copy(&old, &config::Store { dir: beside.clone(), ..settings.clone() })?;
    exchange(&settings.dir, &beside).map_err(io)?;
    drop(old);
    fs::remove_dir_all(&beside).map_err(io)?;
    Ok(Compacted { before, after })
}

fn copy(old: &Store, settings: &config::Store) -> Result<u64, Error> {
    let new = Store::open(settings)?;
    let mut importer = Importer::new(&new)?;
    old.lines(&mut |line| importer.take(line))?;
    importer.finish()?;
    Ok(new.stats()?.disk_bytes)
}

fn exchange(a: &Path, b: &Path) -> std::io::Result<()> {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?;
    let parent = a.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}
