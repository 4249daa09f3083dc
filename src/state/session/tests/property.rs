//! Whatever comes, in whatever order: the same history makes the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::*;
use crate::event::session::types;

/// An event of a history.
#[derive(Debug, Clone)]
struct Told {
    ts: i64,
    kind: String,
    data: String,
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

fn told() -> impl Strategy<Value = Told> {
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
