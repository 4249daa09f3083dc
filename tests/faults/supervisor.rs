//! A supervisor that the test moves: each of its processes starts and ends when it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use watchpost::event::Timestamp;

/// How a process is: running in its odd turns, ended in its even ones.
#[derive(Debug, Clone, Copy)]
struct Turn {
    number: u64,
    started: Timestamp,
    since: Timestamp,
}

/// A handle to it; it serves as long as the runtime runs.
#[derive(Clone)]
pub(crate) struct Supervisor {
    began: Timestamp,
    turns: Arc<Mutex<Vec<Turn>>>,
}

impl Supervisor {
    /// Starts it with so many processes, all of them running; gives where it answers.
    pub(crate) async fn start(processes: usize) -> (Self, SocketAddr) {
        let began = Timestamp::now();
        let turn = Turn { number: 1, started: began, since: began };
        let supervisor = Self { began, turns: Arc::new(Mutex::new(vec![turn; processes])) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let router = axum::Router::new()
            .route("/processes", get(processes_now))
            .route("/project/state", get(project))
            .with_state(supervisor.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        (supervisor, address)
    }

    fn turns(&self) -> MutexGuard<'_, Vec<Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a process that runs, or starts one that has ended, if it is in this turn.
    pub(crate) fn move_on(&self, process: usize, from: u64) {
        let turn = &mut self.turns()[process];
        if turn.number == from {
            turn.number += 1;
            turn.since = Timestamp::now();
            if turn.number % 2 == 1 {
                turn.started = turn.since;
            }
        }
    }

    /// The turn that each process is in.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.turns().iter().map(|turn| turn.number).collect()
    }
}

/// The process id of a process in a turn: another one for each run.
pub(crate) fn pid(process: usize, turn: u64) -> u64 {
    1000 + process as u64 * 100_000 + turn.div_ceil(2)
}

/// The name of a process.
pub(crate) fn name(process: usize) -> String {
    format!("p{process}")
}

async fn project(State(supervisor): State<Supervisor>) -> Json<Value> {
    let up = Timestamp::now().as_millis() - supervisor.began.as_millis();
    Json(json!({
        "fileNames": ["pc.yaml"], "upTime": up * 1_000_000, "startTime": supervisor.began, "userName": "somebody",
        "version": "v1.122.0", "projectName": "faults", "processNum": supervisor.turns().len(),
    }))
}

async fn processes_now(State(supervisor): State<Supervisor>) -> Json<Value> {
    let now = Timestamp::now();
    let process = |(process, turn): (usize, &Turn)| {
        let runs = turn.number % 2 == 1;
        let until = if runs { now } else { turn.since };
        let mut state = json!({
            "name": name(process), "namespace": "default", "status": if runs { "Running" } else { "Completed" },
            "system_time": "0s", "age": (until.as_millis() - turn.started.as_millis()) * 1_000_000,
            "is_ready": "-", "has_ready_probe": false, "restarts": 0, "exit_code": 0,
            "pid": pid(process, turn.number), "is_elevated": false, "password_provided": false,
            "mem": 3_000_000, "cpu": 0, "is_running": runs, "process_start_time": turn.started,
        });
        if !runs {
            state["process_end_time"] = json!(turn.since);
        }
        state
    };
    let data: Vec<Value> = supervisor.turns().iter().enumerate().map(process).collect();
    Json(json!({ "data": data }))
}
