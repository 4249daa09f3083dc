//! The whole way of an event: emitted, durable, and with a real Collector over OTLP. What that costs by stage, how
//! fast it is sustained, and how an outage is caught up with while others write and read.
//!
//! `EVENTS=1000000 OUTAGE=10000000 cargo bench --bench whole_way`; `WATCHPOST_COLLECTOR` names the Collector.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use servers::collector::Collector;
use support::{Times, head, latency_row, number, print_machine, resident_mib, row};
use tokio::task::JoinHandle;
use watchpost::config::{self, Compression, Exporter, Otlp, Settings};
use watchpost::daemon::{Daemon, Error, Shutdown};
use watchpost::deliver;
use watchpost::session::follow::Follow;
use watchpost::session::{Session, Sessions, Start};
use watchpost::store::Store;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// CPU seconds of this process so far, by the names of its threads.
type Cpu = BTreeMap<&'static str, f64>;

struct Running {
    store: Store,
    sessions: Sessions,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), Error>>,
    dir: tempfile::TempDir,
}

impl Running {
    async fn start(collector: &Collector, compression: Compression) -> Self {
        let dir = tempfile::tempdir_in(".").expect("a folder");
        let exporter = Exporter { endpoint: collector.grpc(), compression, ..Exporter::default() };
        let to = Some(exporter);
        let store = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
        let session = config::Session { spool: dir.path().join("spool"), ..config::Session::default() };
        let otlp = Otlp { logs: to.clone(), spans: to.clone(), metrics: to, ..Otlp::default() };
        let settings = Settings { store, session, otlp: Some(otlp), ..Settings::default() };
        let daemon = Daemon::start(settings, None).await.expect("it starts");
        let (store, sessions) = (daemon.store().clone(), daemon.sessions().clone());
        let shutdown = Shutdown::default();
        let task = tokio::spawn(daemon.run(shutdown.clone()));
        Self { store, sessions, shutdown, task, dir }
    }

    async fn session(&self) -> Session {
        self.sessions.open(Start::new(&json!({"command": "bench"})).expect("an object")).await.expect("begun")
    }

    /// The least offset that a sink has confirmed.
    fn delivered(&self) -> u64 {
        let sinks = deliver::at_rest(&self.store).expect("a store");
        sinks.iter().map(|sink| sink.offset).min().unwrap_or_default()
    }

    /// Waits until what `written` writes has been written and delivered; answers its end.
    async fn caught_up<T>(&self, written: impl Future<Output = T>) -> T {
        let end = written.await;
        while self.delivered() < self.store.range().end {
            tokio::time::sleep(LOOK).await;
        }
        end
    }

    /// How many events the sink is behind that needs no receiver.
    fn metrics_lag(&self) -> u64 {
        let sinks = deliver::at_rest(&self.store).expect("a store");
        sinks.iter().find(|sink| &*sink.sink == "otlp-metrics").map_or(0, |sink| sink.lag_events)
    }

    async fn stop(self) {
        drop((self.store, self.sessions));
        self.shutdown.drain.cancel();
        self.task.await.expect("no panic").expect("a quiet end");
        drop(self.dir);
    }
}

/// Between two looks at something.
const LOOK: Duration = Duration::from_millis(20);

/// Looks at something again and again while the work is done.
async fn looking<T>(work: impl Future<Output = T>, mut look: impl FnMut()) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        look();
        if let Ok(end) = tokio::time::timeout(LOOK, &mut work).await {
            return end;
        }
    }
}

/// What is sustained: the row's name, the compression, and how many events a second there are at most.
const ROWS: [(&str, Compression, Option<u64>); 4] = [
    ("gzip", Compression::Gzip, None),
    ("zstd", Compression::Zstd, None),
    ("gzip, 50,000 a second", Compression::Gzip, Some(50_000)),
    ("zstd, 50,000 a second", Compression::Zstd, Some(50_000)),
];

/// Each row is a process of its own: what one leaves in memory is not the next one's.
fn main() {
    let (events, outage) = (number("EVENTS", 1_000_000), number("OUTAGE", 1_000_000));
    match std::env::var("ROW").map(|row| ROWS.get(row.parse::<usize>().unwrap_or(usize::MAX))) {
        Ok(Some(row)) => return support::runtime().block_on(sustained(row, events)),
        Ok(None) => return support::runtime().block_on(after_outage(outage)),
        Err(_) => {}
    }
    print_machine();
    println!(
        "\n{events} events of one session, from `emit` to the Collector's answer, on the cores that it runs on too\n"
    );
    head(&["compression", "events/s", "CPU s per million", "of which by thread", "resident at most"]);
    for row in 0..=ROWS.len() {
        let this = std::env::current_exe().expect("a program");
        let status = std::process::Command::new(this).arg("--bench").env("ROW", row.to_string()).status();
        assert!(status.expect("it runs").success(), "row {row}");
    }
}

