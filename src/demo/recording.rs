//! Recordings of a real process-compose: one JSON object a line.

use serde::Deserialize;
use serde_json::Value;

use crate::event::Timestamp;
use crate::process_compose::Project;

/// One recorded run of a supervisor.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What happens in it.
    pub about: String,
    /// The time between two polls, in milliseconds.
    pub interval_ms: u64,
    /// When it began.
    pub wall: Timestamp,
    /// The project's file, as JSON.
    pub project: Value,
    /// What was answered and sent, in the order of time.
    pub events: Vec<(u64, Event)>,
    /// What the processes told of their own lives.
    pub truth: Vec<Truth>,
}

/// What happened at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answer to a poll.
    Answer(Answer),
    /// The stream of states was opened.
    Opened,
    /// It was closed, or could not be opened.
    Closed,
    /// A message of the stream of states.
    Frame(String),
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for.
    pub path: String,
    /// The status; 0: there was no connection.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What a process told of its own life.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Truth {
    /// When.
    pub at: Timestamp,
    /// `start` or `end`.
    pub what: String,
    /// `process#replica`.
    pub name: String,
    /// Its pid.
    pub pid: i64,
    /// How it ended: an exit code, a signal, or TERM when it was told to stop.
    #[serde(default)]
    pub how: String,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    line: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Meta {
        about: String,
        interval_ms: u64,
        wall: Timestamp,
        #[serde(default)]
        project: Value,
    },
    Poll {
        t_ms: u64,
        path: String,
        status: u16,
        body: Value,
    },
    Ws {
        t_ms: u64,
        what: Option<String>,
        frame: Option<Value>,
    },
    Truth(Truth),
    #[serde(other)]
    Other,
}

impl Recording {
    /// Reads the text of a recording.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut meta = None;
        let (mut events, mut truth) = (Vec::new(), Vec::new());
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let parsed = serde_json::from_str(line).map_err(|e| Malformed { line: at + 1, reason: e.to_string() });
            match parsed? {
                Line::Meta { about, interval_ms, wall, project } => {
                    meta = Some((about, interval_ms, wall, project))
                }
                Line::Poll { t_ms, path, status, body } => {
                    events.push((t_ms, Event::Answer(Answer { path, status, body: text_of(body) })));
                }
                Line::Ws { t_ms, what, frame } => events.push((t_ms, stream_event(what.as_deref(), frame))),
                Line::Truth(line) => truth.push(line),
                Line::Other => {}
            }
        }
        let Some((about, interval_ms, wall, project)) = meta else {
            return Err(Malformed { line: 0, reason: "no line of kind `meta`".into() });
        };
        // Polls and frames were written by two hands.
        events.sort_by_key(|(t_ms, _)| *t_ms);
        let wall = start(&events).unwrap_or(wall);
        Ok(Self { about, interval_ms, wall, project, events, truth })
    }

    /// How long it lasts, in milliseconds.
    pub fn length_ms(&self) -> u64 {
        self.events.last().map_or(0, |(t_ms, _)| *t_ms)
    }
}

/// When the recording began, to the millisecond: the line itself has whole seconds.
fn start(events: &[(u64, Event)]) -> Option<Timestamp> {
    let project = |(t_ms, event): &(u64, Event)| match event {
        Event::Answer(Answer { path, status: 200, body }) if path == "/project/state" => {
            let project: Project = serde_json::from_str(body).ok()?;
            let before = project.up_time / 1_000_000 - i64::try_from(*t_ms).ok()?;
            project.start_time.map(|start| start.plus_millis(before))
        }
        _ => None,
    };
    events.iter().find_map(project)
}

fn stream_event(what: Option<&str>, frame: Option<Value>) -> Event {
    match (what, frame) {
        (_, Some(frame)) => Event::Frame(text_of(frame)),
        (Some("open"), None) => Event::Opened,
        (_, None) => Event::Closed,
    }
}

/// A body that was JSON is in the recording as what it says, any other as its text.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
