//! Builds the library that is preloaded into a writer, once for each version of its source.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SOURCE: &str = include_str!("powercut.c");

/// Where the built library is.
pub(crate) fn path() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = dir.join(format!("powercut-{:016x}.so", hasher.finish()));
    if library.exists() {
        return library;
    }
    let scratch = tempfile::tempdir_in(dir).expect("a folder to compile in");
    let (source, built) = (scratch.path().join("powercut.c"), scratch.path().join("powercut.so"));
    std::fs::write(&source, SOURCE).expect("the source is written");
    let compiler =
        Command::new("cc").args(["-O2", "-Wall", "-shared", "-fPIC", "-o"]).arg(&built).arg(&source).output();
    let output = compiler.expect("cc runs: install the Debian packages gcc and libc6-dev");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cc failed (Debian packages gcc, libc6-dev, linux-libc-dev):\n{said}");
    // Renamed into place, so that a test process beside this one never loads half of it.
    std::fs::rename(&built, &library).expect("the library is put in place");
    library
}
