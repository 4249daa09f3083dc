//! `kill -9` of a writer at random moments under load.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use watchpost::store::Store;

use crate::load::{self, Ledger};
use crate::writer::{self, Writer};

/// How long a writer may take to acknowledge something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A writer that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL; an error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_writer_is_killed() {
    let (kills, seed) = (crate::amount("KILLS", 25), crate::seed());
    let (began, scratch) = (Instant::now(), crate::scratch());
    let mut rng = StdRng::seed_from_u64(seed);
    let writer = Writer::endless(scratch.path());
    let mut acknowledged = String::new();
    let mut on_its_way = 0;
    for kill in 0..kills {
        std::fs::write(&writer.ledger, &acknowledged).expect("the ledger is written");
        std::fs::write(&writer.acks, "").expect("the acknowledgements' file is made");
        let running = Running(writer.command().stdout(Stdio::null()).spawn().expect("the writer starts"));
        wait_for_the_moment(running, &writer.acks, &mut rng);
        let acks = std::fs::read_to_string(&writer.acks).expect("the acknowledgements are read");
        acknowledged.push_str(&acks[..acks.rfind('\n').map_or(0, |end| end + 1)]);
        let mut ledger = Ledger::default();
        ledger.read(&acknowledged);
        let store = Store::open(&writer::settings(&writer.store, false)).expect("the store opens");
        let proof = load::prove(&store, &ledger);
        let present = proof.unwrap_or_else(|wrong| panic!("seed {seed}, kill {kill}: {wrong}"));
        on_its_way += u64::from(present > ledger.events());
        if kill + 1 == kills {
            println!(
                "kill -9: {kills} kills, {present} events, all of {} acknowledged ones there; {on_its_way} kills \
                 left some on their way; seed {seed}, {:.1} s",
                ledger.events(),
                began.elapsed().as_secs_f64()
            );
        }
    }
}

/// Kills the writer: now and then while it opens the store, else after a random number of acknowledgements.
fn wait_for_the_moment(mut running: Running, acks: &Path, rng: &mut StdRng) {
    let began = Instant::now();
    let opening = rng.random_bool(0.2);
    let after = if opening { Duration::from_micros(rng.random_range(0..100_000)) } else { PATIENCE };
    let enough = rng.random_range(1..4000);
    while began.elapsed() < after {
        if !opening && std::fs::metadata(acks).expect("the file is there").len() >= enough {
            return;
        }
        let ended = running.0.try_wait().expect("the writer is ours");
        assert!(ended.is_none(), "the writer ended by itself: {ended:?}");
        std::thread::sleep(Duration::from_micros(rng.random_range(50..1000)));
    }
    assert!(opening, "no acknowledgement in {PATIENCE:?}");
}

/// Killed at any moment, it leaves the old store or the new one.
#[test]
fn a_compaction_that_is_killed_loses_nothing() {
    let (scratch, seed) = (crate::scratch(), crate::seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let path = |name: &str| scratch.path().join(name);
    let (store, ledger, acks) = (path("store"), path("ledger"), path("acks"));
    let writer = Writer { store, ledger, acks, submissions: 30, synchronous: true };
    std::fs::write(&writer.ledger, "").expect("the ledger is written");
    std::fs::write(&writer.acks, "").expect("the acknowledgements' file is made");
    assert!(writer.command().stdout(Stdio::null()).status().expect("the writer runs").success());
    let mut ledger = Ledger::default();
    ledger.read(&std::fs::read_to_string(&writer.acks).expect("the acknowledgements are read"));
    let compact = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
        command.args(["store", "compact", "--store"]).arg(&writer.store).env_clear();
        Running(command.stdout(Stdio::null()).spawn().expect("it starts"))
    };
    let prove = |when: &str| {
        let store = Store::open(&writer::settings(&writer.store, false)).expect("the store opens");
        load::prove(&store, &ledger).unwrap_or_else(|wrong| panic!("seed {seed}, {when}: {wrong}"))
    };
    let began = Instant::now();
    assert!(compact().0.wait().expect("ours").success(), "a compaction that nobody kills");
    let length = began.elapsed();
    assert_eq!(prove("compacted"), ledger.events());
    for _ in 0..10 {
        let running = compact();
        std::thread::sleep(length.mul_f64(rng.random_range(0.0..1.1)));
        drop(running);
        assert_eq!(prove("killed"), ledger.events());
    }
}

/// sled begins a snapshot under another name and takes that, half written, for the newest one.
#[test]
fn a_snapshot_of_sled_that_was_cut_off_is_no_hindrance() {
    let scratch = crate::scratch();
    let settings = writer::settings(scratch.path(), false);
    drop(Store::open(&settings).expect("a store is made"));
    std::fs::write(scratch.path().join("snap.7FFFFFFFFFFFFFFF.generating"), "half").expect("the file is made");
    let store = Store::open(&settings).expect("the store opens");
    load::prove(&store, &Ledger::default()).expect("the store is empty and clean");
}

#[test]
fn a_store_whose_making_was_cut_off_is_made_again() {
    let scratch = crate::scratch();
    let settings = writer::settings(scratch.path(), false);
    for (name, content) in [("making", ""), ("conf", "segment_size: 524288"), ("db", "half")] {
        std::fs::write(scratch.path().join(name), content).expect("the file is made");
    }
    let store = Store::open(&settings).expect("the store is made");
    load::prove(&store, &Ledger::default()).expect("the store is empty and clean");
}
