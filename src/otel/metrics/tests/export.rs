//! The requests: kinds, times, exemplars, sizes.

use std::collections::BTreeSet;

use prost::Message;

use super::*;

fn times(requests: &[ExportMetricsServiceRequest]) -> BTreeMap<String, (u64, u64)> {
    let mut times = BTreeMap::new();
    each_point(requests, |series, _, at| {
        times.insert(series, at);
    });
    times
}

#[test]
fn each_export_is_later_than_the_one_before_also_when_the_clock_steps_back() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    let mut last = 0;
    for back in [0, 0, 60_000, 3_600_000, 0, -10] {
        let now = Timestamp::from_millis(world.at - back);
        let all: BTreeSet<u64> =
            times(&world.metrics.export(now, MAX_REQUEST)).values().map(|(_, at)| *at).collect();
        let [at] = all.into_iter().collect::<Vec<_>>()[..] else { panic!("one time for all") };
        // Prometheus has milliseconds: what is apart by less is the same time with another value.
        assert!(at >= last + 1_000_000, "{at} after {last}");
        last = at;
    }
}

#[test]
fn a_series_begins_when_its_first_event_was_committed_and_no_export_is_before_that() {
    let mut world = World::new();
    world.session("s-1", "session_started", json!({}), 1, vec![]);
    world.session("s-1", "session_ended", json!({}), 1, vec![]);
    let times = times(&world.metrics.export(Timestamp::from_millis(5), MAX_REQUEST));
    assert_eq!(times["watchpost.session.starts{engine}"], (1_000_000_000_000, 1_001_000_000_000));
    assert_eq!(times["watchpost.session.ends{engine,completed}"].0, 1_001_000_000_000);
}

#[test]
fn metrics_are_of_the_kind_and_the_unit_that_the_table_has() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    world.session("s-1", "session_started", json!({}), 1, vec![span(Role::Session, 1, (0, 1), &[])]);
    let mut seen = 0;
    for request in world.export() {
        for metric in request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics).flat_map(|s| s.metrics) {
            let known = names::metrics::find(&metric.name).expect("a metric of the table");
            assert_eq!(metric.unit, known.name.unit);
            let kind = match metric.data.expect("a kind") {
                Data::Sum(sum) if sum.is_monotonic => (names::Kind::Counter, sum.aggregation_temporality),
                Data::Sum(sum) => (names::Kind::UpDownCounter, sum.aggregation_temporality),
                Data::Histogram(histogram) => (names::Kind::Histogram, histogram.aggregation_temporality),
                _ => (names::Kind::Gauge, 2),
            };
            assert_eq!(kind, (known.name.kind, 2), "{}", metric.name);
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn each_bucket_and_each_counter_has_the_latest_exemplar_with_its_span() {
    let mut world = World::new();
    let ended = |number, ms| vec![span(Role::Node, number, (0, ms), &[])];
    world.session("s-1", "node_generation_completed", json!({}), 2, ended(2, 40));
    world.session("s-1", "node_generation_completed", json!({}), 3, ended(3, 45));
    // Later in the log, but by its own time earlier.
    world.session("s-1", "node_generation_completed", json!({}), 4, ended(4, 41));
    world.session("s-1", "node_generation_completed", json!({}), 5, ended(5, 4000));
    let requests = world.export();
    let metrics = requests.iter().flat_map(|r| &r.resource_metrics).flat_map(|r| &r.scope_metrics);
    let mut found = BTreeMap::new();
    for metric in metrics.flat_map(|scope| &scope.metrics) {
        let exemplars = match metric.data.as_ref().expect("a kind") {
            Data::Histogram(histogram) => histogram.data_points[0].exemplars.clone(),
            Data::Sum(sum) => sum.data_points[0].exemplars.clone(),
            _ => vec![],
        };
        let about = |e: &opentelemetry_proto::tonic::metrics::v1::Exemplar| {
            assert_eq!(e.trace_id, [7; 16]);
            (e.span_id[0], e.time_unix_nano / 1_000_000)
        };
        found.insert(metric.name.clone(), exemplars.iter().map(about).collect::<Vec<_>>());
    }
    assert_eq!(found["watchpost.node.duration"], [(3, 45), (5, 4000)]);
    assert_eq!(found["watchpost.nodes"], [(5, 1_003_000)]);
}

#[test]
fn a_large_state_is_cut_into_requests_and_no_series_is_in_two() {
    let mut world = World::of(100_000);
    for number in 0..400 {
        let service = format!("service-{number}-{}", "x".repeat(number % 300));
        let ended = Span { resource: resource(&service), ..span(Role::Node, 1, (0, 10), &[]) };
        let context = context(&resource(&service), 1);
        world.tell("s-1", "node_generation_completed", json!({}), context, vec![ended]);
    }
    let whole = values(&world.metrics.export(Timestamp::from_millis(world.at), usize::MAX));
    let requests = world.metrics.export(Timestamp::from_millis(world.at), 20_000);
    assert!(requests.len() > 10, "{}", requests.len());
    for request in &requests {
        assert!(request.encoded_len() <= 20_000, "{}", request.encoded_len());
    }
    // None stands twice, or `values` would fail.
    assert_eq!(values(&requests), whole);
}
