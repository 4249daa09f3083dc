use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::event::session::{find, types};

/// The types of the document's catalog: all but those that Watchpost writes itself.
fn catalog() -> BTreeSet<&'static str> {
    let ours = [kind::SESSION_INTERRUPTED, kind::SESSION_RESUMED, kind::INGEST_FAILED];
    let types: BTreeSet<_> = types().iter().map(|known| known.name).filter(|name| !ours.contains(name)).collect();
    assert_eq!(types.len(), 29);
    types
}

fn hash(workload: Workload) -> String {
    let mut hash = Sha256::new();
    for step in workload.steps() {
        hash.update(format!("{} {} {}\n", step.at_ms, step.kind, step.data));
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Steps with their payload read, grouped by a field of it.
fn by<'a>(steps: &'a [(Step, Value)], kinds: &[&str], field: &str) -> BTreeMap<String, Vec<&'a (Step, Value)>> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for step in steps.iter().filter(|(step, _)| kinds.contains(&step.kind)) {
        groups.entry(step.1[field].to_string()).or_default().push(step);
    }
    groups
}

fn played(workload: Workload) -> Vec<(Step, Value)> {
    let read = |step: Step| {
        let data = serde_json::from_str(&step.data).expect("JSON");
        (step, data)
    };
    workload.steps().map(read).collect()
}

fn count(steps: &[(Step, Value)], kind: &str) -> u64 {
    steps.iter().filter(|(step, _)| step.kind == kind).count() as u64
}

#[test]
fn the_same_seed_gives_the_same_events() {
    // Written down: what was recorded with a seed must be what a later version makes of it.
    assert_eq!(hash(Workload::default()), "cdcda746196ec70c");
    assert_ne!(hash(Workload::default()), hash(Workload { seed: 2, ..Workload::default() }));
}

#[test]
fn every_type_occurs_whatever_the_seed() {
    for seed in 0..200 {
        let kinds: BTreeSet<_> = Workload { seed, ..Workload::default() }.steps().map(|step| step.kind).collect();
        assert_eq!(kinds, catalog(), "seed {seed}");
    }
}

#[test]
fn the_catalog_knows_every_field() {
    for step in Workload::default().steps() {
        let known = find(step.kind).expect("a type of the catalog").known(&step.data);
        assert_eq!(known.wrong, [""; 0], "{step:?}");
        let written: Value = serde_json::from_str(&step.data).expect("JSON");
        assert_eq!(known.value, written, "{step:?}");
    }
}

#[test]
fn begins_with_its_start_ends_with_its_end_and_keeps_its_rate() {
    let steps: Vec<_> = Workload { rate: 50, ..Workload::default() }.steps().collect();
    assert_eq!(steps.first().map(|step| step.kind), Some("session_started"));
    assert_eq!(steps.last().map(|step| step.kind), Some("session_ended"));
    for (n, step) in (0..).zip(&steps) {
        assert_eq!(step.at_ms, n * 20);
    }
}

#[test]
fn every_started_node_completes_or_fails_once() {
    for seed in 0..10 {
        let steps = played(Workload { seed, levels: 5, nodes: 40, rate: 1000 });
        for kind in ["plan-S-1", "plan-S-2"] {
            let plan = Value::from(kind.replace('S', &seed.to_string()));
            let of_plan: Vec<_> = steps.iter().filter(|(_, data)| data["plan_id"] == plan).cloned().collect();
            let ended = ["node_generation_started", "node_generation_completed", "node_generation_failed"];
            for (node, life) in by(&of_plan, &ended, "node_id") {
                assert_eq!(life.len(), 2, "{node}: {life:?}");
                assert_eq!(life[0].0.kind, ended[0]);
                let [(start, _), (end, data)] = life[..] else { unreachable!() };
                if end.kind == ended[1] {
                    assert_eq!(data["duration_ms"], end.at_ms - start.at_ms, "{node}");
                }
            }
            let skipped = by(&of_plan, &["node_skipped"], "node_id");
            let started = by(&of_plan, &ended[..1], "node_id");
            assert!(skipped.keys().all(|node| !started.contains_key(node)));
        }
    }
}

#[test]
fn the_counts_of_levels_and_of_the_generation_add_up() {
    let steps = played(Workload { seed: 7, levels: 5, nodes: 40, rate: 1000 });
    let first: Vec<_> = steps.iter().filter(|(_, data)| data["plan_id"] == "plan-7-1").cloned().collect();
    let sum = |kind: &str, field: &str| -> u64 {
        let found = first.iter().filter(|(step, _)| step.kind == kind);
        found.map(|(_, data)| data[field].as_u64().expect("a count")).sum()
    };
    assert_eq!(sum("level_completed", "generated_count"), count(&first, "node_generation_completed"));
    assert_eq!(sum("level_completed", "failed_count"), count(&first, "node_generation_failed"));
    assert_eq!(sum("level_started", "total_count"), count(&first, "node_generation_started"));
    assert_eq!(sum("level_started", "total_count"), sum("generation_started", "total_nodes"));
    assert_eq!(sum("generation_completed", "total_count"), sum("generation_started", "total_nodes"));
    assert_eq!(sum("plan_constructed", "total_nodes"), 200);
    assert_eq!(sum("generation_started", "total_nodes") + count(&first, "node_skipped"), 200);
    let (_, end) = steps.last().expect("an end");
    assert_eq!(end["counts"]["generated"], sum("generation_completed", "generated_count"));
    assert_eq!(end["counts"]["failed"], sum("generation_completed", "failed_count") + 1);
}

#[test]
fn every_request_is_answered_or_shares_an_answer() {
    let steps = played(Workload { seed: 3, levels: 5, nodes: 60, rate: 1000 });
    let kinds = [
        "request_enqueued",
        "request_deduplicated",
        "request_processing",
        "provider_request_sent",
        "provider_response_received",
        "provider_request_failed",
        "provider_request_retrying",
    ];
    let mut shared = 0;
    for (request, life) in by(&steps, &kinds, "request_id") {
        let told: Vec<_> = life.iter().map(|(step, _)| step.kind).collect();
        if told[1] == "request_deduplicated" {
            shared += 1;
            assert_eq!(told.len(), 2, "{request}: {told:?}");
            continue;
        }
        assert_eq!(told[..2], ["request_enqueued", "request_processing"], "{request}");
        for attempt in told[2..].chunks(3) {
            let answered = ["provider_request_sent", "provider_response_received"];
            let failed = ["provider_request_sent", "provider_request_failed", "provider_request_retrying"];
            assert!(*attempt == answered || failed.starts_with(attempt), "{request}: {told:?}");
        }
    }
    assert!(shared > 5, "{shared}");
    for (step, data) in steps.iter().filter(|(step, _)| step.kind == "queue_stats") {
        assert!(data["processing"].as_u64() <= Some(4), "{step:?}");
    }
}

#[test]
fn can_be_of_any_size() {
    for events in [2000, 10_000, 50_000] {
        let made = Workload::of_events(1, events).steps().count() as f64 / events as f64;
        assert!((0.95..1.05).contains(&made), "{events}: {made}");
    }
    let million = Workload::of_events(1, 1_000_000);
    assert!((800_000..1_100_000).contains(&(million.levels * million.nodes * 7)), "{million:?}");
    // The smallest there is.
    let least = Workload { levels: 0, nodes: 0, rate: 0, seed: 0 };
    assert_eq!(least.steps().last().map(|step| step.kind), Some("session_ended"));
}
