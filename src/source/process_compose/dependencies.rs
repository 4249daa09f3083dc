//! Who waits for whom: `/graph` is asked once in a supervisor's life, and again when the set of its processes changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Timestamp;
use crate::event::process::{Dependency, Listed};
use crate::process_compose::{Client, Error, Graph, Process};

/// So often it is asked for the same set of processes; each time a poll may be late by the time of one request.
const TRIES: u32 = 3;

/// The set of processes that was listed last: that of one life of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Set {
    life: Timestamp,
    /// Over the names.
    names: Uuid,
}

impl Set {
    pub(super) fn of(life: Timestamp, processes: &BTreeMap<String, Process>) -> Self {
        let names = processes.keys().flat_map(|name| [name.as_bytes(), &[0]].concat()).collect::<Vec<u8>>();
        Self { life, names: Uuid::new_v5(&Uuid::NAMESPACE_OID, &names) }
    }
}

/// What was listed, and what has been tried since.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    listed: Option<Set>,
    tried: Option<(Set, u32)>,
}

impl Dependencies {
    /// Takes up from what is saved.
    pub(super) fn resume(&mut self, listed: Option<Set>) {
        self.listed = listed;
    }

    /// Notes that a set is told of.
    pub(super) fn told(&mut self, set: Set) {
        self.listed = Some(set);
    }

    /// Asks, where the set is a new one. What goes wrong is no reason to tell anything, nor to stop polling.
    pub(super) async fn ask(&mut self, client: &Client, set: &Set) -> Option<Graph> {
        if self.listed.as_ref() == Some(set) {
            return None;
        }
        let tries = self.tried.as_ref().filter(|(tried, _)| tried == set).map_or(0, |(_, tries)| *tries);
        if tries >= TRIES {
            return None;
        }
        match client.graph().await {
            Ok(graph) => Some(graph),
            Err(error) => {
                tracing::debug!("which process waits for which is not known: {error}");
                // An old version has no such answer, and a greater one does not get smaller.
                let last = matches!(error, Error::NotProcessCompose(_) | Error::TooLarge(_));
                self.tried = Some((set.clone(), if last { TRIES } else { tries + 1 }));
                None
            }
        }
    }
}

/// Every process by its name, with what it waits for.
pub(super) fn list(processes: &BTreeMap<String, Process>, mut graph: Graph) -> Vec<Listed> {
    let dependency = |(process, condition)| Dependency { process, condition };
    let listed = |process: &Process| Listed {
        process: process.name.clone(),
        namespace: process.namespace().to_owned(),
        status: process.status.clone(),
        depends_on: graph.remove(&process.name).into_iter().flatten().map(dependency).collect(),
    };
    processes.values().map(listed).collect()
}
