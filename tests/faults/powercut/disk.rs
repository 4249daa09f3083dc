//! The disk under a recorded folder: what is durable, and what a power cut may or may not have kept.
//!
//! The model, which is ext4's (ordered data) and no kinder than it:
//! - Data: a page of 4 KiB reaches the disk whole, at any time after the write to it began, in any order with
//!   other pages. After a cut each page with unsynced writes has what was durable, or what it had after any one
//!   of these writes.
//! - A write on a file with the synchronous flag is durable when it ends; `fsync` and `fdatasync` make durable
//!   what had ended when they began; `sync_file_range` nothing.
//! - A file is as long as its last durable or kept write makes it; what is missing before that reads as zeros.
//! - Names and set lengths are steps of one journal: a cut keeps some first part of them, at least through the
//!   last step that touches a file or folder that was synced.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::journal::Record;
use super::names::{self, Change, Names, Node};
use crate::files::{self, Image};

const PAGE: u64 = 4096;

type FileId = usize;

/// A part of a write that lies in one page.
#[derive(Debug, Clone)]
struct Fragment {
    at: u64,
    token: u64,
    offset: u64,
    data: Arc<[u8]>,
    part: Range<usize>,
}

impl Fragment {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let (start, part) = (self.offset as usize, &self.data[self.part.clone()]);
        if bytes.len() < start + part.len() {
            bytes.resize(start + part.len(), 0);
        }
        bytes[start..start + part.len()].copy_from_slice(part);
    }

    /// Without what lies at `end` or beyond; `None` where nothing is left.
    fn cut(mut self, end: u64) -> Option<Self> {
        let room = end.saturating_sub(self.offset) as usize;
        self.part.end = self.part.end.min(self.part.start + room);
        (!self.part.is_empty()).then_some(self)
    }
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    pages: BTreeMap<u64, Vec<Fragment>>,
    synchronous: bool,
}

impl File {
    /// Makes durable what `page` had after its last write up to `at` for which `covers` holds.
    fn settle(&mut self, page: u64, at: u64, covers: impl Fn(&Fragment) -> bool) {
        let Some(fragments) = self.pages.get_mut(&page) else { return };
        let Some(last) = fragments.iter().rposition(|f| f.at <= at && covers(f)) else { return };
        for fragment in fragments.drain(..=last) {
            fragment.apply(&mut self.durable);
        }
        if fragments.is_empty() {
            self.pages.remove(&page);
        }
    }

    /// A length that was set became durable: writes before it lost what lay beyond.
    fn truncate(&mut self, at: u64, len: u64) {
        for fragments in self.pages.values_mut() {
            let kept = fragments.drain(..).filter_map(|f| if f.at < at { f.cut(len) } else { Some(f) });
            *fragments = kept.collect();
        }
        self.durable.resize(len as usize, 0);
    }
}

/// A write or a sync that has not ended.
#[derive(Debug)]
struct Call {
    file: Option<FileId>,
    folder: Option<String>,
    at: u64,
    offset: u64,
    len: usize,
    /// The writes that had not ended when this sync began.
    beside: HashSet<u64>,
}

/// How a cut chooses among what was not synced.
#[derive(Debug)]
struct Luck {
    rng: StdRng,
    keep: f64,
    whole_writes: bool,
}