async fn sustained(&(name, compression, rate): &(&str, Compression, Option<u64>), events: u64) {
    let collector = Collector::start(None);
    let running = Running::start(&collector, compression).await;
    let session = running.session().await;
    let (before, began) = (cpu(), Instant::now());
    let writing = tokio::spawn(async move {
        write(&session, events, rate).await;
        session
    });
    let mut resident = 0f64;
    let session = looking(running.caught_up(writing), || resident = resident.max(resident_mib())).await;
    let took = began.elapsed();
    let spent = spent(&before, events);
    let stages: Vec<String> = spent.iter().map(|(thread, seconds)| format!("{thread} {seconds:.2}")).collect();
    row(&[
        name,
        &format!("{:.0}", events as f64 / took.as_secs_f64()),
        &format!("{:.2}", spent.values().sum::<f64>()),
        &stages.join(", "),
        &format!("{resident:.0} MiB"),
    ]);
    drop(session.expect("written"));
    running.stop().await;
}

/// Emits so many events: as fast as they are taken, or at most so many a second.
async fn write(session: &Session, events: u64, rate: Option<u64>) {
    let began = Instant::now();
    for n in 0..events {
        if let Some(rate) = rate.filter(|rate| n.is_multiple_of(rate / 1000)) {
            tokio::time::sleep_until((began + Duration::from_nanos(n * 1_000_000_000 / rate)).into()).await;
        }
        session.emit("node_progress", &payload(n)).await.expect("taken");
    }
}

fn payload(n: u64) -> serde_json::Value {
    json!({"n": n, "node_id": format!("node-{}", n % 64), "path": "src/lib.rs", "message": "one step of the work is done"})
}

/// Fills the log while the Collector is away, then looks at who writes and reads before and while it catches up.
async fn after_outage(events: u64) {
    let mut collector = Collector::start(None);
    let running = Running::start(&collector, Compression::Gzip).await;
    collector.stop();
    let session = running.session().await;
    write(&session, events, None).await;
    session.flush().await.expect("durable");
    println!(
        "\n{events} events caught up with after an outage, while a session emits 1,000 a second that is followed\n"
    );
    while running.metrics_lag() > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let (mut lag_before, mut lag_during, mut resident) = (0, 0, 0f64);
    let before = looking(latencies(&running, 5), || lag_before = lag_before.max(running.metrics_lag())).await;
    let (began, from) = (Instant::now(), running.delivered());
    collector.restart();
    let during = looking(running.caught_up(latencies(&running, 5)), || {
        lag_during = lag_during.max(running.metrics_lag());
        resident = resident.max(resident_mib());
    });
    let during = during.await;
    let rate = (running.store.range().end - from) as f64 / began.elapsed().as_secs_f64();
    head(&["from emit to the follower", "p50", "p99", "ratio"]);
    latency_row("in the outage", &before, None);
    latency_row("while catching up", &during, Some(&before));
    println!("\ncaught up at {rate:.0} events/s, resident at most {resident:.0} MiB");
    println!("the sink of metrics was behind by at most {lag_before} events in the outage, {lag_during} meanwhile");
    drop(session);
    running.stop().await;
}

/// How long events took to a follower, at 1,000 a second for so many seconds; sorted.
async fn latencies(running: &Running, seconds: u64) -> Vec<Duration> {
    let session = running.session().await;
    let times = Arc::new(Times::new(seconds * 1000));
    let mut follow = Follow::new(running.store.clone(), session.id().clone(), 2);
    let follower = tokio::spawn({
        let times = times.clone();
        async move {
            let mut seen = Vec::new();
            while (seen.len() as u64) < times.events() {
                let logged = follow.next().await.expect("readable").expect("it goes on");
                let data: serde_json::Value = logged.event.data.read().expect("ours");
                seen.push(times.seen(data["n"].as_u64().expect("a number")));
            }
            seen
        }
    });
    let emit = |n| {
        session.try_emit("node_progress", &payload(n)).expect("room");
    };
    times.pace(1000, emit).await;
    let mut seen = follower.await.expect("followed");
    seen.sort();
    seen
}

/// Which part of the work a thread does, by its name.
fn part(thread: &str) -> &'static str {
    match thread {
        "watchpost-write" => "commit",
        "watchpost-flush" => "flush",
        "watchpost-index" => "index",
        "tokio-rt-worker" => "emit, encode and send",
        _ => "other",
    }
}

fn cpu() -> Cpu {
    let mut cpu = Cpu::new();
    for task in std::fs::read_dir("/proc/self/task").expect("a folder").flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else {
            continue;
        };
        // utime and stime, the 14th and 15th field, in hundredths of a second.
        let ticks: f64 = rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        *cpu.entry(part(name)).or_default() += ticks / 100.0;
    }
    cpu
}

/// CPU seconds per million events since then.
fn spent(before: &Cpu, events: u64) -> Cpu {
    let since = |(part, seconds): (&'static str, f64)| {
        (part, (seconds - before.get(part).copied().unwrap_or_default()) * 1e6 / events as f64)
    };
    cpu().into_iter().map(since).collect()
}
