//! What one poll costs: CPU of reading the answer, comparing it with the last snapshot, and committing.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use support::{head, ms, number, print_machine, row};
use watchpost::config;
use watchpost::event::Timestamp;
use watchpost::ingest::Ingest;
use watchpost::process_compose::parse_processes;
use watchpost::source::process_compose::diff::{Poll, diff};
use watchpost::source::process_compose::hint::Hint;
use watchpost::source::process_compose::record::Snapshot;
use watchpost::source::process_compose::{Mark, Writer};
use watchpost::store::Store;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One in so many processes is another run in each poll.
const CHANGED: usize = 20;

fn main() {
    print_machine();
    let polls = number("POLLS", 50);
    println!("\nCPU of one poll, of {polls}, with 5 % of the processes restarted since the last one\n");
    head(&["processes", "read", "compare", "commit", "whole poll", "per process"]);
    for processes in [100, 1000, 10_000] {
        let dir = tempfile::tempdir_in(".").expect("a folder");
        let settings = config::Store { dir: dir.path().join("store"), ..config::Store::default() };
        let store = Store::open(&settings).expect("a store");
        let (ingest, ingestor) = Ingest::start(&store).expect("ingest");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let [read, compare, commit] = runtime.block_on(measure(&ingest, processes, polls));
        ingestor.drain().expect("a good end");
        let whole = read + compare + commit;
        row(&[
            &processes.to_string(),
            &ms(read),
            &ms(compare),
            &ms(commit),
            &ms(whole),
            &format!("{:.2} µs", whole.as_secs_f64() * 1e6 / processes as f64),
        ]);
    }
}

/// CPU time of this process, all its threads.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("nanoseconds"))
}

async fn measure(ingest: &Ingest, processes: usize, polls: u64) -> [Duration; 3] {
    let writer = Writer::new(&config::ProcessCompose::default());
    let (mut last, hint) = (Snapshot::default(), Hint::default());
    let mut spent = [Duration::ZERO; 3];
    for n in 0..=polls {
        let body = answer(processes, n);
        let begin = cpu();
        let poll = poll(parse_processes(body.as_bytes()).expect("an answer"), n);
        let read = cpu();
        let outcome = diff(&last, &hint, &poll);
        let compared = cpu();
        for submission in writer.outcome(&outcome, &last) {
            ingest.submit(submission).await.expect("a commit");
        }
        last = outcome.snapshot;
        // The first one is the baseline.
        if n > 0 {
            let parts = [read - begin, compared - read, cpu() - compared];
            spent.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
    }
    spent.map(|sum| sum / u32::try_from(polls).expect("not so many"))
}

fn poll(processes: Vec<watchpost::process_compose::Process>, n: u64) -> Poll {
    let mark = |millis| Mark { boot: "bench".into(), millis };
    Poll {
        source: "main".into(),
        life: Timestamp::from_millis(1_700_000_000_000),
        processes: processes.into_iter().map(|process| (process.name.clone(), process)).collect(),
        replicas: BTreeMap::new(),
        at: Timestamp::from_millis(1_700_000_000_000 + 2000 * n as i64),
        seen: mark(2000 * n),
        sent: mark(2000 * n),
        began: 0,
        last_sent: n.checked_sub(1).map(|n| 2000 * n),
        settled: true,
    }
}

/// What the supervisor answers to poll `n`: another twentieth of its processes is restarted each time.
fn answer(processes: usize, n: u64) -> String {
    let mut body = String::from(r#"{"data":["#);
    for at in 0..processes {
        let restarts = (n + (CHANGED - at % CHANGED) as u64) / CHANGED as u64;
        let comma = if at == 0 { "" } else { "," };
        let pid = 1000 + at as u64 + restarts * processes as u64;
        write!(
            body,
            r#"{comma}{{"name":"worker-{at}","namespace":"default","status":"Running","system_time":"1h2m","age":{},"is_ready":"Ready","has_ready_probe":true,"restarts":{restarts},"exit_code":1,"pid":{pid},"is_elevated":false,"password_provided":false,"mem":{},"cpu":0.5,"is_running":true,"process_start_time":"2026-11-21T10:37:11.678157147Z","process_ready_time":"2026-11-21T10:37:11.678157147Z"}}"#,
            3_600_000_000_000u64 + n * 2_000_000_000,
            3_000_000 + n,
        )
        .expect("a string");
    }
    body + "]}"
}
