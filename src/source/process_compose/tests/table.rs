//! Each row of the table, without frames.

use std::collections::BTreeMap;

use super::*;
use crate::event::Severity;

const NONE: &[Process] = &[];

#[test]
fn the_first_snapshot_is_a_baseline() {
    check(&[&[up(5)]], &["started initial"]);
    check(&[&[ready("Ready", up(5))]], &["started initial"]);
    for status in ["Pending", "Disabled", "Completed", "Restarting", "Error", "Skipped"] {
        check(&[&[p(status, 5, 1, 3)]], &[]);
    }
    // What ends after it was first seen has its start.
    check(&[&[p("Terminating", 5, 0, 0)]], &["started initial"]);
}

#[test]
fn absent_or_idle_to_up() {
    check(&[NONE, &[up(5)]], &["started"]);
    check(&[&[p("Pending", 0, 0, 0)], &[up(5)]], &["started"]);
    check(&[&[p("Disabled", 0, 0, 0)], &[p("Launching", 5, 0, 0)]], &["started"]);
}

#[test]
fn absent_or_idle_to_ended() {
    check(&[NONE, &[p("Completed", 5, 0, 0)]], &["started inferred", "stopped exit exit=0"]);
    check(&[&[p("Pending", 0, 0, 0)], &[p("Completed", 5, 0, 7)]], &["started inferred", "crashed exit exit=7"]);
    check(&[&[p("Scheduled", 0, 0, 0)], &[p("Scheduled", 5, 0, 3)]], &["started inferred", "crashed exit exit=3"]);
}

#[test]
fn idle_to_skipped_is_a_warning_and_nothing_more() {
    let mut world = World::new();
    world.poll(&[p("Pending", 0, 0, 0)]);
    let outcome = world.poll(&[p("Skipped", 0, 0, 1)]);
    let changes = changes(&outcome);
    assert_eq!(
        changes.iter().map(|c| (c.kind, &c.severity)).collect::<Vec<_>>(),
        [(kind::STATUS_CHANGED, &Severity::Warning)]
    );
}

#[test]
fn any_to_launch_error() {
    let error = || p("Error", 0, 0, 0);
    let launch = ["started inferred", "crashed launch_error"];
    check(&[NONE, &[error()]], &launch);
    check(&[&[p("Pending", 0, 0, 0)], &[error()]], &launch);
    check(&[&[p("Completed", 5, 0, 0)], &[error()]], &launch);
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Error", 5, 1, 2)]], &launch);
    check(&[&[error()], &[error()]], &[]);
    let first = "stopped inferred requested";
    check(&[&[up(5)], &[p("Error", 5, 0, 0)]], &[&[first][..], &launch].concat());
    let first = ["crashed inferred exit exit=2", "restarted policy restarts=1 unseen=0"];
    check(&[&[up(5)], &[p("Error", 5, 1, 2)]], &[&first[..], &launch].concat());
}

#[test]
fn pending_that_is_called_off_never_ran() {
    check(&[&[p("Pending", 0, 0, 0)], &[p("Terminating", 0, 0, 0)]], &[]);
    check(&[&[p("Pending", 0, 0, 0)], &[p("Terminating", 0, 0, 0)], &[p("Completed", 0, 0, 0)]], &[]);
}

#[test]
fn up_and_the_same() {
    check(&[&[up(5)], &[up(5)]], &[]);
    check(&[&[p("Launching", 5, 0, 0)], &[p("Launched", 5, 0, 0)]], &[]);
}

#[test]
fn up_to_up_with_counted_restarts() {
    let expected = ["crashed inferred exit exit=2", "restarted policy restarts=1 unseen=0", "started inferred"];
    check(&[&[up(5)], &[p("Running", 6, 1, 2)]], &expected);
    let expected = ["crashed inferred exit", "restarted policy restarts=3 unseen=2", "started inferred"];
    check(&[&[up(5)], &[p("Running", 8, 3, 2)]], &expected);
    let expected = ["stopped inferred exit exit=0", "restarted policy restarts=1 unseen=0", "started inferred"];
    check(&[&[up(5)], &[p("Running", 6, 1, 0)]], &expected);
}

#[test]
fn a_pid_that_comes_late_is_not_new() {
    check(&[&[up(5)], &[p("Running", 5, 1, 2)], &[p("Running", 6, 1, 2)]], &[]);
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Running", 5, 1, 2)], &[p("Running", 6, 1, 2)]], &[]);
    check(&[&[p("Pending", 0, 0, 0)], &[up(0)], &[up(6)]], &[]);
}

