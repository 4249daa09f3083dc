//! The transition table: what one look at a process tells, given what was known of it.
//!
//! A run is one life of one process. Exactly one `started` opens it and exactly one `stopped` or `crashed`
//! closes it; `restarted` says how many runs in between nobody saw. So runs = started + unseen.

use super::record::{Ending, Record};
use super::walk::{End, View, Walk};
use crate::event::Severity;
use crate::event::process::{Reason, RestartedBy, kind};
use crate::process_compose::Class;

/// An age that falls short of the expected one by so many milliseconds is that of another run.
const AGE_SLACK: i64 = 1500;

/// Applies one look. `before` is `None` for a process that was not there.
pub(super) fn step(before: Option<Record>, view: View<'_>) -> Walk<'_> {
    let class = before.as_ref().map(|record| record.class);
    let mut record = before.unwrap_or_else(|| Record::new(view.life, view.process, view.seen.clone()));
    record.replicas = view.replicas.or(record.replicas);
    let mut walk = Walk::new(record, view);
    let now = view.process.class();
    tell_status(&mut walk, class.is_some(), now);
    if let Some(now) = now {
        if walk.record.run.is_some() {
            from_open(&mut walk, class, now);
        } else {
            from_closed(&mut walk, class, now);
        }
        // While it restarts, the count that was told may be ahead of the one that is shown.
        if now != Class::Restarting {
            walk.record.restarts = view.process.restarts;
        }
        walk.record.class = now;
        health(&mut walk, now);
    }
    walk.record.process = view.process.clone();
    walk.record.missing = false;
    walk.record.seen = view.seen.clone();
    walk
}

/// A frame that shows the health of the run that is open, and nothing else that is new.
pub(super) fn step_health(record: Record, view: View<'_>) -> Walk<'_> {
    let mut walk = Walk::new(record, view);
    health(&mut walk, Class::Up);
    walk
}

/// A process that is no longer listed: the second poll without it ends its run.
pub(super) fn step_gone(record: Record, view: View<'_>, reason: Reason) -> Walk<'_> {
    let mut walk = Walk::new(record, view);
    walk.close(End::stopped(reason).inferred());
    walk
}

fn tell_status(walk: &mut Walk<'_>, known: bool, now: Option<Class>) {
    let status = &walk.view.process.status;
    if walk.view.frame || *status == walk.record.status {
        return;
    }
    let previous = std::mem::replace(&mut walk.record.status, status.clone());
    if !known {
        return;
    }
    walk.tell(kind::STATUS_CHANGED, walk.view.at, |data| data.previous_status = Some(previous));
    let skipped = walk.record.class == Class::Idle && now == Some(Class::Skipped);
    if let Some(change) = walk.changes.last_mut().filter(|_| skipped) {
        change.severity = Severity::Warning;
    }
}

/// Rows U → … and T → …: a run is open.
fn from_open(walk: &mut Walk<'_>, before: Option<Class>, now: Class) {
    let terminating = before == Some(Class::Terminating);
    match now {
        Class::Up if is_new(walk, now) => roll(walk, !terminating),
        Class::Up => {
            walk.unlisted |= terminating;
            settle(walk);
            if let Some(run) = &mut walk.record.run {
                run.ending = None;
            }
        }
        Class::Terminating => {
            if is_new(walk, now) {
                walk.unlisted = true;
                roll(walk, true);
            }
            settle(walk);
            mark_ending(walk);
        }
        Class::Restarting => {
            if is_new(walk, now) {
                walk.unlisted |= terminating;
                roll(walk, true);
            }
            settle(walk);
            end_by_policy(walk);
        }
        Class::Ended => {
            if is_new(walk, now) {
                walk.unlisted |= terminating;
                roll(walk, true);
            }
            settle(walk);
            walk.close(walk.by_code());
        }
        Class::Error => launch_error_from_open(walk),
        Class::Idle | Class::Skipped => {
            walk.unlisted |= !(terminating && now == Class::Idle);
            let end = walk.by_hand();
            walk.close(if terminating { end } else { end.inferred() });
        }
    }
}

/// Rows ∅, I, E, X, S, R → …: no run is open.
fn from_closed(walk: &mut Walk<'_>, before: Option<Class>, now: Class) {
    let first = walk.view.first && before.is_none();
    let pid = walk.view.process.pid;
    match now {
        Class::Up => {
            tell_unseen(walk, first);
            walk.open(false);
        }
        Class::Terminating => {
            let lies_between = !walk.record.is_old(pid);
            walk.unlisted = !first && before != Some(Class::Idle);
            if lies_between {
                walk.unlisted = !first;
                walk.open(true);
                mark_ending(walk);
            }
        }
        Class::Restarting if first => {
            walk.record.remember_closed(pid);
            walk.record.restarts = walk.view.process.restarts;
        }
        Class::Restarting => restarting_from_closed(walk, before),
        Class::Ended if first => walk.record.remember_closed(pid),
        Class::Ended => {
            if ran_and_ended(walk, before) {
                tell_unseen(walk, false);
                walk.open(true);
                walk.close(walk.by_code());
            } else if !matches!(before, Some(Class::Terminating | Class::Idle) | None) {
                // Completed and Scheduled show the same run; a restart that was waited for was called off.
            } else {
                walk.unlisted = before != Some(Class::Terminating);
            }
        }
        Class::Error if first => {}
        Class::Error => {
            if before != Some(Class::Error) || end_changed(walk) {
                tell_unseen(walk, false);
                walk.open(true);
                walk.close(End::crashed(Reason::LaunchError));
            }
        }
        Class::Idle | Class::Skipped => {
            let listed = match now {
                Class::Idle => {
                    matches!(before, None | Some(Class::Idle | Class::Ended | Class::Error | Class::Skipped))
                }
                _ => matches!(before, None | Some(Class::Idle | Class::Skipped)),
            };
            walk.unlisted = !listed;
        }
    }
}

/// Whether what is up, or ends, is another run than the one that is open.
fn is_new(walk: &Walk<'_>, now: Class) -> bool {
    let (process, record) = (walk.view.process, &walk.record);
    let settled = record.run.as_ref().and_then(|run| run.pid);
    let pid_changed = settled.is_some_and(|pid| process.pid != 0 && process.pid != pid);
    let start = (record.process.process_start_time, process.process_start_time);
    let start_changed = matches!(start, (Some(before), Some(now)) if before != now);
    let rise = process.restarts - record.restarts;
    if now == Class::Restarting {
        // Its own end raises the count by one: more than that are further runs, and another pid is only
        // strange where no run lies in between.
        return rise < 0 || (rise <= 1 && pid_changed);
    }
    let millis = |age: i64| age / 1_000_000;
    let expected = match now {
        Class::Up => walk.view.sent.since(&record.seen).map(|elapsed| millis(record.process.age) + elapsed as i64),
        _ => Some(millis(record.process.age)),
    };
    let young = settled.is_some() && expected.is_some_and(|expected| millis(process.age) + AGE_SLACK < expected);
    pid_changed || start_changed || rise != 0 || young
}

/// The open run gives way to another one that nobody saw starting.
fn roll(walk: &mut Walk<'_>, inferred: bool) {
    let process = walk.view.process;
    let rise = process.restarts - walk.record.restarts;
    if walk.record.missing {
        walk.close(End::stopped(Reason::Removed).gave_way());
        walk.restarted(RestartedBy::Reconfigured, process.restarts, process.restarts);
        walk.open(false);
    } else if rise > 0 && process.class() != Some(Class::Restarting) {
        let end = walk.by_policy().gave_way();
        // The code that is shown is that of the last run before this one, or already of this one.
        let known = rise == 1 && process.class() == Some(Class::Up);
        walk.close(if known { end } else { end.code_unknown() });
        walk.restarted(RestartedBy::Policy, process.restarts, rise - 1);
        walk.open(inferred);
    } else {
        let watched = process.watch_trigger_time != walk.record.process.watch_trigger_time || rise < 0;
        let by = if watched { RestartedBy::Watch } else { RestartedBy::Manual };
        walk.close(walk.by_hand().gave_way());
        // A count that began again at 0 tells how many runs lie in between; that which ends now is none.
        let ends_now = i64::from(process.class() == Some(Class::Restarting));
        let unseen = if rise < 0 { (process.restarts - ends_now).max(0) } else { 0 };
        walk.restarted(by, (process.restarts - ends_now).max(0), unseen);
        walk.open(inferred);
    }
}

/// The run's pid, where it was not to be trusted yet.
fn settle(walk: &mut Walk<'_>) {
    let pid = walk.view.process.pid;
    let fresh = !walk.record.is_old(pid);
    if let Some(run) = walk.record.run.as_mut().filter(|run| run.pid.is_none() && fresh) {
        run.pid = Some(pid);
    }
}

fn mark_ending(walk: &mut Walk<'_>) {
    let probe = walk.health == "Not Ready";
    if let Some(run) = &mut walk.record.run {
        run.ending.get_or_insert(if probe { Ending::Probe } else { Ending::Asked });
    }
}

/// U, T → R. The status turns before the count rises, so the count may be seen late.
fn end_by_policy(walk: &mut Walk<'_>) {
    let rise = (walk.view.process.restarts - walk.record.restarts).max(1);
    let restarts = walk.record.restarts + rise;
    let end = walk.by_policy();
    walk.close(if rise == 1 { end } else { end.code_unknown() });
    walk.restarted(RestartedBy::Policy, restarts, rise - 1);
}

/// E, X, S, R, ∅ → R.
fn restarting_from_closed(walk: &mut Walk<'_>, before: Option<Class>) {
    let process = walk.view.process;
    let rise = process.restarts - walk.record.restarts;
    let again = before == Some(Class::Restarting);
    if again && walk.record.is_old(process.pid) {
        // The run that was told of already; a count that is higher still is that of runs nobody saw, one
        // that is lower has yet to rise.
        if rise > 0 {
            walk.restarted(RestartedBy::Policy, process.restarts, rise);
        }
        return;
    }
    walk.unlisted = matches!(before, Some(Class::Idle | Class::Terminating)) || (again && rise <= 0);
    let rise = walk.rise().max(1);
    walk.open(true);
    walk.close(walk.by_policy());
    walk.restarted(RestartedBy::Policy, process.restarts.max(1), rise - 1);
}

/// … → X while a run is open.
fn launch_error_from_open(walk: &mut Walk<'_>) {
    let settled = walk.record.run.as_ref().is_some_and(|run| run.pid.is_some());
    if settled {
        let rise = walk.view.process.restarts - walk.record.restarts;
        let asked = walk.record.run.as_ref().is_some_and(|run| run.ending.is_some());
        if rise > 0 && !asked {
            let end = walk.by_policy().gave_way();
            walk.close(if rise == 1 { end } else { end.code_unknown() });
            walk.restarted(RestartedBy::Policy, walk.view.process.restarts, rise - 1);
        } else {
            walk.close(walk.by_hand().gave_way());
        }
        walk.open(true);
    }
    walk.close(End::crashed(Reason::LaunchError));
}

/// Whether a run lies between the last look and one that shows it ended.
fn ran_and_ended(walk: &Walk<'_>, before: Option<Class>) -> bool {
    let pid = walk.view.process.pid;
    let pid_changed = pid != 0 && pid != walk.record.process.pid;
    match before {
        None | Some(Class::Idle) => pid != 0,
        Some(Class::Restarting) => pid_changed,
        Some(Class::Ended | Class::Error | Class::Skipped) => pid_changed || end_changed(walk),
        Some(Class::Terminating | Class::Up) => !walk.record.is_old(pid),
    }
}

fn end_changed(walk: &Walk<'_>) -> bool {
    let ends = (walk.record.process.process_end_time, walk.view.process.process_end_time);
    matches!(ends, (Some(before), Some(now)) if before != now)
}

/// Restarts that were counted while nobody looked: runs that are over.
fn tell_unseen(walk: &mut Walk<'_>, first: bool) {
    let rise = walk.rise();
    if rise > 0 && !first {
        walk.restarted(RestartedBy::Policy, walk.view.process.restarts, rise);
    }
}

/// Health counts only while it is up.
fn health(walk: &mut Walk<'_>, now: Class) {
    if now != Class::Up {
        return;
    }
    let ready = &walk.view.process.is_ready;
    let told = match ready.as_str() {
        "Ready" => Some(kind::HEALTHY),
        "Not Ready" => Some(kind::UNHEALTHY),
        _ => None,
    };
    if let Some(kind) = told.filter(|_| *ready != walk.health && !walk.view.first) {
        walk.tell(kind, walk.view.at, |_| {});
    }
    if let Some(run) = &mut walk.record.run {
        run.health = ready.clone();
    }
}
