//! What process-compose answers, read with tolerance: unknown keys are passed over, absent ones have their
//! defaults, back to version 1.46.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::event::Timestamp;

/// One process, as one poll or one frame showed it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The replica's name.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Its namespaces; the wire has a string, or an array when there are two or more. Never empty.
    #[serde(rename = "namespace", default = "default_namespaces", deserialize_with = "namespaces")]
    pub namespaces: Vec<String>,
    /// The supervisor's word; `class` says what it means.
    #[serde(default)]
    pub status: String,
    /// "Ready", "Not Ready" or "-".
    #[serde(default = "dash")]
    pub is_ready: String,
    /// Whether a probe of readiness or liveness is configured.
    #[serde(default)]
    pub has_ready_probe: bool,
    /// Automatic restarts only; a manual one does not raise it, a watch or an update sets it to 0.
    #[serde(default)]
    pub restarts: i64,
    /// -1 for any death by signal; while it runs after an automatic restart, that of the run before.
    #[serde(default)]
    pub exit_code: i64,
    /// Exit codes that are clean beside 0.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub success_exit_codes: Vec<i64>,
    /// 0 until it is launched; stays after its end.
    #[serde(default)]
    pub pid: i64,
    /// Nanoseconds since the last launch, by the supervisor's monotonic clock; frozen while it does not run.
    #[serde(default)]
    pub age: i64,
    /// Resident memory in bytes, -1 when unknown.
    #[serde(default)]
    pub mem: i64,
    /// Percent of one processor, -1 when unknown.
    #[serde(default)]
    pub cpu: f64,
    /// Absent in some versions; then the status tells.
    #[serde(default, alias = "IsRunning", skip_serializing_if = "Option::is_none")]
    pub is_running: Option<bool>,
    /// When it was first launched; automatic restarts leave it as it is.
    #[serde(default, deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub process_start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub process_end_time: Option<Timestamp>,
    /// When a change of a watched file last restarted it.
    #[serde(default, deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub watch_trigger_time: Option<Timestamp>,
}

/// What a status means for the run of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It runs (Running, Launching, Launched).
    Up,
    /// It waits to run for the first time (Disabled, Foreground, Pending; Scheduled or Watching without a pid).
    Idle,
    /// It has run (Completed; Scheduled or Watching with a pid).
    Ended,
    /// It is being stopped.
    Terminating,
    /// It has ended and waits for its automatic restart.
    Restarting,
    /// It could not be launched.
    Error,
    /// It will not run, as what it depends on failed.
    Skipped,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Up, Self::Idle, Self::Ended, Self::Terminating, Self::Restarting, Self::Error, Self::Skipped];
}

impl Process {
    /// What the status means; `None` for a word that is not known and does not claim to run.
    pub fn class(&self) -> Option<Class> {
        Some(match self.status.as_str() {
            "Running" | "Launching" | "Launched" => Class::Up,
            "Disabled" | "Foreground" | "Pending" => Class::Idle,
            "Scheduled" | "Watching" if self.pid == 0 => Class::Idle,
            "Completed" | "Scheduled" | "Watching" => Class::Ended,
            "Terminating" => Class::Terminating,
            "Restarting" => Class::Restarting,
            "Error" => Class::Error,
            "Skipped" => Class::Skipped,
            _ if self.is_running == Some(true) => Class::Up,
            _ => return None,
        })
    }

    /// Whether it runs, as the supervisor says, else as the status says.
    pub fn running(&self) -> bool {
        self.is_running.unwrap_or_else(|| self.class() == Some(Class::Up))
    }

    /// Whether its exit code is a clean one.
    pub fn exited_well(&self) -> bool {
        self.exit_code == 0 || self.success_exit_codes.contains(&self.exit_code)
    }

    /// Whether it is the same but for what every poll changes: age, memory, processor.
    pub fn same(&self, other: &Self) -> bool {
        let Self {
            name,
            namespaces,
            status,
            is_ready,
            has_ready_probe,
            restarts,
            exit_code,
            success_exit_codes,
            pid,
            age: _,
            mem: _,
            cpu: _,
            is_running,
            process_start_time,
            process_end_time,
            watch_trigger_time,
        } = self;
        *name == other.name
            && *namespaces == other.namespaces
            && *status == other.status
            && *is_ready == other.is_ready
            && *has_ready_probe == other.has_ready_probe
            && *restarts == other.restarts
            && *exit_code == other.exit_code
            && *success_exit_codes == other.success_exit_codes
            && *pid == other.pid
            && *is_running == other.is_running
            && *process_start_time == other.process_start_time
            && *process_end_time == other.process_end_time
            && *watch_trigger_time == other.watch_trigger_time
    }

    /// The namespace that stands in its subjects.
    pub fn namespace(&self) -> &str {
        self.namespaces.first().map_or("default", String::as_str)
    }
}

