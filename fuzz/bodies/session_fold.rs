//! The fold of a session: whatever the events say it takes them, and a snapshot anywhere in between changes nothing.

use watchpost::event::session::types;
use watchpost::event::{Data, Timestamp};
use watchpost::state::session::{Fact, Session, diff, rates};

/// The first byte tells where the snapshot is taken. The rest is events with 0xff between them: a byte for the
/// type, one for the time, and the payload; what is none is passed over.
pub(super) fn check(bytes: &[u8]) {
    Session::from_snapshot(bytes);
    let Some((cut, events)) = bytes.split_first() else { return };
    let facts: Vec<Fact<'_>> = (1..).zip(events.split(|byte| *byte == 0xff).filter_map(parts)).map(fact).collect();
    let (head, tail) = facts.split_at(usize::from(*cut).min(facts.len()));
    let live = fold(Session::default(), &facts);
    let before = fold(Session::default(), head);
    let saved = Session::from_snapshot(&before.snapshot()).expect("its own snapshot");
    assert_eq!(saved, before);
    let resumed = fold(saved, tail);
    assert_eq!((&resumed, resumed.hash()), (&live, live.hash()));
    assert_eq!(fold(live.clone(), &facts), live, "what it has taken already changes nothing");
    shown(&before, &live);
}

/// An event's type, time and payload.
fn parts(event: &[u8]) -> Option<(u8, u8, &str)> {
    let [kind, time, data @ ..] = event else { return None };
    let data = std::str::from_utf8(data).ok()?;
    Data::parse(data.into()).ok().map(|_| (*kind, *time, data))
}

fn fact((seq, (kind, time, data)): (u64, (u8, u8, &str))) -> Fact<'_> {
    let known = types().get(usize::from(kind) % (types().len() + 1));
    let millis = match time {
        0 => i64::MIN,
        1 => i64::MAX,
        millis => 1_760_608_411_000 + i64::from(millis) * 100,
    };
    Fact { seq, ts: Timestamp::from_millis(millis), kind: known.map_or("tea_made", |known| known.name), data }
}

fn fold(mut session: Session, facts: &[Fact<'_>]) -> Session {
    facts.iter().for_each(|fact| session.take(fact));
    session
}

/// What is made of a state for people can be made of any.
fn shown(before: &Session, live: &Session) {
    serde_json::to_string(&live.view()).expect("JSON");
    for now in [i64::MIN, 0, i64::MAX] {
        serde_json::to_string(&rates(live, Timestamp::from_millis(now))).expect("JSON");
    }
    serde_json::to_string(&diff(&before.view(), &live.view())).expect("JSON");
}
