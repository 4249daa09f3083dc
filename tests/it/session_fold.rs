//! Whatever comes, in whatever order: the same history makes the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use watchpost::event::session::{kind, types};
use watchpost::event::{Data, Draft, Kind, Severity, StreamId, Subject, Timestamp};
use watchpost::session::replay::replay;
use watchpost::state::session::{Fact, NodeStatus, NodeView, Session, View, rates};
use watchpost::store::{Limit, Store, Submission};

/// An event of a history.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) ts: i64,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// What may stand in a field in the place of what the catalog's example has.
fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        // It is missing.
        2 => Just(None),
        // A few names, so that events meet.
        6 => select(vec!["a", "b", "c", "p"]).prop_map(|name| Some(json!(name))),
        4 => (0_u64..4).prop_map(|n| Some(json!(n))),
        1 => select(vec![json!(u64::MAX), json!(-1), json!(1.5), json!(null), json!(true), json!([1]), json!({})])
            .prop_map(Some),
        1 => "\\PC{0,8}".prop_map(|text| Some(json!(text))),
    ]
}

pub(crate) fn told() -> impl Strategy<Value = Told> {
    let known = (any::<Index>(), vec(proptest::option::weighted(0.6, value()), 16)).prop_map(|(at, values)| {
        let known = at.get(types());
        let mut data: Map<String, Value> = serde_json::from_str(known.example).expect("an example");
        let names: Vec<String> = data.keys().cloned().collect();
        for (name, value) in names.into_iter().zip(values) {
            match value {
                Some(Some(value)) => data[&name] = value,
                Some(None) => drop(data.remove(&name)),
                None => {}
            }
        }
        (known.name.to_owned(), Value::Object(data).to_string())
    });
    let unknown = ("[a-z_]{1,6}", "\\PC{0,12}");
    let event = prop_oneof![30 => known, 1 => unknown];
    // Times that run backwards too.
    let ts = prop_oneof![20 => 0_i64..300_000, 1 => any::<i64>()];
    (ts, event).prop_map(|(ts, (kind, data))| Told { ts, kind, data })
}

fn fold(session: &mut Session, from: usize, history: &[Told]) {
    for (seq, told) in (from as u64 + 1..).zip(&history[from..]) {
        let ts = Timestamp::from_millis(told.ts);
        session.take(&Fact { seq, ts, kind: &told.kind, data: &told.data });
    }
}

/// A history that the store takes: one session, which begins once and goes on.
fn stored() -> impl Strategy<Value = Vec<Told>> {
    let own = [kind::SESSION_STARTED, kind::SESSION_RESUMED, kind::SESSION_INTERRUPTED, kind::SESSION_ENDED];
    let may = move |told: &Told| {
        !own.contains(&told.kind.as_str())
            && Kind::new(&told.kind).is_ok()
            && serde_json::from_str::<Map<String, Value>>(&told.data).is_ok()
    };
    let begin = Told { ts: 0, kind: kind::SESSION_STARTED.into(), data: "{}".into() };
    vec(told(), 0..60)
        .prop_map(move |rest| std::iter::once(begin.clone()).chain(rest.into_iter().filter(may)).collect())
}

/// Writes a history, so many events a commit.
fn write(store: &Store, id: &StreamId, history: &[Told], batch: usize) {
    let draft = |told: &Told| {
        let kind = Kind::new(&told.kind).expect("a type");
        let subject = Subject::session(id, &kind).expect("a subject");
        let data = Data::parse(told.data.clone()).expect("an object");
        let ts = Some(Timestamp::from_millis(told.ts));
        Draft { ts, ..Draft::new(id.clone(), kind, subject, Severity::Info, data) }
    };
    let (mut writer, flusher) = store.writer().expect("the writer");
    for drafts in history.chunks(batch) {
        let submission = Submission::events(drafts.iter().map(draft).collect());
        writer.apply(&[submission]).expect("room").remove(0).expect("taken");
    }
    flusher.flush(writer.next_offset()).expect("durable");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_history_makes_the_same_state_live_and_in_a_replay(
        history in stored(), batch in 1_usize..20, until in any::<Index>(),
    ) {
        let mut live = Session::default();
        fold(&mut live, 0, &history);
        let (store, id) = (Store::memory(), StreamId::new("s").expect("an id"));
        write(&store, &id, &history, batch);
        prop_assert_eq!(replay(&store, &id, None).expect("a state").hash(), live.hash());
        let mut followed = Session::default();
        for logged in store.stream(&id, 1, Limit::events(100)).expect("a page") {
            followed.apply(&logged.event);
        }
        prop_assert_eq!(followed.hash(), live.hash());
        let until = until.index(history.len());
        let mut then = Session::default();
        fold(&mut then, 0, &history[..until]);
        prop_assert_eq!(replay(&store, &id, Some(until as u64)).expect("a state"), then);
    }
}

proptest! {
    #[test]
    fn any_history_makes_the_same_state_from_a_snapshot_at_any_cut(
        history in vec(told(), 0..80), cut in any::<Index>(),
    ) {
        let mut live = Session::default();
        fold(&mut live, 0, &history);
        let cut = cut.index(history.len() + 1);
        let mut before = Session::default();
        fold(&mut before, 0, &history[..cut]);
        let mut tail = Session::from_snapshot(&before.snapshot()).expect("its own snapshot");
        fold(&mut tail, cut, &history);
        prop_assert_eq!(&tail, &live);
        prop_assert_eq!(tail.hash(), live.hash());
    }

    #[test]
    fn any_history_is_counted_once(history in vec(told(), 0..80)) {
        let mut session = Session::default();
        fold(&mut session, 0, &history);
        let view = session.view();
        for status in NodeStatus::ALL {
            let of = |node: &&NodeView| node.status == status;
            prop_assert_eq!(view.nodes.iter().filter(of).count() as u64, view.counts.of(status));
            let in_levels: u64 = view.levels.iter().map(|level| level.level.counts.of(status)).sum();
            let with_level = view.nodes.iter().filter(of).filter(|node| node.level.is_some()).count() as u64;
            prop_assert_eq!(in_levels, with_level);
        }
        let json = serde_json::to_string(&view).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<View>(&json).expect("a view"), view);
        for now in [i64::MIN, 0, 1000, i64::MAX] {
            let rates = rates(&session, Timestamp::from_millis(now));
            prop_assert!(rates.events_per_second >= 0.0, "{rates:?}");
        }
    }
}
