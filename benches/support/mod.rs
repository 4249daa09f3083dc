//! What the benchmarks have in common: the machine, a table, a workload, and the raw disk to hold against.

#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use watchpost::demo::Step;
use watchpost::event::{Data, Draft, Kind, SenderId, Severity, StreamId, Subject, Timestamp};

/// Prints the machine that the figures are from.
pub(crate) fn print_machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine: {cores} × {}, Linux {}", model.trim_matches([':', ' ', '\t']), kernel.trim());
}

/// Prints a row of a Markdown table.
pub(crate) fn row(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}

/// Prints a table's head.
pub(crate) fn head(cells: &[&str]) {
    row(cells);
    row(&vec!["---"; cells.len()]);
}

/// Resident memory of this process, in MiB.
pub(crate) fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// A number from the environment, for longer or shorter runs.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Event `n` of a workload over so many streams; about 437 bytes as JSON.
pub(crate) fn draft(n: u64, streams: u64, with_id: bool) -> Draft {
    let stream = StreamId::new(format!("proc-bench-{}", n % streams)).expect("an id");
    let kind = Kind::new("started").expect("a type");
    let name = format!("worker-{}", n % streams);
    let subject = Subject::process("core.process", "default", &name, &kind).expect("a subject");
    let data = format!(
        r#"{{"process":"{name}","namespace":"default","state":{{"name":"{name}","namespace":"default","status":"Running","is_ready":"Ready","has_ready_probe":true,"restarts":0,"exit_code":0,"is_running":true,"pid":{n}}}}}"#
    );
    let mut draft = Draft::new(stream, kind, subject, Severity::Info, Data::parse(data).expect("an object"));
    draft.id = with_id.then(|| SenderId::new(format!("event-{n}")).expect("an id"));
    draft
}

/// A step of the standard workload as an event of a session that begins at `start`, in milliseconds.
pub(crate) fn session_draft(id: &StreamId, start: i64, step: &Step) -> Draft {
    let kind = Kind::new(step.kind).expect("a type");
    let subject = Subject::session(id, &kind).expect("a subject");
    let data = Data::parse(step.data.clone()).expect("an object");
    let ts = Timestamp::from_millis(start + step.at_ms as i64);
    Draft { ts: Some(ts), ..Draft::new(id.clone(), kind, subject, Severity::Info, data) }
}

/// Appends so many bytes so many times, each followed by an fdatasync.
pub(crate) fn raw_append(dir: &Path, bytes: usize, times: usize) -> Duration {
    let mut file = File::create(dir.join("raw")).expect("a file");
    let block = vec![b'x'; bytes];
    let begin = Instant::now();
    for _ in 0..times {
        file.write_all(&block).expect("room");
        file.sync_data().expect("a sync");
    }
    begin.elapsed()
}

/// The value below which `percent` of the sorted values lie.
pub(crate) fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let at = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A duration in milliseconds, with three decimals.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}

/// When each event of a workload was sent, by its number.
pub(crate) struct Times {
    pub(crate) began: Instant,
    sent_at: Vec<AtomicU64>,
}

impl Times {
    pub(crate) fn new(events: u64) -> Self {
        Self { began: Instant::now(), sent_at: (0..events).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn events(&self) -> u64 {
        self.sent_at.len() as u64
    }

    /// Event `n` is sent now.
    pub(crate) fn sent(&self, n: u64) {
        self.sent_at[n as usize].store(self.began.elapsed().as_nanos() as u64, Ordering::Release);
    }

    /// Event `n` is seen now: how long it took.
    pub(crate) fn seen(&self, n: u64) -> Duration {
        let sent = Duration::from_nanos(self.sent_at[n as usize].load(Ordering::Acquire));
        self.began.elapsed().saturating_sub(sent)
    }

    /// Sends all events, so many a second, each when it is due.
    pub(crate) async fn pace(&self, rate: u64, mut send: impl FnMut(u64)) {
        let due = |n: u64| self.began + Duration::from_nanos(n * 1_000_000_000 / rate);
        let mut every = tokio::time::interval(Duration::from_millis(1));
        let mut sent = 0;
        while sent < self.events() {
            every.tick().await;
            while sent < self.events() && due(sent) <= Instant::now() {
                self.sent(sent);
                send(sent);
                sent += 1;
            }
        }
    }
}

/// The raw disk's latencies: one append and fdatasync after the other, sorted.
pub(crate) fn raw_latencies(dir: &Path, bytes: usize) -> Vec<Duration> {
    let mut raw: Vec<Duration> = (0..2000).map(|_| raw_append(dir, bytes, 1)).collect();
    raw.sort();
    raw
}

/// A row of latencies, in ms, and their ratio to others at p50.
pub(crate) fn latency_row(name: &str, sorted: &[Duration], against: Option<&[Duration]>) {
    let p50 = |sorted: &[Duration]| percentile(sorted, 50.0);
    let ratio = against.map(|against| p50(sorted).as_secs_f64() / p50(against).as_secs_f64());
    let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    row(&[name, &ms(p50(sorted)), &ms(percentile(sorted, 99.0)), &ratio]);
}

/// A runtime with two threads, as the machine has cores.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
