//! A supervisor that answers what a test tells it to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// What it answers to every request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// As a supervisor does: its start, and its processes.
    Processes(&'static str, Vec<Value>),
    /// A status and a body for `/processes`.
    Body(u16, &'static str),
    /// A body that grows beyond any limit, fast.
    Huge,
    /// A body that never ends, slowly.
    Endless,
    /// 401, unless the request has this token.
    Locked(&'static str, Vec<Value>),
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    polls: watch::Sender<usize>,
    frames: broadcast::Sender<String>,
    server: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    reply: Arc<Mutex<Reply>>,
    polls: watch::Sender<usize>,
    frames: broadcast::Sender<String>,
}

impl Fake {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut fake = Self::new(address, reply);
        fake.serve(listener);
        fake
    }

    /// On a unix socket.
    pub(crate) fn at_socket(path: &Path, reply: Reply) -> Self {
        let listener = UnixListener::bind(path).expect("a new socket");
        let mut fake = Self::new(([127, 0, 0, 1], 0).into(), reply);
        let router = fake.router();
        fake.server = Some(tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") }));
        fake
    }

    fn new(address: SocketAddr, reply: Reply) -> Self {
        let (polls, _) = watch::channel(0);
        let (frames, _) = broadcast::channel(16);
        Self { address, reply: Arc::new(Mutex::new(reply)), polls, frames, server: None }
    }

    fn router(&self) -> Router {
        let (reply, polls, frames) = (self.reply.clone(), self.polls.clone(), self.frames.clone());
        let states = any(states);
        Router::new().route("/process/states/ws", states).fallback(answer).with_state(Shared {
            reply,
            polls,
            frames,
        })
    }

    /// Sends a frame to whoever listens; waits until somebody does.
    pub(crate) async fn frame(&self, state: Value) {
        let frame = json!({ "state": state }).to_string();
        super::wait::until("a listener", async || self.frames.send(frame.clone()).ok()).await;
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = self.router();
        self.server = Some(tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn answers(&self, reply: Reply) {
        *self.reply.lock().expect("a lock") = reply;
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        // Connections that are open get an answer that no supervisor gives, and are closed.
        self.answers(Reply::Body(503, ""));
        let server = self.server.take().expect("a server that runs");
        server.abort();
        assert!(server.await.is_err(), "it was stopped");
    }

    /// It listens again, at the same address.
    pub(crate) async fn come_back(&mut self, reply: Reply) {
        self.answers(reply);
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.serve(listener);
    }

    /// Waits until it was polled so many more times.
    pub(crate) async fn polled(&self, times: usize) {
        let mut polls = self.polls.subscribe();
        let until = *polls.borrow_and_update() + times;
        let wait = polls.wait_for(|polls| *polls >= until);
        tokio::time::timeout(super::log::DEADLINE, wait).await.expect("it is polled").expect("a channel");
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let token = request.headers().get("x-pc-token-key").cloned();
    let reply = shared.reply.lock().expect("a lock").clone();
    if path == "/processes" {
        shared.polls.send_modify(|polls| *polls += 1);
    }
    match reply {
        Reply::Locked(right, _) if token.is_none_or(|token| token != right) => {
            StatusCode::UNAUTHORIZED.into_response()
        }
        Reply::Processes(start, processes) => supervisor(&path, start, &processes),
        Reply::Locked(_, processes) => supervisor(&path, FIRST, &processes),
        Reply::Body(status, body) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [("connection", "close")], body).into_response()
        }
        Reply::Huge => {
            let chunk = Bytes::from(vec![b' '; 1 << 20]);
            Body::from_stream(stream::repeat(chunk).map(Ok::<_, std::io::Error>)).into_response()
        }
        Reply::Endless => {
            let drip = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
            });
            Body::from_stream(drip).into_response()
        }
    }
}

async fn states(State(shared): State<Shared>, upgrade: WebSocketUpgrade, request: Request) -> Response {
    let token = request.headers().get("x-pc-token-key").cloned();
    match shared.reply.lock().expect("a lock").clone() {
        Reply::Locked(right, _) if token.is_some_and(|token| token == right) => {}
        Reply::Locked(..) => return StatusCode::UNAUTHORIZED.into_response(),
        Reply::Processes(..) => {}
        _ => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    let mut frames = shared.frames.subscribe();
    upgrade.on_upgrade(async move |mut socket| {
        while let Ok(frame) = frames.recv().await {
            if socket.send(Message::Text(frame.into())).await.is_err() {
                return;
            }
        }
    })
}

/// When the first supervisor started, and the one after it.
pub(crate) const FIRST: &str = "2026-01-01T00:00:00Z";
pub(crate) const SECOND: &str = "2026-01-01T00:01:00Z";

fn supervisor(path: &str, start: &str, processes: &[Value]) -> Response {
    match path {
        "/processes" => axum::Json(json!({ "data": aged(processes) })).into_response(),
        "/project/state" => axum::Json(json!({ "startTime": start, "projectName": "p" })).into_response(),
        path if path.starts_with("/process/info/") => axum::Json(json!({ "replicas": 1 })).into_response(),
        "/graph" if processes.iter().any(|process| process["waits_for"].is_object()) => {
            axum::Json(graph(processes)).into_response()
        }
        // As before there was one.
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Who waits for whom, by `waits_for` of the processes: a name and a condition each.
fn graph(processes: &[Value]) -> Value {
    let mut nodes = json!({});
    for process in processes {
        for (on, condition) in process["waits_for"].as_object().into_iter().flatten() {
            let name = process["name"].as_str().expect("a name");
            nodes[name]["depends_on"][on] = json!({ "name": on, "dependency_type": condition });
        }
    }
    json!({ "nodes": nodes })
}

/// The processes as they are now: what runs has grown older, else a late poll would look like a restart.
fn aged(processes: &[Value]) -> Vec<Value> {
    let mut processes = processes.to_vec();
    for process in processes.iter_mut().filter(|process| process["is_running"] == true) {
        process["age"] = age().into();
    }
    processes
}

/// Nanoseconds since every process was launched: when the first test asked.
fn age() -> i64 {
    static LAUNCHED: LazyLock<Instant> = LazyLock::new(Instant::now);
    i64::try_from(LAUNCHED.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// A process; its age stands still when it does not run.
pub(crate) fn process(name: &str, status: &str, pid: i64, exit_code: i64) -> Value {
    json!({
        "name": name, "namespace": "default", "status": status, "is_ready": "-", "has_ready_probe": false,
        "restarts": 0, "exit_code": exit_code, "pid": pid, "mem": 1000, "cpu": 0.5, "age": age(),
        "is_running": status == "Running",
    })
}

/// Answers every connection with these bytes and closes it.
pub(crate) async fn raw(bytes: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The other side may be gone already.
            let _ = stream.write_all(bytes).await;
        }
    });
    (address, server)
}
