//! Faults: power cuts, `kill -9`, a failing disk, and random histories held against a model.
//!
//! A binary of its own because its writers are processes that are killed or recorded: it starts itself again
//! with a role, see `role.rs`. `POWERCUT_CUTS`, `KILLS` and `HISTORIES` say how much is done; `make soak`
//! asks for more of each.

#![allow(clippy::print_stdout, reason = "a run tells its figures")]

mod adapter;
mod failing_disk;
mod files;
mod kill9;
mod load;
mod model;
#[expect(dead_code, reason = "what only other tests need")]
#[path = "../it/support/nats.rs"]
mod nats;
#[path = "../it/support/port.rs"]
mod port;
mod powercut;
mod role;
mod supervisor;
mod writer;

/// How much is to be done: from the environment, else `usual`.
fn amount(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// A seed that is another one in every run, unless `FAULTS_SEED` sets it; each test says it when it fails.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    amount("FAULTS_SEED", now.expect("a clock").as_nanos() as u64 % 1_000_000_007)
}

/// A folder for a test on the disk of the build, as the system's own may have no synchronous flag.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for a test")
}
