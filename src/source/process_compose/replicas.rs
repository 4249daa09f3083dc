//! How many replicas each process has: `/processes` does not say, so it is asked once for each new name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::process_compose::{Client, Process, base_name};

/// So many requests at a time.
const AT_A_TIME: usize = 4;

/// So many names at most in one poll; the others wait for the next ones.
const IN_ONE_POLL: usize = 64;

/// What is known of replicas, and what has to be asked.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    names: BTreeSet<String>,
    known: BTreeMap<String, u64>,
    due: BTreeSet<String>,
}

impl Replicas {
    /// Takes the names of a poll: one that comes or goes changes the number for all that share its base name.
    pub(super) fn see(&mut self, processes: &BTreeMap<String, Process>) {
        let names: BTreeSet<String> = processes.keys().cloned().collect();
        if names == self.names {
            return;
        }
        let changed: BTreeSet<&str> = names.symmetric_difference(&self.names).map(|name| base_name(name)).collect();
        self.due.extend(names.iter().filter(|name| changed.contains(base_name(name))).cloned());
        self.due.retain(|name| names.contains(name));
        self.known.retain(|name, _| names.contains(name));
        self.names = names;
    }

    /// Asks for what is due, for at most that long; what is not answered is asked again when names change.
    pub(super) async fn ask(&mut self, client: &Client, within: Duration) {
        let due: Vec<String> = self.due.iter().take(IN_ONE_POLL).cloned().collect();
        if due.is_empty() {
            return;
        }
        self.due.retain(|name| !due.contains(name));
        let requests = due.into_iter().map(|name| async move { (client.info(&name).await, name) });
        let mut answers = stream::iter(requests).buffer_unordered(AT_A_TIME);
        let known = &mut self.known;
        let collect = async {
            while let Some((answer, name)) = answers.next().await {
                match answer.map(|info| info.replicas) {
                    Ok(Some(replicas)) => drop(known.insert(name, replicas)),
                    Ok(None) => {}
                    Err(error) => tracing::debug!(process = name, "its replicas are not known: {error}"),
                }
            }
        };
        // What is late stays unknown: no event waits for it.
        let _ = tokio::time::timeout(within, collect).await;
    }

    /// By name, as far as they are known.
    pub(super) fn known(&self) -> &BTreeMap<String, u64> {
        &self.known
    }
}
