//! All pairs of classes.

use super::*;
use crate::process_compose::Class;

fn status_of(class: Class) -> Process {
    match class {
        Class::Up => up(5),
        Class::Idle => p("Pending", 0, 0, 0),
        Class::Ended => p("Completed", 5, 0, 1),
        Class::Terminating => p("Terminating", 5, 0, 0),
        Class::Restarting => p("Restarting", 5, 1, 1),
        Class::Error => p("Error", 0, 0, 0),
        Class::Skipped => p("Skipped", 0, 0, 1),
    }
}

/// Whatever follows whatever, runs are opened and closed in turn, runs = started + unseen holds, and a
/// further look at the same thing tells nothing.
#[test]
fn all_pairs_of_classes_keep_the_account() {
    let all: Vec<Option<Class>> = Class::ALL.into_iter().map(Some).chain([None]).collect();
    for first in &all {
        for (before, now) in all.iter().flat_map(|before| all.iter().map(move |now| (before, now))) {
            for shift in [0, 10] {
                let shown = |class: &Option<Class>, shift: i64| -> Vec<Process> {
                    let process = class.map(status_of);
                    let pid = |pid: i64| if pid == 0 { 0 } else { pid + shift };
                    process.map(|process| Process { pid: pid(process.pid), ..process }).into_iter().collect()
                };
                let mut world = World::new();
                let mut open = false;
                for (at, poll) in [shown(first, 0), shown(before, 0), shown(now, shift)].iter().enumerate() {
                    for _ in 0..2 {
                        for change in changes(&world.poll(poll)) {
                            let case = format!("{first:?} {before:?} {now:?} {shift} at {at}: {}", short(change));
                            let opens = change.kind == kind::STARTED;
                            if opens || [kind::STOPPED, kind::CRASHED].contains(&change.kind) {
                                assert_ne!(opens, open, "{case}");
                                open = opens;
                            }
                        }
                        let expected = world.last.records.get("p").is_some_and(|record| record.run.is_some());
                        assert_eq!(open, expected, "{first:?} {before:?} {now:?} {shift} at {at}");
                    }
                    let again = told(&world.poll(poll));
                    assert!(again.is_empty(), "{first:?} {before:?} {now:?} {shift} at {at}: {again:?}");
                }
            }
        }
    }
}
