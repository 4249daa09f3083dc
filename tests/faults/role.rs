//! This binary started again, as the process that is killed or recorded.

use std::path::Path;
use std::process::Command;

const ROLE: &str = "WATCHPOST_FAULTS_ROLE";

/// What such a process does, by name.
const ROLES: &[(&str, fn())] =
    &[(crate::writer::ROLE, crate::writer::play), (crate::failing_disk::ROLE, crate::failing_disk::play)];

/// A command that starts this binary in a role, with `dir` as its folder.
pub(crate) fn command(role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary's path"));
    command.args(["--exact", "role::plays_its_role", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env("WATCHPOST_FAULTS_DIR", dir);
    command
}

/// The folder that a process in a role was given.
pub(crate) fn dir() -> std::path::PathBuf {
    std::env::var_os("WATCHPOST_FAULTS_DIR").expect("a role is given a folder").into()
}

/// Does nothing where no role is given, as in a usual run of the tests.
#[test]
fn plays_its_role() {
    let Ok(name) = std::env::var(ROLE) else { return };
    let (_, play) = ROLES.iter().find(|(role, _)| *role == name).expect("a known role");
    play();
}
