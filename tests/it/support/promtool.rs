//! Prometheus's own tool.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Runs it in a folder; what it says is in the failure where it does not succeed.
pub(crate) fn run(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(binary()).args(args).current_dir(dir).output().expect("promtool starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// `WATCHPOST_PROMTOOL`, else what the script gets.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("WATCHPOST_PROMTOOL") {
            return binary.into();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/prometheus.sh");
        let output = Command::new(&script).output().expect("the script can be run");
        assert!(output.status.success(), "no promtool: {}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        told.lines().nth(1).expect("its path is the second line").into()
    })
}
