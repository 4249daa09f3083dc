//! Serves a recording as the supervisor did, over HTTP and its WebSocket.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::graph;
use super::recording::{Answer, Event, Recording};
use crate::event::Timestamp;
use crate::process_compose::base_name;

/// Plays one recording, from the first request on; cheap to clone.
///
/// A poll gets the last recorded answer with the frames since then laid over it, so that it never shows less
/// than the frames that were sent before. Times and ages are shifted to the present, and scaled with the speed.
#[derive(Clone)]
pub struct Player(Arc<Shared>);

struct Shared {
    /// The answers to `/processes` and `/project/state`, in pairs.
    answers: Vec<(u64, Answer, Answer)>,
    /// What the stream of states did.
    stream: Vec<(u64, Event)>,
    /// The part that is played: from the first connection to the end.
    from_ms: u64,
    length_ms: u64,
    wall: Timestamp,
    speed: f64,
    /// The project's file.
    project: Value,
    start: OnceLock<(Instant, Timestamp)>,
    shutdown: CancellationToken,
}

impl Player {
    /// Makes one. `speed` 1 is that of the recording, 20 is twenty times as fast.
    pub fn new(recording: Recording, speed: f64) -> Self {
        let length_ms = recording.length_ms();
        let (answers, stream): (Vec<_>, Vec<_>) =
            recording.events.into_iter().partition(|(_, event)| matches!(event, Event::Answer(_)));
        Self(Arc::new(Shared {
            answers: pairs(answers),
            from_ms: stream.iter().find(|(_, event)| *event == Event::Opened).map_or(0, |(t_ms, _)| *t_ms),
            stream,
            length_ms,
            wall: recording.wall,
            speed,
            project: recording.project,
            start: OnceLock::new(),
            shutdown: CancellationToken::new(),
        }))
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let _cut = self.0.shutdown.clone().drop_guard();
        let router = Router::new()
            .route("/processes", get(processes))
            .route("/project/state", get(project))
            .route("/graph", get(graph))
            .route("/process/info/{name}", get(info))
            .route("/process/states/ws", any(states))
            .with_state(self.clone());
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served,
            () = shutdown.cancelled() => Ok(()),
        }
    }

    /// Resolves when the last answer of the recording has had its time; never before the first request.
    pub async fn ended(&self) {
        while self.0.start.get().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.0.until(self.0.length_ms).await;
    }
}

fn pairs(answers: Vec<(u64, Event)>) -> Vec<(u64, Answer, Answer)> {
    let of = |wanted: &str| -> Vec<(u64, Answer)> {
        let answers = answers.iter().filter_map(|(t_ms, event)| match event {
            Event::Answer(answer) if answer.path == wanted => Some((*t_ms, answer.clone())),
            _ => None,
        });
        answers.collect()
    };
    let both = of("/processes").into_iter().zip(of("/project/state"));
    both.map(|((t_ms, processes), (_, project))| (t_ms, processes, project)).collect()
}

impl Shared {
    /// The time in the recording, in milliseconds. The first call starts it.
    fn now(&self) -> u64 {
        let (start, _) = self.start.get_or_init(|| (Instant::now(), Timestamp::now()));
        self.from_ms + (start.elapsed().as_secs_f64() * 1000.0 * self.speed) as u64
    }

    async fn until(&self, t_ms: u64) {
        self.now();
        if let Some((start, _)) = self.start.get() {
            let after = t_ms.saturating_sub(self.from_ms) as f64 / 1000.0 / self.speed;
            tokio::time::sleep_until(*start + Duration::from_secs_f64(after)).await;
        }
    }

    /// A frame as if it came now.
    fn retime(&self, frame: &str) -> String {
        let Ok(mut value) = serde_json::from_str(frame) else { return frame.to_owned() };
        self.retime_value(&mut value);
        value.to_string()
    }

