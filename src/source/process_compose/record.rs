//! The last snapshot: what is remembered of each process between two polls, and across a restart of ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Mark;
use crate::event::Timestamp;
use crate::process_compose::{Class, Process};

/// So many pids of closed runs are remembered, to tell a late frame from a new run.
const CLOSED: usize = 4;

/// The last snapshot of one supervisor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The life of the supervisor whose processes are all in `records`; `None` before the first poll.
    pub life: Option<Timestamp>,
    /// By the name of the replica.
    pub records: BTreeMap<String, Record>,
}

/// One process, as it was last seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the supervisor started under which it was seen.
    pub life: Timestamp,
    /// As a poll, or after it a frame, showed it.
    pub process: Process,
    /// What its status meant; a status that nobody knows leaves it as it was.
    pub class: Class,
    /// The status in the last poll.
    pub status: String,
    /// Automatic restarts that events have told of.
    pub restarts: i64,
    /// How many replicas it has, where the supervisor told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// The run that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The pids of the last closed runs, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<i64>,
    /// The last poll did not list it.
    #[serde(default)]
    pub missing: bool,
    /// When its last run started or ended, by the events.
    pub turned: Timestamp,
    /// When it was seen, for its age.
    pub seen: Mark,
}

/// The open run of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id in every event.
    pub id: Uuid,
    /// `None` while the supervisor may still show the pid of the run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// The last health while it was up: it is hidden once it terminates.
    pub health: String,
    /// It was seen Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// Why a run was seen Terminating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Somebody asked for it.
    Asked,
    /// Its probe had failed.
    Probe,
}

impl Record {
    /// A process of which nothing is known yet.
    pub(super) fn new(life: Timestamp, process: &Process, seen: Mark) -> Self {
        Self {
            life,
            process: process.clone(),
            class: Class::Idle,
            status: process.status.clone(),
            restarts: 0,
            replicas: None,
            run: None,
            closed: Vec::new(),
            missing: false,
            turned: Timestamp::from_millis(0),
            seen,
        }
    }

    pub(super) fn remember_closed(&mut self, pid: i64) {
        if pid != 0 && !self.closed.contains(&pid) {
            self.closed.push(pid);
            let surplus = self.closed.len().saturating_sub(CLOSED);
            self.closed.drain(..surplus);
        }
    }

    /// Whether a pid belongs to a run whose end is told already, or to none.
    pub(super) fn is_old(&self, pid: i64) -> bool {
        pid == 0 || self.closed.contains(&pid)
    }

    /// Whether nothing that has to outlive us differs: what every poll changes (age, memory, processor)
    /// does not count.
    pub(super) fn same(&self, other: &Self) -> bool {
        // Taken apart, so that a new field cannot be forgotten here.
        let Self { life, process, class, status, restarts, replicas, run, closed, missing, turned, seen: _ } = self;
        *life == other.life
            && *class == other.class
            && *status == other.status
            && *restarts == other.restarts
            && *replicas == other.replicas
            && *run == other.run
            && *closed == other.closed
            && *missing == other.missing
            && *turned == other.turned
            && process.same(&other.process)
    }
}
