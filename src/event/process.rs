//! The payloads of process events.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The type of an event that opens or closes a run, or tells of one.
pub mod kind {
    /// A run was opened.
    pub const STARTED: &str = "started";
    /// A run was closed, as it should be.
    pub const STOPPED: &str = "stopped";
    /// A run was closed by a failure.
    pub const CRASHED: &str = "crashed";
    /// The number of restarts rose, or an operator restarted.
    pub const RESTARTED: &str = "restarted";
    /// The health probe passed.
    pub const HEALTHY: &str = "healthy";
    /// The health probe failed.
    pub const UNHEALTHY: &str = "unhealthy";
    /// The status string changed.
    pub const STATUS_CHANGED: &str = "status_changed";
    /// What each process of a project used.
    pub const RESOURCES_SAMPLED: &str = "resources_sampled";
    /// Which process of a project waits for which.
    pub const DEPENDENCIES_LISTED: &str = "dependencies_listed";
}

/// The name of a replica without its number: `worker` of `worker-0`.
pub fn base_name(replica: &str) -> &str {
    match replica.rsplit_once('-') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => replica,
    }
}

/// The payload of every process event but `resources_sampled` and `dependencies_listed`.
///
/// Published, these keys stand at the top level, beside `type`, `timestamp`, `subject` and `severity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessData {
    /// The replica's name.
    pub process: String,
    /// Its namespace; the first where it has several.
    pub namespace: String,
    /// All its namespaces, where it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The life of the process that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// The exit code of the run that ends (-1 for any death by signal); absent where nobody showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who restarted it (`restarted`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RestartedBy>,
    /// Automatic restarts so far (`restarted`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// Runs in between that no poll and no frame showed (`restarted`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u64>,
    /// The status before (`status_changed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<String>,
    /// It was running already when it was first seen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub initial: bool,
    /// Deduced from what came before and after, not seen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inferred: bool,
    /// The exit code alone cannot tell a requested stop from a failure.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ambiguous: bool,
    /// The process as it was seen.
    pub state: ProcessState,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// By itself.
    Exit,
    /// Somebody asked for it.
    Requested,
    /// Its probe failed and it was killed for it.
    Unhealthy,
    /// It could not be launched.
    LaunchError,
    /// It was taken out of the project.
    Removed,
    /// A restart that was waited for was called off.
    Cancelled,
    /// The supervisor ended and another took its place.
    SupervisorRestarted,
    /// Its exit code fits a failure and a requested stop alike.
    Ambiguous,
}

/// Who restarted a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartedBy {
    /// The supervisor, by the restart policy.
    Policy,
    /// An operator.
    Manual,
    /// A watch on files or a schedule.
    Watch,
    /// The project's configuration changed.
    Reconfigured,
}

/// A process as the supervisor showed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessState {
    /// The replica's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The supervisor's word for its status.
    pub status: String,
    /// "Ready", "Not Ready" or "-".
    pub is_ready: String,
    /// Whether a probe of readiness or liveness is configured.
    pub has_ready_probe: bool,
    /// Automatic restarts.
    pub restarts: u64,
    /// The last exit code; while it runs, that of the run before.
    pub exit_code: i64,
    /// Whether it runs.
    pub is_running: bool,
    /// How many replicas it has, where the supervisor told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// Its process id, 0 when it has none.
    #[serde(default)]
    pub pid: i64,
    /// Nanoseconds since the last launch.
    #[serde(default)]
    pub age: i64,
    /// Resident memory in bytes, -1 when unknown.
    #[serde(default)]
    pub mem: i64,
    /// Percent of one processor, -1 when unknown.
    #[serde(default)]
    pub cpu: f64,
}

/// The payload of `resources_sampled`: every process that the project has, in one or more parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourcesData {
    /// The source's name.
    pub source: String,
    /// The parts of one sample have the same number, the next sample a greater one.
    pub sample: i64,
    /// 1, 2, 3…
    pub part: u32,
    /// How many parts the sample has.
    pub parts: u32,
    /// What each process used, by name.
    pub processes: Vec<Usage>,
}

/// What one process used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The replica's name.
    pub process: String,
    /// Its namespace.
    pub namespace: String,
    /// The life of the process, while it is in one. Scaling renames a process without ending its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// Resident memory in bytes, -1 when unknown.
    pub mem: i64,
    /// Percent of one processor, -1 when unknown.
    pub cpu: f64,
}

/// The payload of `dependencies_listed`: every process that the project has, in one or more parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DependenciesData {
    /// The source's name.
    pub source: String,
    /// The parts of one listing have the same number, the next listing a greater one.
    pub listing: i64,
    /// 1, 2, 3…
    pub part: u32,
    /// How many parts the listing has.
    pub parts: u32,
    /// The processes by name.
    pub processes: Vec<Listed>,
}

/// One process of a project, and what it waits for before it is launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The replica's name.
    pub process: String,
    /// Its namespace.
    pub namespace: String,
    /// The supervisor's word for its status when it was listed.
    #[serde(default)]
    pub status: String,
    /// What it depends on; empty for most.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
}

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The replica that it waits for.
    pub process: String,
    /// Until when, in the supervisor's words: `started`, `healthy`, `log_ready`, `completed` or
    /// `completed_successfully`.
    pub condition: String,
}
