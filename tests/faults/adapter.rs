//! `kill -9` of the real adapter, and of NATS, at random moments while processes start and end.
//!
//! The ledger is what the adapter's API has shown: a process moves on only when the event of its last move
//! stands there, so that each run must be told by one `started` and one end, whatever is killed in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchpost::event::{Logged, Offset};
use watchpost::store::{Limit, Store};

use crate::nats::{self, Server};
use crate::supervisor::{self, Supervisor};
use crate::writer;

/// How many processes the supervisor has.
const PROCESSES: usize = 60;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The adapter as a child of the test; killed when this is dropped.
struct Adapter {
    child: Child,
}

impl Adapter {
    fn start(dir: &Path, supervisor: &str, nats: &str) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
        command.args(["adapter", "--poll-interval", "100ms", "--compose-url", supervisor, "--nats-url", nats]);
        command.arg("--store").arg(dir.join("store")).arg("--api").arg(format!("unix:{}", api(dir).display()));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().expect("the adapter starts") }
    }

    /// Lets it drain, and waits for its end.
    fn stop(mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(pid, Signal::TERM).expect("it is there");
        let began = Instant::now();
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break assert!(status.success(), "it ended with {status}"),
                None => assert!(began.elapsed() < PATIENCE, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // SIGKILL; an error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn api(dir: &Path) -> PathBuf {
    dir.join("api")
}

/// What the API has shown, and what follows from it.
struct Ledger {
    http: reqwest::Client,
    supervisor: Supervisor,
    /// The ids by their offsets.
    shown: BTreeMap<Offset, String>,
    /// The turns that were told of each process.
    told: Vec<u64>,
    /// Whether processes stay as they are.
    frozen: bool,
}

impl Ledger {
    fn new(dir: &Path, supervisor: Supervisor) -> Self {
        let http = reqwest::Client::builder().unix_socket(api(dir)).timeout(Duration::from_secs(5)).build();
        Self {
            http: http.expect("a client"),
            supervisor,
            shown: BTreeMap::new(),
            told: vec![0; PROCESSES],
            frozen: false,
        }
    }

    async fn get(&self, path: &str) -> Option<Vec<Value>> {
        let answer = self.http.get(format!("http://localhost{path}")).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    /// Takes what is new, and moves the processes on whose moves are told. Nothing where the API does not answer.
    async fn look(&mut self) -> Option<()> {
        let after = self.shown.last_key_value().map(|(offset, _)| format!("&after={offset}")).unwrap_or_default();
        for event in self.get(&format!("/api/events?order=asc&limit=1000{after}")).await? {
            let offset = event["offset"].as_u64().expect("an offset");
            self.shown.insert(offset, event["id"].as_str().expect("an id").to_owned());
            self.take(&event);
        }
        Some(())
    }

    fn take(&mut self, event: &Value) {
        let kind = event["type"].as_str().expect("a type");
        let process = event["process"].as_str().and_then(|name| name.strip_prefix('p')?.parse::<usize>().ok());
        let (Some(process), true) = (process, ["started", "stopped", "crashed"].contains(&kind)) else { return };
        let turn = self.supervisor.numbers()[process];
        let pid = event["state"]["pid"].as_u64();
        if pid == Some(supervisor::pid(process, turn)) && (kind == "started") == (turn % 2 == 1) {
            self.told[process] = turn;
            if !self.frozen {
                self.supervisor.move_on(process, turn);
            }
        }
    }
}

/// Waits until `done` holds after a look at the API.
async fn until(what: &str, ledger: &mut Ledger, mut done: impl AsyncFnMut(&mut Ledger) -> bool) {
    let began = Instant::now();
    loop {
        if ledger.look().await.is_some() && done(ledger).await {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transition_is_lost_or_doubled_when_the_adapter_or_nats_is_killed() {
    let (kills, seed) = (crate::amount("DAEMON_KILLS", 25), crate::seed());
    let (began, mut rng) = (Instant::now(), StdRng::seed_from_u64(seed));
    let scratch = crate::scratch();
    let dir = scratch.path();
    let mut server = Server::start();
    let (supervisor, address) = Supervisor::start(PROCESSES).await;
    let mut ledger = Ledger::new(dir, supervisor.clone());
    let start = |server: &Server| Adapter::start(dir, &format!("http://{address}"), &server.url());
    let mut nats_kills = 0;
    let mut adapter = start(&server);
    for _ in 0..kills {
        if rng.random_bool(0.2) {
            // While it starts.
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
        } else {
            let enough = ledger.shown.len() + rng.random_range(1..3 * PROCESSES);
            until("more is shown", &mut ledger, async |ledger| ledger.shown.len() >= enough).await;
        }
        if rng.random_bool(0.3) {
            nats_kills += 1;
            server.kill();
            if rng.random_bool(0.5) {
                let enough = ledger.shown.len() + rng.random_range(1..PROCESSES);
                until("more is shown without NATS", &mut ledger, async |ledger| ledger.shown.len() >= enough).await;
            }
            server.restart();
        }
        drop(adapter);
        adapter = start(&server);
    }
    let turns = supervisor.numbers();
    let moved = || supervisor.numbers().iter().zip(&turns).all(|(now, then)| now > then);
    until("every process moves on", &mut ledger, async |_| moved()).await;
    ledger.frozen = true;
    until("all is told and delivered", &mut ledger, async |ledger| {
        let sinks = ledger.get("/api/sinks").await.unwrap_or_default();
        let drained = |sink: &Value| sink["sink"] != "jetstream" || sink["lag_events"] == 0;
        ledger.told == supervisor.numbers() && !sinks.is_empty() && sinks.iter().all(drained)
    })
    .await;
    adapter.stop();
    let events = proof(dir, &ledger).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    let wanted = events.iter().filter(|logged| logged.event.kind.as_str() != "resources_sampled");
    let wanted: Vec<String> = wanted.map(|logged| logged.event.id.to_string()).collect();
    let stored = nats::stored(&server.jetstream().await, "PROCESS_EVENTS").await;
    let stored: Vec<String> = stored.into_iter().filter_map(|message| message.id).collect();
    let same = stored.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
    let (found, wanted) = (stored.len(), wanted.len());
    assert!(
        same == found && same == wanted,
        "seed {seed}: {found} in JetStream, {wanted} in the store, the first {same} alike"
    );
    println!(
        "adapter: {kills} kills, {nats_kills} of NATS, {} events, {} of them shown, {found} in JetStream, once and in \
         order; seed {seed}, {:.1} s",
        events.len(),
        ledger.shown.len(),
        began.elapsed().as_secs_f64()
    );
}

/// The store is clean, has all that was shown, and tells every run of every process by one start and one end.
fn proof(dir: &Path, ledger: &Ledger) -> Result<Vec<Logged>, String> {
    let store = Store::open(&writer::settings(&dir.join("store"), false)).map_err(|e| e.to_string())?;
    let report = store.check().map_err(|e| e.to_string())?;
    if report.violated > 0 {
        return Err(format!("{:?}", report.violations));
    }
    let mut events: Vec<Logged> = Vec::new();
    loop {
        let from = events.last().map_or(0, |last| last.offset + 1);
        let page = store.log(from, Limit::events(1000)).map_err(|e| e.to_string())?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let ids: BTreeMap<Offset, String> = events.iter().map(|l| (l.offset, l.event.id.to_string())).collect();
    if let Some((offset, id)) = ledger.shown.iter().find(|(offset, id)| ids.get(offset) != Some(id)) {
        return Err(format!("{id} was shown at {offset}, where {:?} stands", ids.get(offset)));
    }
    let mut turns = [0; PROCESSES];
    for Logged { offset, event } in &events {
        let data: Value = event.data.read().map_err(|e| e.to_string())?;
        let process = data["process"].as_str().and_then(|name| name.strip_prefix('p')?.parse::<usize>().ok());
        let (Some(process), kind) = (process, event.kind.as_str()) else { continue };
        if !["started", "stopped", "crashed", "restarted"].contains(&kind) {
            continue;
        }
        turns[process] += 1;
        let (turn, pid) = (turns[process], data["state"]["pid"].as_u64());
        if (kind == "started") != (turn % 2 == 1) || pid != Some(supervisor::pid(process, turn)) {
            return Err(format!("offset {offset}: {kind} with pid {pid:?} is turn {turn} of process {process}"));
        }
    }
    Ok(events)
}