    /// Shifts and scales every time and duration in it.
    fn retime_value(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.retime_value(value)),
            Value::Object(object) => {
                for (key, value) in object {
                    match (key.as_str(), &value) {
                        ("age" | "upTime", Value::Number(nanos)) => {
                            *value = json!((nanos.as_f64().unwrap_or(0.0) / self.speed) as i64);
                        }
                        (key, Value::String(time)) if key.ends_with("_time") || key == "startTime" => {
                            if let Ok(time) = time.parse() {
                                *value = json!(self.shift(time));
                            }
                        }
                        _ => self.retime_value(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn shift(&self, time: Timestamp) -> Timestamp {
        let began = self.start.get().map_or(self.wall, |(_, began)| *began);
        let after = time.as_millis() - self.wall.as_millis() - self.from_ms as i64;
        began.plus_millis((after as f64 / self.speed) as i64)
    }

    /// The last pair of answers; `None` while the supervisor was not there.
    fn last(&self) -> Option<(u64, u64, &Answer, &Answer)> {
        let now = self.now();
        let last = self.answers.partition_point(|(t_ms, ..)| *t_ms <= now).checked_sub(1)?;
        let (t_ms, processes, project) = &self.answers[last];
        let there = processes.status == 200 && project.status == 200 && now <= self.length_ms;
        there.then_some((now, *t_ms, processes, project))
    }

    /// Every process as it was at that time, by the answer and the frames after it.
    fn processes(&self) -> Option<Value> {
        let (now, since, answer, _) = self.last()?;
        let mut body: Value = serde_json::from_str(&answer.body).ok()?;
        let processes = body["data"].as_array_mut()?;
        for process in processes.iter_mut().filter(|process| process["is_running"] == true) {
            grow(&mut process["age"], now - since);
        }
        let from = self.stream.partition_point(|(t_ms, _)| *t_ms <= since);
        let to = self.stream.partition_point(|(t_ms, _)| *t_ms <= now);
        for (_, event) in self.stream.get(from..to).unwrap_or_default() {
            let Event::Frame(text) = event else { continue };
            let Ok(mut frame) = serde_json::from_str::<Value>(text) else { continue };
            let mut state = frame["state"].take();
            // The frame is built a moment before the count rises.
            if let (true, Some(restarts)) = (state["status"] == "Restarting", state["restarts"].as_u64()) {
                state["restarts"] = json!(restarts + 1);
            }
            match processes.iter_mut().find(|process| process["name"] == state["name"]) {
                Some(process) => *process = state,
                None => processes.push(state),
            }
        }
        Some(body)
    }

    fn respond(&self, mut body: Value) -> Response {
        self.retime_value(&mut body);
        axum::Json(body).into_response()
    }
}

/// The supervisor was not there.
fn gone() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONNECTION, "close")]).into_response()
}

/// Adds milliseconds to nanoseconds.
fn grow(nanos: &mut Value, millis: u64) {
    if let Some(before) = nanos.as_u64() {
        *nanos = json!(before + millis * 1_000_000);
    }
}

async fn processes(State(Player(shared)): State<Player>) -> Response {
    shared.processes().map_or_else(gone, |body| shared.respond(body))
}

async fn project(State(Player(shared)): State<Player>) -> Response {
    let project = shared.last().and_then(|(now, since, _, project)| {
        let mut body: Value = serde_json::from_str(&project.body).ok()?;
        grow(&mut body["upTime"], now - since);
        Some(body)
    });
    project.map_or_else(gone, |body| shared.respond(body))
}

/// This was not recorded; the number of replicas is that of the names that belong together.
async fn info(State(Player(shared)): State<Player>, Path(name): Path<String>) -> Response {
    let processes = shared.processes().unwrap_or_default();
    let names = processes["data"].as_array().into_iter().flatten().filter_map(|process| process["name"].as_str());
    let replicas = names.filter(|other| base_name(other) == base_name(&name)).count();
    axum::Json(json!({ "name": name, "replicas": replicas })).into_response()
}

/// This was not recorded either; the project's file tells what the supervisor would have answered.
async fn graph(State(Player(shared)): State<Player>) -> Response {
    let Some(body) = shared.processes() else { return gone() };
    let names = body["data"].as_array().into_iter().flatten().filter_map(|process| process["name"].as_str());
    axum::Json(graph::of(&shared.project, &names.collect::<Vec<_>>())).into_response()
}

async fn states(State(Player(shared)): State<Player>, upgrade: WebSocketUpgrade) -> Response {
    let now = shared.now();
    let past = shared.stream.partition_point(|(t_ms, _)| *t_ms <= now);
    let last = shared.stream[..past].iter().rposition(|(_, event)| !matches!(event, Event::Frame(_)));
    let open = last.is_some_and(|last| shared.stream[last].1 == Event::Opened);
    // Whoever comes late gets the snapshot, then what comes.
    let from = match last.filter(|_| open) {
        Some(opened) => opened,
        None => match shared.stream[past..].iter().position(|(_, event)| *event == Event::Opened) {
            Some(next) => past + next,
            None => return gone(),
        },
    };
    shared.until(shared.stream[from].0).await;
    upgrade.on_upgrade(move |socket| async move { play(&shared, socket, from, now).await })
}

async fn play(shared: &Shared, mut socket: WebSocket, opened: usize, now: u64) {
    for (t_ms, event) in &shared.stream[opened + 1..] {
        let Event::Frame(frame) = event else { break };
        if *t_ms < now && !frame.contains(r#""snapshot":true"#) {
            continue;
        }
        tokio::select! {
            () = shared.until(*t_ms) => {}
            () = shared.shutdown.cancelled() => return,
        }
        if socket.send(Message::Text(shared.retime(frame).into())).await.is_err() {
            return;
        }
    }
    // A closed stream was closed at its time, not right after its last frame.
    let closed = shared.stream[opened + 1..].iter().find(|(_, event)| !matches!(event, Event::Frame(_)));
    tokio::select! {
        () = shared.until(closed.map_or(shared.length_ms, |(t_ms, _)| *t_ms)) => {}
        () = shared.shutdown.cancelled() => {}
    }
}
