//! Saved and restored anywhere, the fold goes on as if nothing had been; no counter ever falls.

use proptest::prelude::*;

use super::*;

/// What may happen: which event, and of which session or process.
type Step = (u8, u8, bool);

fn take(world: &mut World, (what, which, odd): Step) {
    let stream = format!("s-{}", which % 3);
    let name = format!("p{}-0", which % 4);
    let number = 10 + which % 8;
    let outcome = if odd { "failed" } else { "completed" };
    let ended = |role, ms| span(role, number, (0, ms), &[(names::OUTCOME, outcome.into())]);
    match what {
        0 => world.session(&stream, "session_started", json!({}), 1, vec![]),
        1 => world.session(&stream, "session_interrupted", json!({}), 1, vec![ended(Role::Session, 5000)]),
        2 => world.session(&stream, "session_resumed", json!({}), 1, vec![]),
        3 => world.session(&stream, "session_ended", json!({ "status": outcome }), 1, vec![]),
        4 => world.session(&stream, "node_generation_started", json!({ "node_id": "n" }), number, vec![]),
        5 => {
            let ended = vec![ended(Role::Node, i64::from(which) * 7)];
            world.session(&stream, "node_generation_completed", json!({}), number, ended);
        }
        6 => {
            let sent = json!({ "request_id": "r", "provider": format!("q{}", which % 5), "model": "m" });
            world.session(&stream, "provider_request_sent", sent, number, vec![]);
        }
        7 => {
            let ended = vec![ended(Role::Attempt, 3), ended(Role::Request, i64::from(which) * 31)];
            world.session(&stream, "provider_response_received", json!({}), number, ended);
        }
        8 => world.session(&stream, "queue_stats", json!({ "pending": which, "processing": 1 }), 1, vec![]),
        9 => {
            world.process(which % 2, "started", &name, |data| data["state"]["cpu"] = json!(f64::from(which) / 3.0))
        }
        10 => world.process(which % 2, "crashed", &name, |data| data["reason"] = json!("exit")),
        11 => {
            world.process(0, "status_changed", &name, |data| data["state"]["status"] = json!(format!("S{which}")))
        }
        _ => {
            let usage = json!({
                "process": name, "namespace": "d", "mem": which, "cpu": 0.1, "run_id": Uuid::from_u128(1),
            });
            let data = json!({ "source": "main", "sample": world.at, "part": 1, "parts": 1, "processes": [usage] });
            let context = Context { resource: resource("main"), trace_id: None, span_id: None };
            world.tell(&format!("proc-main-{}", which % 2), "resources_sampled", data, context, vec![]);
        }
    }
}

/// What is not saved: the ends of series that were told before.
fn present(requests: &[ExportMetricsServiceRequest]) -> Vec<(String, String, (u64, u64))> {
    let mut all = Vec::new();
    each_point(requests, |series, value, times| {
        if value != "gone" {
            all.push((series, value, times));
        }
    });
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn saved_and_restored_at_any_point_it_is_the_run_without(
        steps in prop::collection::vec(((0u8..13, any::<u8>(), any::<bool>()), 0u8..8), 1..120),
        limit in prop_oneof![Just(2usize), Just(2000)],
    ) {
        let (mut whole, mut cut) = (World::of(limit), World::of(limit));
        let mut store = BTreeMap::new();
        let mut counters: BTreeMap<String, u64> = BTreeMap::new();
        for (step, then) in steps {
            take(&mut whole, step);
            take(&mut cut, step);
            if then == 0 {
                cut.metrics = cut.restored(&mut store, limit);
            }
            if then < 2 {
                let (a, b) = (whole.export(), cut.export());
                prop_assert_eq!(present(&a), present(&b));
                for (series, value, _) in present(&a) {
                    let name = series.split('{').next().unwrap_or_default();
                    let kind = names::metrics::find(name).expect("a metric of the table").name.kind;
                    if !matches!(kind, names::Kind::Counter | names::Kind::Histogram) {
                        prop_assert!(!value.starts_with('-'), "{} {}", series, value);
                        continue;
                    }
                    let value: u64 = value.parse().expect("a number");
                    let before = counters.insert(series.clone(), value).unwrap_or(0);
                    prop_assert!(before <= value, "{} fell from {} to {}", series, before, value);
                }
            }
        }
        // Whole: exemplars, sums and buckets too.
        cut.metrics = cut.restored(&mut store, limit);
        let without_ends = |mut requests: Vec<ExportMetricsServiceRequest>| {
            for resource in requests.iter_mut().flat_map(|request| &mut request.resource_metrics) {
                for metric in resource.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
                    if let Some(Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. })) =
                        &mut metric.data
                    {
                        data_points.retain(|point| point.flags == 0);
                    }
                }
            }
            requests.iter().map(|r| format!("{r:?}")).collect::<String>()
        };
        whole.metrics.table.gone.clear();
        cut.metrics.table.gone.clear();
        prop_assert_eq!(without_ends(whole.export()), without_ends(cut.export()));
    }
}

#[test]
fn only_what_changed_is_saved_and_what_is_gone_is_taken_away() {
    let mut world = World::new();
    world.session("s-1", "session_started", json!({}), 1, vec![]);
    assert!(world.metrics.changes().iter().any(|(key, _)| key == "session/s-1"));
    assert_eq!(world.metrics.changes(), []);
    world.session("s-1", "scan_started", json!({}), 1, vec![]);
    let keys: Vec<_> = world.metrics.changes().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["series/watchpost.events/0"]);
    world.session("s-1", "session_ended", json!({}), 1, vec![]);
    assert!(world.metrics.changes().contains(&("session/s-1".into(), None)));
}

#[test]
fn what_another_version_saved_is_an_error_and_a_metric_that_is_no_more_is_taken_away() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    let changes = world.metrics.changes();
    for (key, value) in changes.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        let mut other = value.clone();
        other[0] += 1;
        assert!(Metrics::new(1).restore(&key, &other).is_err_and(|error| error.contains(&key)));
        assert!(Metrics::new(1).restore(&key, &value[..value.len() - 1]).is_err(), "{key} cut off");
        if key == "series/watchpost.events/0" {
            let mut metrics = Metrics::new(1);
            assert_eq!(metrics.restore("series/watchpost.no.more/0", &value), Ok(()));
            assert_eq!(metrics.changes(), [("series/watchpost.no.more/0".into(), None)]);
            assert!(metrics.restore("series/watchpost.process.up/0", &value).is_err());
        }
    }
    assert!(Metrics::new(1).restore("what", &[1]).is_err());
}

#[test]
fn many_processes_are_saved_in_parts_that_come_and_go() {
    let mut world = World::of(2000);
    let mut store = BTreeMap::new();
    for number in 0..450 {
        world.process(1, "started", &format!("p{number}-0"), |_| {});
    }
    world.metrics = world.restored(&mut store, 2000);
    let parts = |store: &BTreeMap<String, Vec<u8>>| store.keys().filter(|key| key.starts_with("source/")).count();
    assert_eq!(parts(&store), 3);
    world.check(&[("watchpost.process.up{p449-,default,main/p449-0}", None)]);
    world.process(2, "started", "p0-0", |_| {});
    let metrics = world.restored(&mut store, 2000);
    assert_eq!((parts(&store), metrics.watched.sources["main"].processes.len()), (1, 1));
}