/// The answer of `GET /processes`.
#[derive(Debug, Clone, Deserialize)]
struct Processes {
    /// In random order; null when there are none.
    #[serde(deserialize_with = "or_default")]
    data: Vec<Process>,
}

/// Reads the body of `GET /processes`.
///
/// # Errors
/// It is something else, or a process in it has no name.
pub fn parse_processes(body: &[u8]) -> serde_json::Result<Vec<Process>> {
    serde_json::from_slice::<Processes>(body).map(|processes| processes.data)
}

/// The answer of `GET /project/state`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Tells one life of the supervisor from the next.
    #[serde(default, deserialize_with = "time")]
    pub start_time: Option<Timestamp>,
    /// Nanoseconds since it started; 0 where it is not told.
    #[serde(default)]
    pub up_time: i64,
    /// The supervisor's version.
    #[serde(default)]
    pub version: String,
    /// The project's name.
    #[serde(default)]
    pub project_name: String,
}

/// What of `GET /process/info/{name}` is used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Info {
    /// How many replicas the process has.
    #[serde(default)]
    pub replicas: Option<u64>,
}

/// One message of `/process/states/ws`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Frame {
    /// Sent for each process when the connection opens: the state then, not a change.
    #[serde(default)]
    pub snapshot: bool,
    /// The process.
    pub state: Process,
}

fn dash() -> String {
    "-".into()
}

fn default_namespaces() -> Vec<String> {
    vec!["default".into()]
}

/// A process without a name could not be told from one that is gone.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.is_empty() { Err(D::Error::custom("a process without a name")) } else { Ok(name) }
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A time that cannot be read is one that was not told: no event hangs on it alone.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

fn namespaces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wire {
        One(String),
        Many(Vec<String>),
    }
    let names = match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Wire::One(name)) => vec![name],
        Some(Wire::Many(names)) => names,
    };
    let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    Ok(if names.is_empty() { default_namespaces() } else { names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Process {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn an_old_answer_with_few_keys_is_read() {
        let process = read(r#"{"name":"a","status":"Running","pid":7,"IsRunning":true,"is_new_key":{"x":[1]}}"#);
        assert_eq!((process.class(), process.running(), process.namespace()), (Some(Class::Up), true, "default"));
        assert_eq!((process.is_ready.as_str(), process.age, process.process_end_time), ("-", 0, None));
        assert!(read(r#"{"name":"a","status":"Launched"}"#).running());
    }

    #[test]
    fn a_namespace_is_a_string_or_an_array() {
        let check = |json: &str, names: &[&str]| {
            let process = read(&format!(r#"{{"name":"a","namespace":{json}}}"#));
            assert_eq!(process.namespaces, names, "{json}");
        };
        check(r#""core""#, &["core"]);
        check(r#"["a","b"]"#, &["a", "b"]);
        check(r#""""#, &["default"]);
        check("[]", &["default"]);
        check("null", &["default"]);
    }

    #[test]
    fn each_status_has_its_class() {
        let check = |status: &str, pid: i64, class: Option<Class>| {
            let process = Process { name: "a".into(), status: status.into(), pid, ..Process::default() };
            assert_eq!(process.class(), class, "{status} {pid}");
        };
        for status in ["Running", "Launching", "Launched"] {
            check(status, 0, Some(Class::Up));
        }
        for status in ["Disabled", "Foreground", "Pending", "Scheduled", "Watching"] {
            check(status, 0, Some(Class::Idle));
        }
        for status in ["Completed", "Scheduled", "Watching"] {
            check(status, 7, Some(Class::Ended));
        }
        check("Terminating", 7, Some(Class::Terminating));
        check("Restarting", 7, Some(Class::Restarting));
        check("Error", 0, Some(Class::Error));
        check("Skipped", 0, Some(Class::Skipped));
        check("Hibernating", 7, None);
    }

    #[test]
    fn no_processes_is_an_answer_and_a_process_without_a_name_is_none() {
        let read = |json: &str| parse_processes(json.as_bytes()).map(|processes| processes.len());
        assert_eq!(read(r#"{"data":null}"#).ok(), Some(0));
        assert_eq!(read(r#"{"data":[]}"#).ok(), Some(0));
        for json in ["{}", "[]", r#"{"data":[{}]}"#, r#"{"data":[{"name":""}]}"#, r#"{"data":{}}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_saved_comes_back() {
        let process = read(
            r#"{"name":"a","namespace":["x","y"],"status":"Completed","exit_code":3,"success_exit_codes":[3],
                "process_end_time":"2026-11-21T10:37:14.613Z","is_running":false}"#,
        );
        assert!(process.exited_well());
        let saved = serde_json::to_string(&process).expect("JSON");
        assert_eq!(read(&saved), process);
    }
}
