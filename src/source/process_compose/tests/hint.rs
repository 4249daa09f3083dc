//! What frames add to the polls.

use super::*;

#[test]
fn a_stop_that_only_frames_showed_is_a_requested_one() {
    let frames = [(500, p("Terminating", 5, 0, 0)), (510, p("Completed", 5, 0, 143))];
    let changes = check_hint(up(5), &frames, p("Completed", 5, 0, 143), &["stopped requested exit=143"]);
    let end = changes.iter().find(|c| c.kind == kind::STOPPED).expect("an end");
    assert_eq!(end.ts, time(100_510), "the time of the frame");
    // Late: the poll overtook the frame.
    let late = [(2500, p("Terminating", 5, 0, 0))];
    check_hint(up(5), &late, p("Completed", 5, 0, 143), &["stopped requested exit=143"]);
}

#[test]
fn where_frames_would_have_shown_a_stop_an_end_is_no_riddle() {
    check_hint(up(5), &[], p("Completed", 5, 0, -1), &["crashed exit exit=-1"]);
    let frames = [(500, p("Completed", 5, 0, -1))];
    check_hint(up(5), &frames, p("Completed", 5, 0, -1), &["crashed exit exit=-1"]);
}

#[test]
fn a_probe_that_kills_is_told_by_frames_too() {
    let sick = ready("Not Ready", up(5));
    let frames = [(100, sick), (1100, p("Terminating", 5, 0, 0)), (1110, p("Completed", 5, 0, 143))];
    let expected = ["unhealthy", "crashed unhealthy exit=143"];
    check_hint(ready("Ready", up(5)), &frames, p("Completed", 5, 0, 143), &expected);
}

#[test]
fn short_runs_that_only_frames_showed_are_told_once() {
    let frames = [
        (100, p("Restarting", 5, 0, 2)),
        (300, p("Running", 5, 1, 2)),
        (600, p("Restarting", 6, 1, 2)),
        (900, p("Running", 6, 2, 2)),
    ];
    let expected = [
        "crashed exit exit=2",
        "restarted policy restarts=1 unseen=0",
        "started",
        "crashed exit exit=2",
        "restarted policy restarts=2 unseen=0",
        "started",
    ];
    let changes = check_hint(up(5), &frames, p("Running", 7, 2, 2), &expected);
    let starts: Vec<_> = changes.iter().filter(|c| c.kind == kind::STARTED).map(|c| c.ts).collect();
    assert_eq!(starts, [time(100_300), time(100_900)]);
    // By hand the count does not rise.
    let frames = [
        (100, p("Terminating", 5, 0, 0)),
        (110, p("Completed", 5, 0, 143)),
        (300, up(0)),
        (600, p("Completed", 6, 0, 7)),
    ];
    let expected = ["stopped requested exit=143", "started", "crashed exit exit=7", "started"];
    check_hint(up(5), &frames, up(7), &expected);
}

#[test]
fn a_frame_that_comes_late_invents_nothing() {
    let mut world = World::new().listening();
    world.poll(&[up(5)]);
    assert_eq!(
        told(&world.poll(&[p("Restarting", 5, 1, 2)])),
        ["crashed exit exit=2", "restarted policy restarts=1 unseen=0"]
    );
    for frame in
        [p("Terminating", 5, 0, 0), p("Restarting", 5, 0, 2), p("Completed", 5, 0, 2), p("Running", 5, 0, 0)]
    {
        world.hear(frame, 1);
    }
    assert!(told(&world.poll(&[p("Restarting", 5, 1, 2)])).is_empty());
    assert_eq!(told(&world.poll(&[p("Running", 6, 1, 2)])), ["started"]);
    // A run that another one has followed is over, whatever still comes of it.
    world.hear(p("Completed", 5, 1, 2), 1);
    assert!(told(&world.poll(&[p("Running", 6, 1, 2)])).is_empty());
}
