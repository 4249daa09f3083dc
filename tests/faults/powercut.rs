//! A power cut at random moments of a recorded run.
//!
//! A writer runs with `powercut.c` preloaded, which journals what it does to its files, and its
//! acknowledgements among that. From the journal the disk is rebuilt as a cut at any moment could have left it;
//! there the store must open, be clean, and have all that had been acknowledged by then. The next run goes on
//! from such a disk, so that recovery is cut too.

mod disk;
mod journal;
pub(crate) mod library;
mod names;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use watchpost::store::Store;

use self::disk::Disk;
use self::journal::Record;
use crate::files::Image;
use crate::load::{self, Ledger};
use crate::writer::{self, Writer};

/// What is to be done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    seed: u64,
    /// So many runs, each on a disk that a cut of the one before left, and every fourth on an empty one.
    runs: u64,
    /// So many cuts of each run.
    cuts: u64,
    /// So many submissions of each worker in a run.
    submissions: u64,
    /// Whether the store's file keeps its synchronous flag.
    synchronous: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    cuts: u64,
    /// Acknowledged events that were looked for, over all cuts.
    acknowledged: u64,
    /// The most bytes that were written and not synced at a cut.
    unsynced: usize,
    /// What each bad cut did.
    bad: Vec<String>,
}

/// A store's disk at some moment, with what had been acknowledged.
#[derive(Default)]
struct Moment {
    image: Image,
    acks: String,
}

fn carry_out(plan: Plan) -> Found {
    let began = Instant::now();
    let mut found = Found::default();
    let mut from = Moment::default();
    for run in 0..plan.runs {
        let seed = plan.seed.wrapping_mul(1_000_003).wrapping_add(run);
        if run % 4 == 0 {
            from = Moment::default();
        }
        from = one_run(plan, seed, &from, &mut found);
    }
    println!(
        "power cut: {} cuts in {} runs, {} bad, at most {} KiB unsynced, {} acknowledged events looked for; seed {}, {:.1} s",
        found.cuts,
        plan.runs,
        found.bad.len(),
        found.unsynced / 1024,
        found.acknowledged,
        plan.seed,
        began.elapsed().as_secs_f64()
    );
    found
}

/// Records one run and cuts it; gives one of the disks that the cuts left.
fn one_run(plan: Plan, seed: u64, from: &Moment, found: &mut Found) -> Moment {
    let scratch = crate::scratch();
    let (disk, records) = record(plan, from, scratch.path());
    let mut rng = StdRng::seed_from_u64(seed);
    let places = places(&records, plan.cuts, &mut rng);
    let next = places.get(rng.random_range(0..places.len().max(1))).copied();
    let mut left = Moment::default();
    let mut acks = from.acks.clone();
    let mut disk = disk;
    for (at, record) in records.iter().enumerate() {
        for cut in places.iter().filter(|place| **place == at).zip(0..).map(|(_, cut)| cut) {
            let luck = seed.wrapping_mul(31).wrapping_add(at as u64 * 7 + cut);
            let image = disk.cut(luck);
            let ledger = ledger(&acks);
            found.cuts += 1;
            found.unsynced = found.unsynced.max(disk.unsynced());
            found.acknowledged += ledger.events();
            if let Err(wrong) = examine(&image, &ledger, plan, scratch.path()) {
                // Without the flag losses are expected, and nobody looks into them.
                let kept = if plan.synchronous { keep(&image, &acks, luck) } else { "no folder".into() };
                found.bad.push(format!("seed {}, record {at}: {wrong} (kept in {})", plan.seed, kept.display()));
            } else if next == Some(at) {
                left = Moment { image, acks: acks.clone() };
            }
        }
        disk.apply(record);
        if let Record::Ack(line) = record {
            acks.push_str(std::str::from_utf8(line).expect("lines of text"));
        }
    }
    left
}

fn ledger(acks: &str) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.read(acks);
    ledger
}

/// Runs a writer on a disk; gives the disk as it was before, and what the writer did.
fn record(plan: Plan, from: &Moment, scratch: &Path) -> (Disk, Vec<Record>) {
    let path = |name: &str| scratch.join(name);
    let writer = Writer {
        store: path("store"),
        ledger: path("ledger"),
        acks: path("acks"),
        submissions: plan.submissions,
        synchronous: plan.synchronous,
    };
    from.image.write_to(&writer.store).expect("the disk is rebuilt");
    std::fs::write(&writer.ledger, &from.acks).expect("the ledger is written");
    std::fs::write(&writer.acks, "").expect("the acknowledgements' file is made");
    let disk = Disk::load(&writer.store).expect("the folder is read");
    let mut command = writer.command();
    command.env("LD_PRELOAD", library::path()).env("POWERCUT_ROOT", &writer.store);
    command.env("POWERCUT_JOURNAL", path("journal")).env("POWERCUT_ACKS", &writer.acks);
    let output = command.output().expect("the writer starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the writer failed, seed {}:\n{said}", plan.seed);
    (disk, journal::read(&path("journal")).expect("the journal is read"))
}

/// Where to cut: half of the cuts right behind an acknowledgement, some while the store is opened or made, the
/// others anywhere.
fn places(records: &[Record], cuts: u64, rng: &mut StdRng) -> Vec<usize> {
    let acks: Vec<usize> = (0..records.len()).filter(|at| matches!(records[*at], Record::Ack(_))).collect();
    let mut places: Vec<usize> = (0..cuts)
        .map(|cut| match cut % 10 {
            0 => rng.random_range(0..acks[0]),
            cut if cut % 2 == 0 => rng.random_range(0..records.len()),
            _ => acks[rng.random_range(0..acks.len())] + 1,
        })
        .collect();
    places.retain(|place| *place < records.len());
    places.sort_unstable();
    places
}

/// Opens the store on what a cut left, and proves that it is whole.
fn examine(image: &Image, ledger: &Ledger, plan: Plan, scratch: &Path) -> Result<(), String> {
    let dir = tempfile::tempdir_in(scratch).expect("a folder for a disk");
    image.write_to(dir.path()).expect("the disk is rebuilt");
    let proof = AssertUnwindSafe(|| {
        let settings = writer::settings(dir.path(), !plan.synchronous);
        let store = Store::open(&settings).map_err(|e| format!("the store does not open: {e}"))?;
        load::prove(&store, ledger).map(drop)
    });
    // sled panics on some of what it cannot read.
    std::panic::catch_unwind(proof).unwrap_or_else(|_| Err("a panic while it was read".into()))
}

/// Keeps a bad disk for whoever looks into it.
fn keep(image: &Image, acks: &str, luck: u64) -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("powercut-{luck:016x}"));
    image.write_to(&kept.join("store")).expect("the disk is kept");
    std::fs::write(kept.join("acks"), acks).expect("the ledger is kept");
    kept
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let cuts = crate::amount("POWERCUT_CUTS", 30);
    let runs = cuts.div_ceil(10);
    let submissions = crate::amount("POWERCUT_SUBMISSIONS", 40);
    let plan = Plan { seed: crate::seed(), runs, cuts: cuts.div_ceil(runs), submissions, synchronous: true };
    let found = carry_out(plan);
    assert!(found.bad.is_empty(), "{:#?}", found.bad);
}

/// Shows that the test above can fail.
#[test]
fn without_the_synchronous_flag_a_power_cut_loses_events() {
    let plan = Plan { seed: crate::seed(), runs: 1, cuts: 10, submissions: 20, synchronous: false };
    assert!(!carry_out(plan).bad.is_empty(), "10 cuts without the flag and nothing lost: the test cannot fail");
}
