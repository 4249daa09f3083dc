//! How far the sinks of a daemon are behind.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::daemon::beside;
use super::wait::until;

/// Waits until exactly these sinks of the daemon in that folder are behind, and the others have everything. A daemon
/// that is told to end finishes the calls that it is in, no more.
pub(crate) async fn behind(dir: &Path, sinks: &[&str]) {
    let as_told = async || {
        let lags = lags(dir).await?;
        let right = |(sink, lag): (&String, &u64)| (*lag > 0) == sinks.contains(&sink.as_str());
        (!lags.is_empty() && lags.iter().all(right)).then_some(())
    };
    until(&format!("only {sinks:?} to be behind"), as_told).await;
}

async fn lags(dir: &Path) -> Option<BTreeMap<String, u64>> {
    let mut command = beside(dir, &["sinks", "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").ok()?;
    let one = |line: &str| {
        let status: Value = serde_json::from_str(line).ok()?;
        Some((status["sink"].as_str()?.to_owned(), status["lag_events"].as_u64()?))
    };
    String::from_utf8(output.stdout).ok()?.lines().map(one).collect()
}
