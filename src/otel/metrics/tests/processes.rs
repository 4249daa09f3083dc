//! What processes and sources show.

use super::*;

fn sample(world: &mut World, processes: &[(&str, u128, i64)]) {
    let usage = |(name, run, mem): &(&str, u128, i64)| json!({ "process": name, "namespace": "default", "run_id": Uuid::from_u128(*run), "mem": mem, "cpu": 25.0 });
    let processes: Vec<_> = processes.iter().map(usage).collect();
    let data = json!({ "source": "main", "sample": world.at, "part": 1, "parts": 1, "processes": processes });
    let context = Context { resource: resource("main"), trace_id: None, span_id: None };
    world.tell("proc-main-1", "resources_sampled", data, context, vec![]);
}

#[test]
fn a_process_shows_what_it_does_and_uses() {
    let mut world = World::new();
    world.process(1, "started", "web-0", |_| {});
    world.check(&[
        ("watchpost.process.up{web,default,main/web-0}", Some("1")),
        ("watchpost.process.healthy{web,default,main/web-0}", None),
        ("watchpost.process.status{web,default,main/web-0,running}", Some("1")),
        ("process.cpu.utilization{web,default,main/web-0}", Some("0.5")),
        ("process.memory.usage{web,default,main/web-0}", Some("4096")),
        ("watchpost.process.starts{web,default,main/web-0}", Some("1")),
        ("watchpost.source.up{watchpost,main}", Some("1")),
    ]);
    world.process(1, "unhealthy", "web-0", |_| {});
    world.check(&[("watchpost.process.healthy{web,default,main/web-0}", Some("0"))]);
    sample(&mut world, &[("web-0", 1, 8192)]);
    world.check(&[
        ("process.cpu.utilization{web,default,main/web-0}", Some("0.25")),
        ("process.memory.usage{web,default,main/web-0}", Some("8192")),
    ]);
    world.process(1, "crashed", "web-0", |data| {
        data["reason"] = json!("launch_error");
        data["state"]["status"] = json!("Not Good");
    });
    world.check(&[
        ("watchpost.process.up{web,default,main/web-0}", Some("0")),
        ("watchpost.process.healthy{web,default,main/web-0}", Some("gone")),
        ("process.memory.usage{web,default,main/web-0}", Some("gone")),
        ("watchpost.process.status{web,default,main/web-0,running}", Some("0")),
        ("watchpost.process.status{web,default,main/web-0,not_good}", Some("1")),
        ("watchpost.process.exits{web,default,main/web-0,failed,launch_error}", Some("1")),
    ]);
    world.process(1, "restarted", "web-0", |data| data["unseen"] = json!(2));
    world.process(1, "started", "web-0", |_| {});
    world.check(&[
        ("watchpost.process.restarts{web,default,main/web-0}", Some("3")),
        ("watchpost.process.starts{web,default,main/web-0}", Some("4")),
        ("watchpost.process.up{web,default,main/web-0}", Some("1")),
    ]);
}

#[test]
fn a_new_life_of_the_supervisor_ends_the_gauges_of_the_old_one_and_counters_go_on() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    world.process(1, "started", "b-0", |_| {});
    world.process(2, "started", "a-0", |_| {});
    world.check(&[
        ("watchpost.process.up{a,default,main/a-0}", Some("1")),
        ("watchpost.process.up{b,default,main/b-0}", Some("gone")),
        ("watchpost.process.status{b,default,main/b-0,running}", Some("gone")),
        ("watchpost.process.starts{a,default,main/a-0}", Some("2")),
        ("watchpost.process.starts{b,default,main/b-0}", Some("1")),
    ]);
    // It is told for five minutes.
    world.at += 5 * 60 * 1000 - 1;
    assert_eq!(world.value("watchpost.process.up{b,default,main/b-0}").as_deref(), Some("gone"));
    world.at += 1000;
    world.check(&[
        ("watchpost.process.up{b,default,main/b-0}", None),
        ("watchpost.process.starts{b,default,main/b-0}", Some("1")),
    ]);
}

#[test]
fn what_was_gone_and_comes_back_is_there_once() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    world.process(2, "started", "b-0", |_| {});
    world.process(3, "started", "a-0", |_| {});
    world.check(&[
        ("watchpost.process.up{a,default,main/a-0}", Some("1")),
        ("watchpost.process.up{b,default,main/b-0}", Some("gone")),
    ]);
}

#[test]
fn a_process_that_was_renamed_shows_itself_under_its_new_name_once_it_tells() {
    let mut world = World::new();
    world.process(1, "started", "w", |_| {});
    sample(&mut world, &[("w-0", 1, 7)]);
    world.check(&[("process.memory.usage{w,default,main/w}", Some("7"))]);
    world.process(1, "status_changed", "w-0", |_| {});
    world.check(&[
        ("process.memory.usage{w,default,main/w}", Some("gone")),
        ("process.memory.usage{w,default,main/w-0}", Some("4096")),
        ("watchpost.process.up{w,default,main/w-0}", Some("1")),
    ]);
}

#[test]
fn what_a_sample_does_not_list_is_gone() {
    let mut world = World::new();
    world.process(1, "started", "a-0", |_| {});
    world.process(1, "stopped", "a-0", |data| data["reason"] = json!("requested"));
    world.check(&[
        ("watchpost.process.up{a,default,main/a-0}", Some("0")),
        ("watchpost.process.exits{a,default,main/a-0,completed,requested}", Some("1")),
    ]);
    sample(&mut world, &[]);
    world.check(&[("watchpost.process.up{a,default,main/a-0}", Some("gone"))]);
}

#[test]
fn a_source_that_does_not_answer_is_down() {
    let mut world = World::new();
    let context = || Context { resource: resource("watchpost"), trace_id: None, span_id: None };
    let data = json!({ "source": "main", "url": "http://127.0.0.1:1", "failed_polls": 3 });
    world.tell("source-main", "source_down", data.clone(), context(), vec![]);
    world.check(&[("watchpost.source.up{watchpost,main}", Some("0"))]);
    world.process(1, "started", "a-0", |_| {});
    world.check(&[("watchpost.source.up{watchpost,main}", Some("0"))]);
    world.tell("source-main", "source_up", data, context(), vec![]);
    world.check(&[("watchpost.source.up{watchpost,main}", Some("1"))]);
}

#[test]
fn only_a_run_that_was_ready_tells_how_long_that_took() {
    let mut world = World::new();
    for (number, outcome) in [(2, "completed"), (3, "failed"), (4, "interrupted")] {
        let until = span(Role::RunReady, number, (0, 500), &[(names::OUTCOME, outcome.into())]);
        world.tell("proc-main-1", "crashed", process_data("a-0"), context(&resource("a"), number), vec![until]);
    }
    world.check(&[("watchpost.process.ready.duration{engine}", Some("1"))]);
}
