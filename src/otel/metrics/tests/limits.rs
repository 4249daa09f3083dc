//! What is over a limit.

use super::*;

fn start(world: &mut World, service: &str) {
    let stream = format!("s-{}", world.at);
    world.tell(&stream, "session_started", json!({}), context(&resource(service), 1), vec![]);
}

#[test]
fn what_is_over_the_limit_goes_into_one_series_and_is_counted() {
    let mut world = World::of(3);
    for service in ["a", "b", "c", "d", "e", "d", "a"] {
        start(&mut world, service);
    }
    world.check(&[
        ("watchpost.session.starts{a}", Some("2")),
        ("watchpost.session.starts{c}", Some("1")),
        ("watchpost.session.starts{d}", None),
        ("watchpost.session.starts{watchpost,otel.metric.overflow}", Some("3")),
        ("watchpost.session.active{watchpost,otel.metric.overflow}", Some("3")),
        ("watchpost.metrics.overflow{watchpost,watchpost.session.starts}", Some("3")),
        ("watchpost.metrics.overflow{watchpost,watchpost.session.active}", Some("3")),
    ]);
}

#[test]
fn gauges_over_the_limit_add_up_and_are_taken_out_again() {
    let mut world = World::of(1);
    for name in ["a-0", "b-0", "c-0"] {
        world.process(1, "started", name, |_| {});
    }
    world.check(&[
        ("watchpost.process.up{a,default,main/a-0}", Some("1")),
        ("watchpost.process.up{watchpost,otel.metric.overflow}", Some("2")),
        ("process.memory.usage{watchpost,otel.metric.overflow}", Some("8192")),
    ]);
    world.process(1, "stopped", "b-0", |_| {});
    world.check(&[
        ("watchpost.process.up{watchpost,otel.metric.overflow}", Some("1")),
        ("process.memory.usage{watchpost,otel.metric.overflow}", Some("4096")),
    ]);
    // A place that is free is taken by the next one.
    world.process(2, "started", "d-0", |_| {});
    world.check(&[
        ("watchpost.process.up{d,default,main/d-0}", Some("1")),
        ("watchpost.process.up{watchpost,otel.metric.overflow}", Some("0")),
    ]);
}

#[test]
fn what_was_put_into_the_overflow_is_taken_out_of_it_also_when_the_limit_was_raised() {
    let mut world = World::of(1);
    for service in ["a", "b"] {
        start(&mut world, service);
    }
    let mut store = BTreeMap::new();
    world.metrics = world.restored(&mut store, 100);
    let stream = format!("s-{}", world.at - 1000);
    world.tell(&stream, "session_ended", json!({}), context(&resource("b"), 1), vec![]);
    world.check(&[
        ("watchpost.session.active{a}", Some("1")),
        ("watchpost.session.active{watchpost,otel.metric.overflow}", Some("0")),
        ("watchpost.session.active{b}", None),
        ("watchpost.session.ends{b,completed}", Some("1")),
    ]);
}

#[test]
fn long_values_are_cut_and_words_that_nobody_knows_are_other() {
    let mut world = World::new();
    let service = "é".repeat(300);
    let mut event = event(world.at, "s-1", "session_started", json!({}));
    event.severity = Severity::Other("loud".into());
    world.metrics.apply(&event, &Told { context: context(&resource(&service), 1), spans: vec![] });
    let sent = json!({ "provider": "p".repeat(5000), "model": "m" });
    world.tell("s-1", "provider_request_retrying", sent, context(&resource(&service), 1), vec![]);
    let (service, provider) = ("é".repeat(128), "p".repeat(256));
    world.check(&[
        (&format!("watchpost.events{{{service},session,other}}"), Some("1")),
        (&format!("watchpost.provider.retries{{{service},{provider},m}}"), Some("1")),
    ]);
}

#[test]
fn no_session_id_is_on_any_metric() {
    let mut world = World::new();
    world.session("secret-17", "session_started", json!({}), 1, vec![]);
    world.session("secret-17", "node_generation_started", json!({ "node_id": "secret-17" }), 2, vec![]);
    world.session("secret-17", "session_ended", json!({}), 1, vec![]);
    assert!(!format!("{:?}", world.export()).contains("secret-17"));
}
