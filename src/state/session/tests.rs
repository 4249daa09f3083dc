mod contract;

use super::*;
use crate::event::session::kind;

/// A session with the events that it was told.
#[derive(Default)]
struct World {
    session: Session,
    seq: u64,
}

impl World {
    /// One event, a second after the one before.
    fn tell(&mut self, kind: &str, data: &str) -> &mut Self {
        self.seq += 1;
        let ts = Timestamp::from_millis(1_760_000_000_000 + self.seq as i64 * 1000);
        self.session.take(&Fact { seq: self.seq, ts, kind, data });
        self
    }

    fn node(&self, id: &str) -> NodeView {
        let nodes = self.session.view().nodes;
        nodes.into_iter().rfind(|node| node.id == id).expect("a node with that id")
    }
}

#[test]
fn an_interrupted_session_has_a_segment_for_each_stretch() {
    let mut world = World::default();
    world.tell(kind::SESSION_STARTED, r#"{"command":"make","args":["all"],"user":"dev"}"#);
    world.tell(kind::SESSION_INTERRUPTED, r#"{"reason":"idle","idle_ms":1800000}"#);
    assert_eq!(world.session.status(), Status::Interrupted);
    world.tell(kind::SESSION_RESUMED, r#"{"segment":2,"interrupted_seq":2,"away_ms":9000}"#);
    assert_eq!(world.session.status(), Status::Active);
    world.tell(kind::SESSION_ENDED, r#"{"status":"completed","exit_code":0,"counts":{"files":3}}"#);
    let view = world.session.view();
    assert_eq!((view.status, view.command.args), (Status::Completed, vec!["all".to_owned()]));
    let [first, second] = &view.segments[..] else { panic!("{:?}", view.segments) };
    assert_eq!((first.number, first.end, first.interrupted.as_deref()), (1, Some(at(2)), Some("idle")));
    assert_eq!((second.number, second.start, second.end, &second.interrupted), (2, at(3), Some(at(4)), &None));
    let end = view.end.expect("an end");
    assert_eq!((end.exit_code, end.counts["files"]), (Some(0), 3));
}

fn at(seq: i64) -> Timestamp {
    Timestamp::from_millis(1_760_000_000_000 + seq * 1000)
}

#[test]
fn a_session_whose_events_were_refused_has_failed_until_its_end_says_otherwise() {
    let mut world = World::default();
    world.tell(kind::SESSION_STARTED, "{}");
    world.tell(kind::INGEST_FAILED, r#"{"error":"no room","failing_ms":60000}"#);
    assert_eq!(world.session.status(), Status::Failed);
    assert_eq!(world.session.view().failures[0].error.as_deref(), Some("no room"));
    world.tell(kind::WATCH_STARTED, "{}").tell(kind::SESSION_ENDED, r#"{"status":"completed"}"#);
    let view = world.session.view();
    assert_eq!((view.status, view.ingest_failed), (Status::Completed, true));
}

#[test]
fn unknown_types_are_counted_and_fields_of_a_wrong_type_marked() {
    let mut world = World::default();
    world.tell("tests_passed", "{}").tell("tests_passed", "[]").tell("x.y", "{}");
    world.tell(kind::NODE_GENERATION_COMPLETED, r#"{"node_id":"a","path":7,"duration_ms":"long","more":1}"#);
    world.tell(kind::QUEUE_STATS, "7");
    let view = world.session.view();
    assert_eq!((view.unknown.by["tests_passed"], view.unknown.by["x.y"]), (2, 1));
    let wrong: Vec<_> = view.wrong.by.keys().map(String::as_str).collect();
    let of = kind::NODE_GENERATION_COMPLETED;
    assert_eq!(wrong, [&format!("{of}.duration_ms"), &format!("{of}.path"), "queue_stats.data"]);
    assert_eq!((world.node("a").status, world.node("a").path), (NodeStatus::Complete, None));
}

#[test]
fn every_example_of_the_catalog_is_read_without_a_mark_and_the_view_survives_its_json() {
    let mut world = World::default();
    for known in crate::event::session::types() {
        world.tell(known.name, known.example);
    }
    let view = world.session.view();
    assert_eq!((view.wrong.total(), view.unknown.total()), (0, 0), "{:?} {:?}", view.wrong, view.unknown);
    let json = serde_json::to_string(&view).expect("JSON");
    assert_eq!(serde_json::from_str::<View>(&json).expect("a view"), view);
    assert_eq!(serde_json::to_string(&world.session).expect("JSON"), json);
}

#[test]
fn an_event_that_was_taken_already_changes_nothing() {
    let mut world = World::default();
    world.tell(kind::SESSION_STARTED, "{}").tell(kind::REQUEST_ENQUEUED, r#"{"request_id":"r","node_id":"a"}"#);
    let before = world.session.hash();
    world.seq = 0;
    world.tell(kind::SESSION_STARTED, "{}").tell(kind::REQUEST_ENQUEUED, r#"{"request_id":"r","node_id":"a"}"#);
    assert_eq!(world.session.hash(), before);
}

#[test]
fn a_node_that_another_plan_generates_again_stands_there_twice() {
    let mut world = World::default();
    for plan in ["p1", "p2"] {
        let about = format!(r#"{{"plan_id":"{plan}","level_index":0,"node_id":"a","path":"src/a"}}"#);
        world.tell(kind::PLAN_CONSTRUCTED, &format!(r#"{{"plan_id":"{plan}","total_nodes":1}}"#));
        world.tell(kind::NODE_GENERATION_STARTED, &about);
    }
    world.tell(kind::PROVIDER_REQUEST_SENT, r#"{"request_id":"r","node_id":"a","provider":"p","model":"m"}"#);
    let view = world.session.view();
    let told: Vec<_> = view.nodes.iter().map(|node| (node.plan, node.status)).collect();
    assert_eq!(told, [(Some(0), NodeStatus::Generating), (Some(1), NodeStatus::ProviderWaiting)]);
    let counts: Vec<_> = view.levels.iter().map(|level| level.level.counts.of(NodeStatus::Generating)).collect();
    assert_eq!(counts, [1, 0]);
}

#[test]
fn a_request_is_followed_from_the_queue_to_its_answer() {
    let mut world = World::default();
    let status = |world: &World| world.session.view().requests.first().map(|request| request.status);
    world.tell(kind::REQUEST_ENQUEUED, r#"{"request_id":"r","node_id":"a","path":"src/a"}"#);
    assert_eq!((status(&world), world.session.view().queue.pending), (Some(RequestStatus::Queued), 1));
    world.tell(kind::REQUEST_PROCESSING, r#"{"request_id":"r"}"#);
    assert_eq!(status(&world), Some(RequestStatus::Processing));
    assert_eq!(world.session.view().queue.waits.sum_ms, 1000);
    let call = r#""request_id":"r","provider":"p","model":"m""#;
    world.tell(kind::PROVIDER_REQUEST_SENT, &format!("{{{call}}}"));
    world.tell(kind::PROVIDER_REQUEST_FAILED, &format!(r#"{{{call},"error":"late","error_type":"timeout"}}"#));
    assert_eq!((status(&world), world.node("a").provider_ms), (None, 1000));
    // What the request's own events leave out is known from those before.
    world.tell(kind::PROVIDER_REQUEST_RETRYING, &format!(r#"{{{call},"node_id":"a","attempt":2}}"#));
    assert_eq!(status(&world), Some(RequestStatus::Retrying));
    world.tell(kind::PROVIDER_REQUEST_SENT, r#"{"request_id":"r"}"#);
    world.tell(
        kind::PROVIDER_RESPONSE_RECEIVED,
        r#"{"request_id":"r","input_tokens":10,"output_tokens":5,"duration_ms":700}"#,
    );
    let (view, node) = (world.session.view(), world.node("a"));
    assert_eq!(view.requests, []);
    assert_eq!((node.attempts, node.input_tokens, node.output_tokens, node.provider_ms), (2, 10, 5, 1700));
    let [calls] = &view.providers[..] else { panic!("{:?}", view.providers) };
    assert_eq!((calls.sent, calls.answered, calls.failed, calls.retried), (2, 1, 1, 1));
    assert_eq!((calls.errors.by["timeout"], calls.last_error.as_deref()), (1, Some("late")));
    assert_eq!((calls.durations.count, calls.durations.max_ms), (1, 700));
}

#[test]
fn a_snapshot_of_another_version_is_not_read() {
    let mut world = World::default();
    world.tell(kind::SESSION_STARTED, "{}");
    let mut bytes = world.session.snapshot();
    assert_eq!(Session::from_snapshot(&bytes).as_ref(), Some(&world.session));
    assert_eq!(Session::from_snapshot(&bytes[..bytes.len() - 1]), None);
    assert_eq!(Session::from_snapshot(&[]), None);
    bytes[0] += 1;
    assert_eq!(Session::from_snapshot(&bytes), None);
}

#[test]
fn rates_are_of_the_last_minute_while_it_runs_and_of_all_after_the_end() {
    let mut world = World::default();
    let plan = r#"{"plan_id":"p","total_nodes":40,"total_levels":1}"#;
    world.tell(kind::SESSION_STARTED, "{}").tell(kind::GENERATION_STARTED, plan);
    for n in 0..10 {
        let done = format!(r#"{{"plan_id":"p","level_index":0,"node_id":"{n}"}}"#);
        world.tell(kind::NODE_GENERATION_COMPLETED, &done);
    }
    let tokens = r#"{"provider":"p","model":"m","input_tokens":110,"output_tokens":11}"#;
    world.tell(kind::PROVIDER_RESPONSE_RECEIVED, tokens);
    let rates_now = rates(&world.session, at(13));
    assert_eq!((rates_now.elapsed_ms, rates_now.done, rates_now.total), (12_000, 10, Some(40)));
    assert!((rates_now.nodes_per_second - 10.0 / 12.0).abs() < 1e-9, "{rates_now:?}");
    // 30 nodes are left, and 10 took 11 seconds.
    assert_eq!(rates_now.left_ms, Some(33_000));
    let later = rates(&world.session, at(500));
    assert_eq!((later.nodes_per_second, later.events_per_second, later.elapsed_ms), (0.0, 0.0, 499_000));
    // A clock that is behind the events' is not believed.
    assert_eq!(rates(&world.session, at(1)), rates_now);
    world.tell(kind::SESSION_ENDED, r#"{"status":"completed"}"#);
    let ended = rates(&world.session, at(1_000_000));
    assert_eq!((ended.elapsed_ms, ended.left_ms), (13_000, None));
    assert!((ended.tokens_per_second - 121.0 / 13.0).abs() < 1e-9, "{ended:?}");
    assert_eq!(rates(&Session::default(), at(1)), Rates::default());
}

#[test]
fn two_sessions_differ_by_what_is_added_removed_slower_and_failed() {
    let told = |nodes: &[(&str, u64, bool)]| {
        let mut world = World::default();
        for (path, ms, ok) in nodes {
            let about = format!(r#""node_id":"{path}-{ms}","path":"{path}""#);
            world.tell(kind::NODE_GENERATION_STARTED, &format!("{{{about}}}"));
            match ok {
                true => world.tell(kind::NODE_GENERATION_COMPLETED, &format!(r#"{{{about},"duration_ms":{ms}}}"#)),
                false => world.tell(kind::NODE_GENERATION_FAILED, &format!(r#"{{{about},"error":"broken"}}"#)),
            };
        }
        world.session.view()
    };
    let before = told(&[("a", 100, true), ("b", 100, true), ("c", 1000, true), ("d", 5, true), ("e", 1, false)]);
    let after = told(&[("a", 199, true), ("b", 200, true), ("c", 300, true), ("e", 900, true), ("f", 1, false)]);
    let diff = diff(&before, &after);
    let names = |changes: &[Change]| changes.iter().map(|change| change.node.clone()).collect::<Vec<_>>();
    // Twice as long is not slower where it is less than 100 ms.
    assert_eq!(names(&diff.slower), ["b"]);
    assert_eq!(names(&diff.faster), ["c"]);
    assert_eq!((names(&diff.added), names(&diff.removed)), (vec!["f".into()], vec!["d".into()]));
    assert_eq!((names(&diff.newly_failed), names(&diff.fixed)), (vec!["f".into()], vec!["e".into()]));
    assert_eq!(diff.newly_failed[0].error.as_deref(), Some("broken"));
    assert_eq!((diff.before.nodes.failed, diff.after.nodes.complete), (1, 4));
}

#[test]
fn beyond_its_limits_a_session_only_counts() {
    let mut world = World::default();
    let nodes = MAX_NODES as u64 + 10;
    for n in 0..nodes {
        let about = format!(r#"{{"plan_id":"p","level_index":0,"node_id":"n{n}","duration_ms":{n}}}"#);
        world.tell(kind::NODE_GENERATION_COMPLETED, &about);
    }
    for n in 0..MAX_REQUESTS + 2 {
        world.tell(kind::REQUEST_PROCESSING, &format!(r#"{{"request_id":"{n}"}}"#));
    }
    for n in 0..MAX_FAILURES + 3 {
        world.tell(kind::GENERATION_FAILED, &format!(r#"{{"error":"{n}"}}"#));
    }
    for n in 0..MAX_PROVIDERS + 5 {
        world.tell(kind::PROVIDER_REQUEST_SENT, &format!(r#"{{"provider":"p","model":"{n}"}}"#));
    }
    let view = world.session.view();
    assert_eq!((view.counts.complete, view.left_out.nodes), (nodes, MAX_NODES as u64 / 2));
    assert_eq!(view.nodes.len() as u64 + view.left_out.nodes, nodes);
    // The quickest are gone.
    assert_eq!(view.nodes[0].duration_ms, Some(MAX_NODES as u64 / 2));
    assert_eq!(view.levels[0].level.counts.complete, nodes);
    assert_eq!((view.requests.len(), view.left_out.requests), (MAX_REQUESTS, 2));
    assert_eq!((view.failures.len(), view.left_out.failures), (MAX_FAILURES, 3));
    assert_eq!((view.providers.len(), view.providers[MAX_PROVIDERS - 1].model.as_str()), (MAX_PROVIDERS, "other"));
    assert_eq!(view.providers[MAX_PROVIDERS - 1].sent, 6);
}

#[test]
fn the_oldest_plans_are_forgotten_with_their_nodes() {
    let mut world = World::default();
    for n in 0..=MAX_PLANS {
        let about = format!(r#"{{"plan_id":"p{n}","level_index":0,"node_id":"a","path":"src/a"}}"#);
        world.tell(kind::NODE_GENERATION_STARTED, &about);
        if n % 2 == 0 {
            world.tell(kind::NODE_GENERATION_COMPLETED, &about);
        }
    }
    let (view, left) = (world.session.view(), MAX_PLANS / 2 + 1);
    assert_eq!((view.plans.len(), view.levels.len(), view.nodes.len()), (left, left, left));
    assert_eq!((view.left_out.plans, view.left_out.nodes), (MAX_PLANS as u64 / 2, MAX_PLANS as u64 / 2));
    assert_eq!(view.nodes[0].plan, Some(0));
    assert_eq!(view.plans[0].id, format!("p{}", MAX_PLANS / 2));
    // What was over stays counted, what went on does not.
    assert_eq!((view.counts.complete, view.counts.generating), (MAX_PLANS as u64 / 2 + 1, MAX_PLANS as u64 / 4));
    assert_eq!(Session::from_snapshot(&world.session.snapshot()).as_ref(), Some(&world.session));
}