impl Luck {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let keep = [0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0][rng.random_range(0..7)];
        Self { keep, whole_writes: rng.random_bool(0.3), rng }
    }

    /// How many of a page's unsynced writes it has.
    fn kept(&mut self, fragments: &[Fragment], writes: &mut HashMap<u64, bool>) -> usize {
        let mut keeps = |token| {
            let keep = self.rng.random_bool(self.keep);
            if self.whole_writes { *writes.entry(token).or_insert(keep) } else { keep }
        };
        let chosen: Vec<bool> = fragments.iter().map(|f| keeps(f.token)).collect();
        chosen.iter().rposition(|&kept| kept).map_or(0, |last| last + 1)
    }

    /// How many of `steps` a cut keeps.
    fn steps(&mut self, steps: usize) -> usize {
        match self.rng.random_range(0..3) {
            0 => 0,
            1 => steps,
            _ => self.rng.random_range(0..=steps),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    at: u64,
    files: Vec<File>,
    inodes: HashMap<u64, FileId>,
    folders: HashMap<u64, String>,
    durable: Names,
    present: Names,
    steps: Vec<(u64, Change)>,
    calls: HashMap<u64, Call>,
}

impl Disk {
    /// A folder as it is now, all of it durable.
    pub(crate) fn load(root: &Path) -> std::io::Result<Self> {
        let mut disk = Self::default();
        for entry in files::walk(root)? {
            match entry.content {
                None => {
                    disk.folders.insert(entry.inode, entry.path.clone());
                    disk.durable.insert(entry.path, Node::Folder);
                }
                Some(durable) => {
                    let file = disk.add_file(entry.inode);
                    disk.files[file] = File { durable, synchronous: entry.synchronous, ..File::default() };
                    disk.durable.insert(entry.path, Node::File(file));
                }
            }
        }
        disk.present = disk.durable.clone();
        Ok(disk)
    }

    fn add_file(&mut self, inode: u64) -> FileId {
        self.files.push(File::default());
        self.inodes.insert(inode, self.files.len() - 1);
        self.files.len() - 1
    }

    /// Takes what the writer did next.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.at += 1;
        match record {
            Record::Write { inode, token, offset, data } => self.write(*inode, *token, *offset, data),
            Record::Written { inode, token, bytes, synchronous } => {
                self.written(*inode, *token, *bytes, *synchronous);
            }
            Record::Sync { inode, token } => self.sync(*inode, *token),
            Record::Synced { token } => self.synced(*token),
            Record::Truncate { inode, len } => {
                let file = self.file(*inode);
                self.step(Change::Truncate { file, len: *len });
            }
            Record::Create { inode, path } => {
                let file = self.add_file(*inode);
                self.step(Change::Create { path: path.clone(), node: Node::File(file) });
            }
            Record::MakeDir { inode, path } => {
                self.folders.insert(*inode, path.clone());
                self.step(Change::Create { path: path.clone(), node: Node::Folder });
            }
            Record::Rename { from, to } => {
                self.step(Change::Rename { from: from.clone(), to: to.clone() });
                self.folders.values_mut().for_each(|path| *path = names::renamed(path, from, to));
            }
            Record::Remove { path } => self.step(Change::Remove { path: path.clone() }),
            Record::Range | Record::Ack(_) => {}
        }
    }

    fn file(&self, inode: u64) -> FileId {
        *self.inodes.get(&inode).expect("a file that is written to was made in the folder or was there before")
    }

    fn step(&mut self, change: Change) {
        self.present.apply(&change);
        self.steps.push((self.at, change));
    }

    fn write(&mut self, inode: u64, token: u64, offset: u64, data: &Arc<[u8]>) {
        let file = self.file(inode);
        let end = offset + data.len() as u64;
        let mut start = offset;
        while start < end {
            let stop = end.min((start / PAGE + 1) * PAGE);
            let part = (start - offset) as usize..(stop - offset) as usize;
            let fragment = Fragment { at: self.at, token, offset: start, data: data.clone(), part };
            self.files[file].pages.entry(start / PAGE).or_default().push(fragment);
            start = stop;
        }
        let call =
            Call { file: Some(file), folder: None, at: self.at, offset, len: data.len(), beside: HashSet::new() };
        self.calls.insert(token, call);
    }

    fn written(&mut self, inode: u64, token: u64, bytes: usize, synchronous: bool) {
        let call = self.calls.remove(&token).expect("a write ends after it began");
        let file = self.file(inode);
        let pages = call.offset / PAGE..(call.offset + call.len as u64).div_ceil(PAGE);
        if bytes < call.len {
            let end = call.offset + bytes as u64;
            for page in pages.clone() {
                let Some(fragments) = self.files[file].pages.get_mut(&page) else { continue };
                let kept = fragments.drain(..).filter_map(|f| if f.token == token { f.cut(end) } else { Some(f) });
                *fragments = kept.collect();
            }
        }
        self.files[file].synchronous = synchronous;
        if synchronous {
            self.commit(Some(file), None, u64::MAX);
            pages.for_each(|page| self.files[file].settle(page, call.at, |_| true));
        }
    }

    fn sync(&mut self, inode: u64, token: u64) {
        let beside = self.calls.keys().copied().collect();
        let (file, folder) = match self.folders.get(&inode) {
            Some(folder) => (None, Some(folder.clone())),
            None => (Some(self.file(inode)), None),
        };
        self.calls.insert(token, Call { file, folder, at: self.at, offset: 0, len: 0, beside });
    }

    fn synced(&mut self, token: u64) {
        let call = self.calls.remove(&token).expect("a sync ends after it began");
        self.commit(call.file, call.folder.as_deref(), call.at);
        let Some(file) = call.file.map(|id| &mut self.files[id]) else { return };
        let pages: Vec<u64> = file.pages.keys().copied().collect();
        pages.into_iter().for_each(|page| file.settle(page, call.at, |f| !call.beside.contains(&f.token)));
    }

    /// Makes durable the steps through the last one, up to `until`, that touches this file or folder.
    fn commit(&mut self, file: Option<FileId>, folder: Option<&str>, until: u64) {
        let touches = |(at, change): &(u64, Change)| *at <= until && change.touches(&self.present, file, folder);
        let Some(last) = self.steps.iter().rposition(touches) else { return };
        for (at, change) in self.steps.drain(..=last) {
            if let Change::Truncate { file, len } = change {
                self.files[file].truncate(at, len);
            }
            self.durable.apply(&change);
        }
    }

    /// The disk as a cut at this moment leaves it; the same seed chooses the same.
    pub(crate) fn cut(&self, seed: u64) -> Image {
        let mut luck = Luck::new(seed);
        let kept = &self.steps[..luck.steps(self.steps.len())];
        let mut names = self.durable.clone();
        kept.iter().for_each(|(_, change)| names.apply(change));
        let mut image = Image::default();
        for (path, node) in names.iter() {
            match node {
                Node::Folder => image.folders.push(path.clone()),
                Node::File(id) => {
                    let bytes = self.content(*id, kept, &mut luck);
                    image.files.push((path.clone(), bytes, self.files[*id].synchronous));
                }
            }
        }
        image
    }

    fn content(&self, id: FileId, kept: &[(u64, Change)], luck: &mut Luck) -> Vec<u8> {
        let file = &self.files[id];
        let mut bytes = file.durable.clone();
        let mut writes = HashMap::new();
        let mut fragments: Vec<&Fragment> = Vec::new();
        for page in file.pages.values() {
            let chosen = luck.kept(page, &mut writes);
            fragments.extend(&page[..chosen]);
        }
        fragments.sort_by_key(|f| f.at);
        let mut fragments = fragments.into_iter().peekable();
        for (at, change) in kept {
            let Change::Truncate { file, len } = change else { continue };
            if *file == id {
                while let Some(fragment) = fragments.next_if(|f| f.at < *at) {
                    fragment.apply(&mut bytes);
                }
                bytes.resize(*len as usize, 0);
            }
        }
        fragments.for_each(|f| f.apply(&mut bytes));
        bytes
    }

    /// How many bytes are written and not durable, of all files.
    pub(crate) fn unsynced(&self) -> usize {
        let fragments = self.files.iter().flat_map(|file| file.pages.values().flatten());
        fragments.map(|f| f.part.len()).sum()
    }
}
