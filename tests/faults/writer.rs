//! The process that writes, and is recorded or killed meanwhile: this binary in a role.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use watchpost::config;
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::store::Store;

use crate::load::{self, Ledger, Worker};
use crate::{files, role};

/// The name of the role.
pub(crate) const ROLE: &str = "writer";

/// Where a writer finds the path of its acknowledgements.
pub(crate) const ACKS: &str = "WATCHPOST_FAULTS_ACKS";
const LEDGER: &str = "WATCHPOST_FAULTS_LEDGER";
const SUBMISSIONS: &str = "WATCHPOST_FAULTS_SUBMISSIONS";
const UNFLAGGED: &str = "WATCHPOST_FAULTS_UNFLAGGED";

/// How a writer is started.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// The store's folder.
    pub(crate) store: PathBuf,
    /// What was acknowledged before, in lines.
    pub(crate) ledger: PathBuf,
    /// Where its acknowledgements go, in lines; an empty file.
    pub(crate) acks: PathBuf,
    /// So many submissions of each worker.
    pub(crate) submissions: u64,
    /// Whether the store's file keeps its synchronous flag.
    pub(crate) synchronous: bool,
}

impl Writer {
    /// One that writes into a folder until it is killed.
    pub(crate) fn endless(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name);
        let (store, ledger, acks) = (path("store"), path("ledger"), path("acks"));
        Self { store, ledger, acks, submissions: u64::MAX, synchronous: true }
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        self.command_as(ROLE)
    }

    /// The command that starts it in another role.
    pub(crate) fn command_as(&self, role: &str) -> Command {
        let mut command = role::command(role, &self.store);
        command.env(ACKS, &self.acks).env(LEDGER, &self.ledger);
        command.env(SUBMISSIONS, self.submissions.to_string());
        if !self.synchronous {
            command.env(UNFLAGGED, "1");
        }
        command
    }
}

/// The settings of a store under test: never refused for lack of room.
pub(crate) fn settings(dir: &Path, unsafe_fs: bool) -> config::Store {
    config::Store { dir: dir.to_owned(), min_free: 0, unsafe_fs, ..config::Store::default() }
}

/// A writer's own side: what it was told, and its store.
pub(crate) struct Playing {
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    pub(crate) ingestor: Ingestor,
    pub(crate) work: Worker,
    pub(crate) acks: Arc<File>,
}

impl Playing {
    /// Reads what it was told, and opens the store.
    pub(crate) fn begin() -> Self {
        let var = |name| std::env::var(name).expect("a writer is told everything");
        let (dir, synchronous) = (role::dir(), std::env::var_os(UNFLAGGED).is_none());
        let mut ledger = Ledger::default();
        ledger.read(&std::fs::read_to_string(var(LEDGER)).expect("the ledger is read"));
        let work = Worker { ledger, submissions: var(SUBMISSIONS).parse().expect("a number") };
        let acks = File::options().append(true).open(var(ACKS)).expect("the acknowledgements' file opens");
        let store = Store::open(&settings(&dir, !synchronous)).expect("the store opens");
        if !synchronous {
            let file = File::open(dir.join("db")).expect("the store's file opens");
            files::set_synchronous(&file, false).expect("the flag is cleared");
        }
        let (ingest, ingestor) = Ingest::start(&store).expect("ingest starts");
        Self { store, ingest, ingestor, work, acks: Arc::new(acks) }
    }
}

/// A runtime for a process in a role.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime")
}

/// What the process does.
pub(crate) fn play() {
    let playing = Playing::begin();
    runtime().block_on(async {
        let mut errors = load::start(&playing.ingest, &playing.work, &playing.acks);
        let error = errors.recv().await;
        assert!(error.is_none(), "a healthy store refuses nothing: {error:?}");
    });
    playing.ingestor.drain().expect("no thread has panicked");
}
