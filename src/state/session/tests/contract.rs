//! The contract tests of the document's section 12, as far as they are of the state.

use super::*;

#[test]
fn provider_request_sent_and_provider_response_received_update_node_status_from_waiting_to_complete() {
    let mut world = World::default();
    world.tell(kind::SESSION_STARTED, "{}");
    world.tell(kind::REQUEST_ENQUEUED, r#"{"request_id":"r","node_id":"a","path":"src/a.rs"}"#);
    assert_eq!(world.node("a").status, NodeStatus::Waiting);
    let call = r#""request_id":"r","node_id":"a","attempt":1,"provider":"openai","model":"gpt","operation":"chat""#;
    world.tell(kind::PROVIDER_REQUEST_SENT, &format!("{{{call}}}"));
    assert_eq!(world.node("a").status, NodeStatus::ProviderWaiting);
    assert_eq!(world.session.view().providers[0].in_flight, 1);
    let answer = format!(r#"{{{call},"input_tokens":7,"output_tokens":3,"duration_ms":500}}"#);
    world.tell(kind::PROVIDER_RESPONSE_RECEIVED, &answer);
    assert_eq!(world.node("a").status, NodeStatus::Complete);
    let counts = world.session.counts();
    assert_eq!((counts.waiting, counts.provider_waiting, counts.complete), (0, 0, 1));
    assert_eq!(world.session.view().providers[0].in_flight, 0);
}

#[test]
fn node_generation_failed_renders_failure_detail_with_error_message() {
    let mut world = World::default();
    let about = r#""plan_id":"p","level_index":0,"node_id":"a","path":"src/a.rs""#;
    world.tell(kind::NODE_GENERATION_STARTED, &format!("{{{about}}}"));
    let failed = format!(r#"{{{about},"error":"429: too many \"requests\"","error.type":"rate_limited"}}"#);
    world.tell(kind::NODE_GENERATION_FAILED, &failed);
    let node = world.node("a");
    assert_eq!((node.status, node.detail.as_deref()), (NodeStatus::Failed, Some("429: too many \"requests\"")));
    assert_eq!((node.error_type.as_deref(), node.duration_ms), (Some("rate_limited"), Some(1000)));
    let failures = world.session.view().failures;
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failure.seq, failure.path.as_deref()), (2, Some("src/a.rs")));
    assert_eq!(failure.error, node.detail);
    // A second try takes the failure from the node, and leaves it in the list.
    world.tell(kind::NODE_GENERATION_STARTED, &format!("{{{about}}}"));
    assert_eq!((world.node("a").detail, world.session.view().failures.len()), (None, 1));
}

#[test]
fn level_started_and_level_completed_update_progress_model_correctly() {
    let mut world = World::default();
    let level = |world: &World| world.session.view().levels[0].clone();
    world.tell(kind::PLAN_CONSTRUCTED, r#"{"plan_id":"p","total_nodes":3,"total_levels":1}"#);
    world.tell(kind::GENERATION_STARTED, r#"{"plan_id":"p","total_nodes":3,"total_levels":1}"#);
    assert_eq!(world.session.view().plans[0].status, PlanStatus::Running);
    world.tell(kind::LEVEL_STARTED, r#"{"plan_id":"p","level_index":0,"total_count":3}"#);
    assert_eq!((level(&world).done(), level(&world).total()), (0, 3));
    assert!(level(&world).level.started.is_some() && level(&world).level.ended.is_none());
    for (done, node) in [("completed", "a"), ("failed", "b"), ("completed", "c")] {
        let about = format!(r#"{{"plan_id":"p","level_index":0,"node_id":"{node}"}}"#);
        world.tell(kind::NODE_GENERATION_STARTED, &about);
        assert_eq!(level(&world).level.counts.generating, 1);
        world.tell(&format!("node_generation_{done}"), &about);
    }
    assert_eq!((level(&world).done(), level(&world).total()), (3, 3));
    let counts = r#""plan_id":"p","generated_count":2,"failed_count":1,"total_count":3"#;
    world.tell(kind::LEVEL_COMPLETED, &format!(r#"{{{counts},"level_index":0}}"#));
    let told = Told { generated: Some(2), failed: Some(1), total: Some(3) };
    assert_eq!((level(&world).level.told, level(&world).level.ended.is_some()), (Some(told), true));
    let Counts { complete, failed, generating, .. } = level(&world).level.counts;
    assert_eq!((complete, failed, generating), (2, 1, 0));
    world.tell(kind::GENERATION_COMPLETED, &format!("{{{counts}}}"));
    let plan = &world.session.view().plans[0];
    assert_eq!((plan.status, plan.told), (PlanStatus::Completed, Some(told)));
}
