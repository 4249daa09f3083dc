//! A disk that is full, or fails, under load: the store refuses, opens its handle again in the same process,
//! goes on when the disk is well, and has lost nothing that it acknowledged.
//!
//! The writer runs with `powercut.c` preloaded, which makes writes fail while a file is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use watchpost::ingest::Ingest;
use watchpost::store::{Disk, Failing, Health, Store};

use crate::load::{self, Ledger, Worker};
use crate::powercut::library;
use crate::writer::{self, Playing, Writer};

/// The name of the role.
pub(crate) const ROLE: &str = "failing-disk";

const FAULT: &str = "POWERCUT_FAULT";
const FAULTS: &str = "WATCHPOST_FAULTS_FAULTS";
const SEED: &str = "WATCHPOST_FAULTS_DISK_SEED";

/// How long the store may take to notice a fault, or to come back.
const PATIENCE: Duration = Duration::from_secs(60);

const ENOSPC: u32 = 28;
const EIO: u32 = 5;

/// What the process does: it makes its own disk fail, again and again.
pub(crate) fn play() {
    let var = |name| std::env::var(name).expect("it is told everything");
    let (fault, acks) = (PathBuf::from(var(FAULT)), PathBuf::from(var(writer::ACKS)));
    let faults: u64 = var(FAULTS).parse().expect("a number");
    let mut rng = StdRng::seed_from_u64(var(SEED).parse().expect("a number"));
    let playing = Playing::begin();
    writer::runtime().block_on(async {
        let mut errors = load::start(&playing.ingest, &playing.work, &playing.acks);
        for _ in 0..faults {
            until("more is acknowledged", grown(&acks, rng.random_range(1..2000))).await;
            let (code, bytes) = ([ENOSPC, EIO][rng.random_range(0..2)], rng.random_range(0..100_000));
            put(&fault, code, bytes);
            let error = tokio::time::timeout(PATIENCE, errors.recv()).await.expect("an error is met in time");
            println!("met: {}", error.expect("the load goes on"));
            until("health tells it", || playing.store.health() != Health::Ok).await;
            println!("health: {:?}", playing.store.health());
            std::fs::remove_file(&fault).expect("the disk is well again");
            until("more is acknowledged", grown(&acks, 1)).await;
            assert_eq!(playing.store.health(), Health::Ok);
            while errors.try_recv().is_ok() {}
        }
    });
    // The load goes on while the process ends.
    playing.ingestor.drain().expect("no thread has panicked");
}

/// Makes writes fail from the next but `bytes` bytes on.
fn put(fault: &Path, code: u32, bytes: u32) {
    let new = fault.with_extension("new");
    std::fs::write(&new, format!("{code} {bytes}")).expect("the fault is written");
    std::fs::rename(new, fault).expect("the fault is put in place");
}

/// Whether a file has grown by so many bytes since this was made.
fn grown(file: &Path, bytes: u64) -> impl Fn() -> bool {
    let len = |file: &Path| std::fs::metadata(file).expect("the file is there").len();
    let (file, enough) = (file.to_owned(), len(file) + bytes);
    move || len(&file) >= enough
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The same with the twin in memory, which can fail thousands of times, and at a batch too: sled's file hardly
/// ever fails there.
#[test]
fn nothing_acknowledged_is_lost_on_a_failing_disk_in_memory() {
    let (faults, seed) = (crate::amount("MEMORY_FAULTS", 40), crate::seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let acks = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    let (disk, work) = (Disk::default(), Worker { ledger: Ledger::default(), submissions: u64::MAX });
    disk.set_forgetful(true);
    let store = Store::on(&disk).expect("the store opens");
    let (ingest, ingestor) = Ingest::start(&store).expect("ingest starts");
    let runtime = writer::runtime();
    runtime.block_on(async {
        let file = Arc::new(acks.reopen().expect("the file opens"));
        let mut errors = load::start(&ingest, &work, &file);
        for _ in 0..faults {
            until("more is acknowledged", grown(acks.path(), rng.random_range(1..500))).await;
            disk.fail([Failing::Apply, Failing::Flush][rng.random_range(0..2)]);
            let error = tokio::time::timeout(PATIENCE, errors.recv()).await.expect("an error is met in time");
            assert!(error.is_some(), "the load goes on");
        }
        until("more is acknowledged", grown(acks.path(), 1)).await;
    });
    drop(runtime);
    ingestor.drain().expect("no thread has panicked");
    let mut ledger = Ledger::default();
    ledger.read(&std::fs::read_to_string(acks.path()).expect("the acknowledgements are read"));
    let present = load::prove(&store, &ledger).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    println!(
        "failing disk in memory: {faults} faults, {present} events, {} acknowledged; seed {seed}",
        ledger.events()
    );
}

#[test]
fn nothing_acknowledged_is_lost_on_a_failing_disk() {
    let (faults, seed) = (crate::amount("DISK_FAULTS", 10), crate::seed());
    let scratch = crate::scratch();
    let path = |name: &str| scratch.path().join(name);
    let writer = Writer::endless(scratch.path());
    std::fs::write(&writer.ledger, "").expect("the ledger is written");
    std::fs::write(&writer.acks, "").expect("the acknowledgements' file is made");
    let mut command = writer.command_as(ROLE);
    command.env("LD_PRELOAD", library::path()).env("POWERCUT_ROOT", &writer.store).env(FAULT, path("fault"));
    let output = command.env(FAULTS, faults.to_string()).env(SEED, seed.to_string()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}:\n{said}");
    let mut ledger = Ledger::default();
    ledger.read(&std::fs::read_to_string(&writer.acks).expect("the acknowledgements are read"));
    let store = Store::open(&writer::settings(&writer.store, false)).expect("the store opens");
    let present = load::prove(&store, &ledger).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{said}"));
    println!("failing disk: {faults} faults, {present} events, {} acknowledged; seed {seed}", ledger.events());
}