#[test]
fn up_to_up_restarted_by_hand_or_by_a_watch() {
    let by =
        |by: &str| vec!["stopped inferred requested".into(), format!("restarted {by}"), "started inferred".into()];
    let check = |polls: &[&[Process]], who: &str| {
        let expected = by(who);
        check(polls, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check(&[&[up(5)], &[up(6)]], "manual restarts=0 unseen=0");
    check(&[&[p("Running", 5, 3, 0)], &[p("Running", 6, 0, 0)]], "watch restarts=0 unseen=0");
    let start = |at: u64, process: Process| Process { process_start_time: Some(time(at)), ..process };
    check(&[&[start(1, up(5))], &[start(2, up(5))]], "manual restarts=0 unseen=0");
    let watched = Process { watch_trigger_time: Some(time(9)), ..up(6) };
    check(&[&[up(5)], &[watched]], "watch restarts=0 unseen=0");
}

#[test]
fn a_reused_pid_is_told_by_its_age() {
    let aged = |millis: i64| Process { age: millis * 1_000_000, ..up(5) };
    let new = ["stopped inferred requested", "restarted manual restarts=0 unseen=0", "started inferred"];
    check(&[&[aged(10_000)], &[aged(12_000)]], &[]);
    check(&[&[aged(10_000)], &[aged(10_600)]], &[]);
    check(&[&[aged(10_000)], &[aged(10_400)]], &new);
    // After a boot in between nothing is known of the time that passed.
    let mut world = World::new();
    world.poll(&[aged(10_000)]);
    world.boot = "another";
    assert!(told(&world.poll(&[aged(100)])).is_empty());
}

#[test]
fn up_to_terminating_to_ended() {
    check(&[&[up(5)], &[p("Terminating", 5, 0, 0)]], &[]);
    let a: &[Process] = &[up(5)];
    let b: &[Process] = &[p("Terminating", 5, 0, 0)];
    check(&[a, b, &[p("Completed", 5, 0, 143)]], &["stopped requested exit=143"]);
    check(&[a, b, &[p("Completed", 5, 0, 0)]], &["stopped requested exit=0"]);
    // A probe that failed kills: health is hidden once it terminates.
    let sick: &[Process] = &[ready("Not Ready", up(5))];
    check(&[sick, b, &[p("Completed", 5, 0, 143)]], &["crashed unhealthy exit=143"]);
    let expected = ["crashed unhealthy exit=143", "restarted policy restarts=1 unseen=0"];
    check(&[sick, b, &[p("Restarting", 5, 1, 143)]], &expected);
    check(&[a, b, &[p("Disabled", 0, 0, 0)]], &["stopped requested"]);
}

#[test]
fn terminating_to_up_again() {
    let polls: [&[Process]; 3] = [&[up(5)], &[p("Terminating", 5, 0, 0)], &[up(6)]];
    check(&polls, &["stopped inferred requested", "restarted manual restarts=0 unseen=0", "started"]);
}

#[test]
fn up_to_restarting() {
    check(
        &[&[up(5)], &[p("Restarting", 5, 1, 2)]],
        &["crashed exit exit=2", "restarted policy restarts=1 unseen=0"],
    );
    check(&[&[up(5)], &[p("Restarting", 7, 3, 0)]], &["stopped exit", "restarted policy restarts=3 unseen=2"]);
    // The status turns before the count rises.
    check(
        &[&[up(5)], &[p("Restarting", 5, 0, 2)]],
        &["crashed exit exit=2", "restarted policy restarts=1 unseen=0"],
    );
    check(&[&[up(5)], &[p("Restarting", 5, 0, 2)], &[p("Restarting", 5, 1, 2)]], &[]);
    check(&[&[up(5)], &[p("Restarting", 5, 0, 2)], &[p("Running", 6, 1, 2)]], &["started"]);
}

#[test]
fn up_to_ended() {
    check(&[&[up(5)], &[p("Completed", 5, 0, 0)]], &["stopped exit exit=0"]);
    check(&[&[up(5)], &[p("Completed", 5, 0, 7)]], &["crashed exit exit=7"]);
    check(&[&[up(5)], &[p("Scheduled", 5, 0, 7)]], &["crashed exit exit=7"]);
    let clean = Process { success_exit_codes: vec![0, 3], ..p("Completed", 5, 0, 3) };
    check(&[&[up(5)], &[clean]], &["stopped exit exit=3"]);
    check(&[&[ready("Not Ready", up(5))], &[p("Completed", 5, 0, 143)]], &["crashed unhealthy exit=143"]);
    for code in [-1, 130, 137, 143] {
        let expected = format!("crashed ambiguous ambiguous exit={code}");
        check(&[&[up(5)], &[p("Completed", 5, 0, code)]], &[&expected]);
    }
}

#[test]
fn up_to_ended_with_runs_in_between() {
    let tail = ["restarted policy restarts=2 unseen=1", "started inferred", "crashed exit exit=2"];
    check(&[&[up(5)], &[p("Completed", 7, 2, 2)]], &[&["crashed inferred exit"][..], &tail].concat());
    let expected = [
        "stopped inferred requested",
        "restarted manual restarts=0 unseen=0",
        "started inferred",
        "crashed exit exit=7",
    ];
    check(&[&[up(5)], &[p("Completed", 6, 0, 7)]], &expected);
}

#[test]
fn restarting_to_up() {
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Running", 6, 1, 2)]], &["started"]);
    let expected = ["restarted policy restarts=3 unseen=2", "started"];
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Running", 8, 3, 2)]], &expected);
}

#[test]
fn restarting_to_restarting() {
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Restarting", 5, 1, 2)]], &[]);
    let expected = ["started inferred", "crashed exit exit=2", "restarted policy restarts=2 unseen=0"];
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Restarting", 6, 2, 2)]], &expected);
    let expected = ["started inferred", "crashed exit exit=2", "restarted policy restarts=4 unseen=2"];
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Restarting", 8, 4, 2)]], &expected);
}

#[test]
fn a_count_that_rises_late_is_told_once() {
    let mut world = World::new().listening();
    world.poll(&[up(5)]);
    world.hear(p("Restarting", 5, 0, 2), 100);
    let expected = ["crashed exit exit=2", "restarted policy restarts=1 unseen=0"];
    assert_eq!(told(&world.poll(&[p("Restarting", 5, 0, 2)])), expected);
    assert!(told(&world.poll(&[p("Restarting", 5, 1, 2)])).is_empty());
    assert_eq!(told(&world.poll(&[p("Running", 6, 1, 2)])), ["started"]);
}

#[test]
fn restarting_to_ended() {
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Completed", 5, 1, 2)]], &[]);
    let expected = ["started inferred", "crashed exit exit=2"];
    check(&[&[p("Restarting", 5, 1, 2)], &[p("Completed", 6, 1, 2)]], &expected);
}

#[test]
fn ended_error_or_skipped_to_up() {
    for status in ["Completed", "Error", "Skipped"] {
        check(&[&[p(status, 5, 0, 0)], &[up(6)]], &["started"]);
    }
}

#[test]
fn ended_error_or_skipped_to_ended() {
    let run = ["started inferred", "crashed exit exit=7"];
    for status in ["Completed", "Error", "Skipped"] {
        check(&[&[p(status, 5, 0, 0)], &[p("Completed", 6, 0, 7)]], &run);
    }
    let ended = |at: u64| Process { process_end_time: Some(time(at)), ..p("Completed", 5, 0, 7) };
    check(&[&[ended(1)], &[ended(2)]], &run);
    check(&[&[ended(1)], &[ended(1)]], &[]);
}

#[test]
fn ended_to_restarting() {
    let expected = ["started inferred", "crashed exit exit=2", "restarted policy restarts=1 unseen=0"];
    for status in ["Completed", "Error", "Skipped"] {
        check(&[&[p(status, 5, 0, 0)], &[p("Restarting", 6, 1, 2)]], &expected);
    }
    check(&[NONE, &[p("Restarting", 6, 1, 2)]], &expected);
}

#[test]
fn completed_and_scheduled_show_the_same_run() {
    let polls = ["Running", "Completed", "Scheduled", "Watching", "Completed"].map(|status| p(status, 5, 0, 0));
    let mut world = World::new();
    world.poll(&polls[..1]);
    assert_eq!(told(&world.poll(&polls[1..2])), ["stopped exit exit=0"]);
    for status in &polls[2..] {
        assert!(told(&world.poll(std::slice::from_ref(status))).is_empty(), "{}", status.status);
    }
}

#[test]
fn ended_error_or_skipped_to_idle() {
    for status in ["Completed", "Error", "Skipped"] {
        check(&[&[p(status, 5, 0, 0)], &[p("Pending", 0, 0, 0)]], &[]);
    }
}

#[test]
fn removed_while_up_waits_one_poll() {
    check(&[&[up(5)], NONE], &[]);
    check(&[&[up(5)], NONE, NONE], &["stopped inferred removed"]);
    check(&[&[up(5)], NONE, NONE, NONE], &[]);
    check(&[&[up(5)], NONE, &[up(5)]], &[]);
    check(&[&[p("Terminating", 5, 0, 0)], NONE, NONE], &["stopped inferred removed"]);
    let expected = ["stopped inferred removed", "restarted reconfigured restarts=0 unseen=0", "started"];
    check(&[&[up(5)], NONE, &[up(6)]], &expected);
}

#[test]
fn removed_while_not_up_is_nothing() {
    for status in ["Completed", "Restarting", "Error", "Skipped", "Pending"] {
        check(&[&[p(status, 5, 0, 0)], NONE, NONE], &[]);
        let mut world = World::new();
        for poll in [&[p(status, 5, 0, 0)][..], NONE, NONE] {
            world.poll(poll);
        }
        assert!(world.last.records.is_empty(), "{status}");
    }
}

#[test]
fn scaling_renames_and_the_run_goes_on() {
    let w = |name: &str, pid: i64| named(name, up(pid));
    let mut world = World::new();
    let first = world.poll(&[w("w", 5)]);
    let id = changes(&first)[0].data.run_id;
    assert_eq!(told(&world.poll(&[w("w-0", 5), w("w-1", 6)])), ["w-1: started"]);
    // The new name may come a poll after the old one went.
    assert!(told(&world.poll(&[w("w-1", 6)])).is_empty());
    assert!(told(&world.poll(&[w("w-00", 5), w("w-01", 6)])).is_empty());
    assert_eq!(world.last.records.len(), 2);
    let end = world.poll(&[named("w-00", p("Completed", 5, 0, 0)), w("w-01", 6)]);
    assert_eq!(told(&end), ["w-00: stopped exit exit=0"]);
    assert_eq!(changes(&end).last().expect("an end").data.run_id, id);
    // One that has ended already is renamed too; another pid is another process.
    assert!(told(&world.poll(&[named("w", p("Completed", 5, 0, 0)), w("w-01", 6)])).is_empty());
    let outcome = world.poll(&[named("w", p("Completed", 5, 0, 0)), w("w-1", 9)]);
    assert_eq!(told(&outcome), ["w-1: started"]);
    let gone = world.poll(&[named("w", p("Completed", 5, 0, 0)), w("w-1", 9)]);
    assert_eq!(told(&gone), ["w-01: stopped inferred removed"]);
}

#[test]
fn health_counts_only_while_it_is_up() {
    let r = |word: &str| ready(word, up(5));
    check(&[&[r("-")], &[r("Ready")]], &["healthy"]);
    check(&[&[r("Ready")], &[r("Not Ready")]], &["unhealthy"]);
    check(&[&[r("Not Ready")], &[r("-")]], &[]);
    check(&[&[r("Ready")], &[r("Ready")]], &[]);
    check(&[NONE, &[r("Ready")]], &["started", "healthy"]);
    check(&[&[r("Ready")], &[ready("Not Ready", p("Terminating", 5, 0, 0))]], &[]);
    // A new run begins without health.
    let new = ready("Ready", p("Running", 6, 1, 2));
    let expected =
        ["crashed inferred exit exit=2", "restarted policy restarts=1 unseen=0", "started inferred", "healthy"];
    check(&[&[r("Ready")], &[new]], &expected);
}

#[test]
fn severities_are_those_of_the_table() {
    let mut world = World::new();
    let severities = |outcome: &Outcome| -> BTreeMap<&str, Severity> {
        changes(outcome).iter().map(|c| (c.kind, c.severity.clone())).collect()
    };
    world.poll(&[ready("Ready", up(5))]);
    assert_eq!(severities(&world.poll(&[ready("Not Ready", up(5))]))["unhealthy"], Severity::Warning);
    let crash = severities(&world.poll(&[p("Restarting", 5, 1, 2)]));
    let expected =
        [("crashed", Severity::Error), ("restarted", Severity::Info), ("status_changed", Severity::Debug)];
    assert_eq!(crash, expected.into());
}

#[test]
fn another_supervisor_ends_what_was_open_and_is_a_baseline() {
    let mut world = World::new();
    let polls = [up(5), named("q", p("Completed", 6, 0, 0)), named("r", p("Terminating", 7, 0, 0))];
    world.poll(&polls);
    world.life = 50_000;
    let outcome = world.poll(&[up(15), named("q", p("Completed", 16, 0, 3))]);
    let expected =
        ["stopped inferred supervisor_restarted", "r: stopped inferred supervisor_restarted", "started initial"];
    assert_eq!(told(&outcome), expected);
    let lives: Vec<_> = changes(&outcome).iter().map(|change| change.life).collect();
    assert_eq!(lives, [time(0), time(0), time(50_000)]);
}

#[test]
fn an_unknown_status_changes_nothing_but_the_status() {
    check(&[&[up(5)], &[p("Hibernating", 5, 0, 0)]], &[]);
    check(&[&[up(5)], &[p("Hibernating", 5, 0, 0)], &[up(5)]], &[]);
    let running = Process { is_running: Some(true), ..p("Hibernating", 5, 0, 0) };
    check(&[NONE, &[running]], &["started"]);
}
