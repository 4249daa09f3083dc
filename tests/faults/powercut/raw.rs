//! sled alone, to prove that the apparatus finds what it loses.
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sled::transaction::Transactional;

use super::{disk::Disk, image, journal, journal::Record, library};
use crate::role;

fn value(tree: u64, batch: u64, i: u64, rng: &mut StdRng) -> Vec<u8> {
    let mut v = format!("{tree}/{batch}/{i}/").into_bytes();
    let n = rng.random_range(50..700);
    v.extend((0..n).map(|j| (batch.wrapping_mul(31).wrapping_add(i * 7).wrapping_add(j)) as u8));
    v
}

pub(crate) fn writer() {
    let dir = role::dir();
    let env = |n: &str| std::env::var(n).expect(n);
    let batches: u64 = env("RAW_BATCHES").parse().expect("n");
    let sync = env("RAW_SYNC");
    let mut acks = std::fs::OpenOptions::new().write(true).open(env("POWERCUT_ACKS")).expect("acks");
    let db = sled::Config::new().path(&dir).cache_capacity(1 << 20).flush_every_ms(None).open().expect("opens");
    let file = std::fs::File::open(dir.join("db")).expect("db");
    std::fs::File::open(dir.join("conf")).and_then(|d| d.sync_all()).expect("sync");
    if sync == "flag" {
        image::set_synchronous(&file, true).expect("flag");
        std::fs::File::open(&dir).and_then(|d| d.sync_all()).expect("sync");
    }
    let trees: Vec<sled::Tree> = (0..4).map(|i| db.open_tree(format!("t{i}")).expect("tree")).collect();
    db.flush().expect("flush");
    file.sync_all().expect("sync");
    let mut rng = StdRng::seed_from_u64(7);
    for batch in 0..batches {
        let n = if rng.random_bool(0.7) { 600 } else { rng.random_range(1..20) };
        let writes: Vec<(usize, Vec<u8>, Vec<u8>)> = (0..n)
            .flat_map(|i| {
                let mut r = StdRng::seed_from_u64(batch * 1000 + i);
                let log = (0, format!("{batch:08}:{i:08}").into_bytes(), value(0, batch, i, &mut r));
                let over = (1 + (i % 3) as usize, format!("k{:05}", (batch * 13 + i) % 700).into_bytes(), {
                    let mut v = value(1, batch, i, &mut r);
                    v.splice(0..0, batch.to_be_bytes());
                    v
                });
                [log, over]
            })
            .collect();
        let old: Vec<Vec<u8>> = if batch >= 10 {
            trees[0].scan_prefix(format!("{:08}:", batch - 10)).keys().map(|k| k.expect("key").to_vec()).collect()
        } else {
            vec![]
        };
        (&trees[0], &trees[1], &trees[2], &trees[3])
            .transaction(|t| {
                let t = [&t.0, &t.1, &t.2, &t.3];
                for (tree, k, v) in &writes {
                    t[*tree].insert(k.as_slice(), v.as_slice())?;
                }
                for k in &old {
                    t[0].remove(k.as_slice())?;
                }
                Ok::<_, sled::transaction::ConflictableTransactionError<()>>(())
            })
            .expect("tx");
        db.flush().expect("flush");
        if sync == "data" {
            file.sync_data().expect("sync");
        }
        acks.write_all(format!("{batch} {n}").as_bytes()).expect("ack");
    }
}

fn verify(dir: &Path, acked: &[(u64, u64)]) -> Result<(), String> {
    let db = sled::Config::new().path(dir).flush_every_ms(None).open().map_err(|e| e.to_string())?;
    let t = db.open_tree("t0").map_err(|e| e.to_string())?;
    let mut lost = 0;
    for &(batch, n) in acked.iter().rev().take(9) {
        for i in 0..n {
            let mut r = StdRng::seed_from_u64(batch * 1000 + i);
            let got = t.get(format!("{batch:08}:{i:08}")).map_err(|e| e.to_string())?;
            if got.as_deref() != Some(value(0, batch, i, &mut r).as_slice()) {
                lost += 1;
            }
        }
    }
    if lost > 0 { Err(format!("lost {lost}, {} batches acked, tree has {}", acked.len(), t.len())) } else { Ok(()) }
}

#[test]
fn raw() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("tmp");
    let cuts: usize = std::env::var("POWERCUT_CUTS").map_or(30, |v| v.parse().expect("n"));
    for sync in ["flag", "data"] {
        let root = scratch.path().join(sync);
        std::fs::create_dir(&root).expect("dir");
        let jpath = scratch.path().join(format!("{sync}.journal"));
        let acks = scratch.path().join(format!("{sync}.acks"));
        std::fs::write(&acks, "").expect("acks");
        let mut disk = Disk::load(&root).expect("load");
        let t = Instant::now();
        let status = role::command("raw", &root)
            .env("LD_PRELOAD", library::path())
            .env("POWERCUT_ROOT", &root)
            .env("POWERCUT_JOURNAL", &jpath)
            .env("POWERCUT_ACKS", &acks)
            .env("RAW_SYNC", sync)
            .env("RAW_BATCHES", std::env::var("RAW_BATCHES").unwrap_or("500".into()))
            .status()
            .expect("runs");
        assert!(status.success());
        let records = journal::read(&jpath).expect("journal");
        eprintln!("{sync}: {} records in {:?}", records.len(), t.elapsed());
        let mut rng = StdRng::seed_from_u64(3);
        let mut at: Vec<usize> = (0..cuts).map(|_| rng.random_range(0..records.len())).collect();
        at.sort();
        let mut acked = vec![];
        let mut bad = 0;
        let mut next = 0;
        let t = Instant::now();
        for (i, record) in records.iter().enumerate() {
            while next < at.len() && at[next] == i {
                let image = disk.cut(next as u64);
                let dir = scratch.path().join("cut");
                std::fs::create_dir(&dir).expect("dir");
                image.write_to(&dir).expect("write");
                let got = std::panic::catch_unwind(|| verify(&dir, &acked)).unwrap_or(Err("panic".into()));
                if let Err(e) = got {
                    bad += 1;
                    eprintln!("{sync} cut {next} at {i}, {} unsynced: {e}", disk.unsynced());
                }
                std::fs::remove_dir_all(&dir).expect("rm");
                next += 1;
            }
            disk.apply(record);
            if let Record::Ack(a) = record {
                let s = String::from_utf8(a.to_vec()).expect("utf8");
                let (b, n) = s.split_once(' ').expect("two");
                acked.push((b.parse().expect("n"), n.parse().expect("n")));
            }
        }
        eprintln!("{sync}: {bad} of {cuts} cuts bad, {:?}", t.elapsed());
    }
}
