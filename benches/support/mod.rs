//! What the benchmarks have in common: the machine, a table, a workload, and the raw disk to hold against.

#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
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
