//! Serves a recording as the supervisor did, over HTTP and its WebSocket.

use std::sync::atomic::{AtomicUsize, Ordering};
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

use super::recording::{Answer, Event, Recording};
use crate::event::Timestamp;
use crate::process_compose::base_name;

/// Plays one recording, from the first request on; cheap to clone.
///
/// A poll waits for the next answer that was recorded, so that it never shows less than the frames that were
/// sent before. Times and ages are shifted to the present, and scaled with the speed.
#[derive(Clone)]
pub struct Player(Arc<Shared>);

struct Shared {
    /// The answers to `/processes` and `/project/state`, in pairs.
    answers: Vec<(u64, Answer, Answer)>,
    /// What the stream of states did.
    stream: Vec<(u64, Event)>,
    length_ms: u64,
    wall: Timestamp,
    speed: f64,
    start: OnceLock<(Instant, Timestamp)>,
    /// The pair that was served last.
    served: AtomicUsize,
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
            stream,
            length_ms,
            wall: recording.wall,
            speed,
            start: OnceLock::new(),
            served: AtomicUsize::new(0),
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
        (start.elapsed().as_secs_f64() * 1000.0 * self.speed) as u64
    }

    async fn until(&self, t_ms: u64) {
        self.now();
        if let Some((start, _)) = self.start.get() {
            tokio::time::sleep_until(*start + Duration::from_secs_f64(t_ms as f64 / 1000.0 / self.speed)).await;
        }
    }

    /// The body as if it happened now.
    fn retime(&self, body: &str) -> String {
        let Ok(mut value) = serde_json::from_str(body) else { return body.to_owned() };
        self.retime_value(&mut value);
        value.to_string()
    }

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
        let after = time.as_millis() - self.wall.as_millis();
        began.plus_millis((after as f64 / self.speed) as i64)
    }

    fn respond(&self, answer: &Answer) -> Response {
        let Some(status) = StatusCode::from_u16(answer.status).ok().filter(|_| answer.status != 0) else {
            return gone();
        };
        (status, [(header::CONTENT_TYPE, "application/json")], self.retime(&answer.body)).into_response()
    }
}

/// The supervisor was not there.
fn gone() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONNECTION, "close")]).into_response()
}

async fn processes(State(Player(shared)): State<Player>) -> Response {
    let now = shared.now();
    let next = shared.answers.partition_point(|(t_ms, ..)| *t_ms < now);
    let Some((t_ms, answer, _)) = shared.answers.get(next) else { return gone() };
    shared.until(*t_ms).await;
    shared.served.store(next, Ordering::Relaxed);
    shared.respond(answer)
}

async fn project(State(Player(shared)): State<Player>) -> Response {
    let served = shared.served.load(Ordering::Relaxed);
    shared.answers.get(served).map_or_else(gone, |(_, _, answer)| shared.respond(answer))
}

/// This was not recorded; the number of replicas is that of the names that belong together.
async fn info(State(Player(shared)): State<Player>, Path(name): Path<String>) -> Response {
    let body = shared.answers.get(shared.served.load(Ordering::Relaxed)).map(|(_, answer, _)| answer.body.as_str());
    let processes: Value = body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let names = processes["data"].as_array().into_iter().flatten().filter_map(|process| process["name"].as_str());
    let replicas = names.filter(|other| base_name(other) == base_name(&name)).count();
    axum::Json(json!({ "name": name, "replicas": replicas })).into_response()
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
