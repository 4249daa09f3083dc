//! Sessions for the tests of views.

use super::calls::Calls;
use crate::demo::{Step, Workload};
use crate::event::{Event, Subject, Timestamp, testing};
use crate::state::session::Session;

/// The session.
const SESSION: &str = "0199ec5e-8f2a-7c3d-9e4f-0123456789ab";

/// When it began.
const START: i64 = 1_760_608_411_042;

/// A time, in milliseconds since the session began.
pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

/// An event with a payload.
pub(in crate::cli) fn event(seq: u64, ms: i64, kind: &str, data: &str) -> Event {
    let data = testing::data(data);
    let event = Event { ts: at(ms), observed: at(ms), seq, data, ..testing::event(SESSION, kind) };
    Event { subject: Subject::session(&event.session, &event.kind).expect("a subject"), ..event }
}

/// The state and the calls after the first steps of a workload.
pub(super) fn folded(workload: &Workload, steps: usize) -> (Session, Calls) {
    let events = workload.steps().take(steps).zip(1..);
    let events = events.map(|(step, seq): (Step, u64)| event(seq, step.at_ms as i64, step.kind, &step.data));
    fold(events)
}

/// The state and the calls after these events.
pub(super) fn fold(events: impl IntoIterator<Item = Event>) -> (Session, Calls) {
    let (mut state, mut calls) = (Session::default(), Calls::default());
    for event in events {
        state.apply(&event);
        calls.apply(&event);
    }
    (state, calls)
}
