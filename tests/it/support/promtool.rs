//! Prometheus's own tool.

use std::path::Path;
use std::process::Command;

use super::prometheus::promtool;

/// Runs it in a folder; what it says is in the failure where it does not succeed.
pub(crate) fn run(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(promtool()).args(args).current_dir(dir).output().expect("promtool starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
