//! What events of processes and of sources say. Pure.

use crate::event::process::{DependenciesData, ProcessData, Reason, ResourcesData, RestartedBy, kind};
use crate::event::source::{self, SourceData};

pub(super) fn process(kind: &str, data: &ProcessData) -> Option<String> {
    let state = &data.state;
    let what = match kind {
        kind::STARTED if data.initial => format!("runs already{}", pid(state.pid)),
        kind::STARTED => format!("started{}", pid(state.pid)),
        kind::STOPPED => format!("stopped{}", ending(data)),
        kind::CRASHED => format!("crashed{}", ending(data)),
        kind::RESTARTED => restarted(data),
        kind::HEALTHY => "is healthy".into(),
        kind::UNHEALTHY => "is unhealthy".into(),
        kind::STATUS_CHANGED => match &data.previous_status {
            Some(before) => format!("{before} → {}", state.status),
            None => state.status.clone(),
        },
        _ => return None,
    };
    let inferred = if data.inferred { " (inferred)" } else { "" };
    Some(format!("{}/{} {what}{inferred}", data.namespace, data.process))
}

pub(super) fn sample(data: ResourcesData) -> String {
    told(&data.source, "sampled", data.processes.len(), data.part, data.parts)
}

pub(super) fn listing(data: DependenciesData) -> String {
    told(&data.source, "listed", data.processes.len(), data.part, data.parts)
}

fn told(source: &str, what: &str, count: usize, part: u32, parts: u32) -> String {
    let of = if parts > 1 { format!(", part {part} of {parts}") } else { String::new() };
    format!("source {source} {what} {count} process{}{of}", if count == 1 { "" } else { "es" })
}

fn pid(pid: i64) -> String {
    if pid > 0 { format!(", pid {pid}") } else { String::new() }
}

fn ending(data: &ProcessData) -> String {
    let code = data.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let reason = match data.reason {
        None | Some(Reason::Exit) => "",
        Some(Reason::Requested) => ", as asked",
        Some(Reason::Unhealthy) => ", as its probe failed",
        Some(Reason::LaunchError) => ", as it could not be launched",
        Some(Reason::Removed) => ", as it was removed",
        Some(Reason::Cancelled) => ", as its restart was called off",
        Some(Reason::SupervisorRestarted) => ", as its supervisor ended",
        Some(Reason::Ambiguous) => ", or was stopped",
    };
    code + reason
}

fn restarted(data: &ProcessData) -> String {
    let by = match data.by {
        Some(RestartedBy::Policy) => " by its policy",
        Some(RestartedBy::Manual) => " by hand",
        Some(RestartedBy::Watch) => " by a watch",
        Some(RestartedBy::Reconfigured) => " with a new configuration",
        None => "",
    };
    let count = data.restarts.filter(|count| *count > 0).map(|count| format!(", {count} so far"));
    let unseen = data.unseen.filter(|unseen| *unseen > 0).map(|unseen| format!(", {unseen} of them unseen"));
    format!("restarted{by}{}{}", count.unwrap_or_default(), unseen.unwrap_or_default())
}

pub(super) fn source(kind: &str, data: &SourceData) -> Option<String> {
    let error = data.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    match kind {
        source::kind::SOURCE_DOWN => {
            Some(format!("source {} is down after {} polls{error}", data.source, data.failed_polls))
        }
        source::kind::SOURCE_UP => {
            let seconds = data.down_ms.map(|ms| format!(" after {}.{} s", ms / 1000, ms % 1000 / 100));
            Some(format!("source {} is up again{}", data.source, seconds.unwrap_or_default()))
        }
        _ => None,
    }
}
