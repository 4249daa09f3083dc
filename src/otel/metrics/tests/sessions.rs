//! What sessions count and hold.

use super::*;

#[test]
fn a_session_is_active_then_interrupted_then_over() {
    let mut world = World::new();
    world.session("s-1", "session_started", json!({}), 1, vec![]);
    world.session("s-2", "session_started", json!({}), 1, vec![]);
    world.check(&[
        ("watchpost.session.active{engine}", Some("2")),
        ("watchpost.session.interrupted{engine}", Some("0")),
        ("watchpost.session.starts{engine}", Some("2")),
    ]);
    let ended = span(Role::Session, 1, (0, 90_000), &[(names::OUTCOME, "interrupted".into())]);
    world.session("s-1", "session_interrupted", json!({ "reason": "idle" }), 1, vec![ended]);
    world.check(&[
        ("watchpost.session.active{engine}", Some("1")),
        ("watchpost.session.interrupted{engine}", Some("1")),
        ("watchpost.session.ends{engine,interrupted}", Some("1")),
        ("watchpost.session.duration{engine,interrupted}", Some("1")),
    ]);
    world.session("s-1", "session_resumed", json!({ "segment": 2 }), 2, vec![]);
    world.session("s-1", "session_ended", json!({ "status": "failed" }), 2, vec![]);
    world.session("s-2", "session_ended", json!({ "status": "completed" }), 1, vec![]);
    world.check(&[
        ("watchpost.session.active{engine}", Some("0")),
        ("watchpost.session.interrupted{engine}", Some("0")),
        ("watchpost.session.starts{engine}", Some("2")),
        ("watchpost.session.ends{engine,failed}", Some("1")),
        ("watchpost.session.ends{engine,completed}", Some("1")),
        ("watchpost.events{engine,session,info}", Some("6")),
    ]);
}

#[test]
fn nodes_and_requests_are_active_until_their_spans_end_or_their_session_does() {
    let mut world = World::new();
    let sent = json!({ "request_id": "r", "provider": "anthropic", "model": "m" });
    world.session("s-1", "session_started", json!({}), 1, vec![]);
    world.session("s-1", "node_generation_started", json!({ "node_id": "a" }), 2, vec![]);
    world.session("s-1", "node_generation_started", json!({ "path": "b" }), 3, vec![]);
    world.session("s-1", "provider_request_sent", sent, 4, vec![]);
    world.session("s-1", "queue_stats", json!({ "pending": 5, "processing": 1 }), 1, vec![]);
    world.check(&[
        ("watchpost.node.active{engine}", Some("2")),
        ("watchpost.provider.active{engine,anthropic,m}", Some("1")),
        ("watchpost.queue.depth{engine,pending}", Some("5")),
        ("watchpost.queue.depth{engine,processing}", Some("1")),
    ]);
    let ended = vec![span(Role::Attempt, 4, (0, 40), &[]), span(Role::Node, 2, (0, 50), &[])];
    world.session("s-1", "node_generation_completed", json!({}), 2, ended);
    world.check(&[
        ("watchpost.node.active{engine}", Some("1")),
        ("watchpost.provider.active{engine,anthropic,m}", Some("0")),
        ("watchpost.nodes{engine,completed}", Some("1")),
        ("watchpost.node.duration{engine,completed}", Some("1")),
        ("watchpost.provider.attempts{engine,completed}", Some("1")),
    ]);
    world.session("s-1", "session_ended", json!({}), 1, vec![]);
    world.check(&[
        ("watchpost.node.active{engine}", Some("0")),
        ("watchpost.queue.depth{engine,pending}", Some("0")),
    ]);
}

#[test]
fn what_names_no_node_and_no_request_is_not_active_as_nothing_could_end_it() {
    let mut world = World::new();
    world.session("s-1", "session_started", json!({}), 1, vec![]);
    // No span is theirs: they belong to that of the session.
    world.session("s-1", "node_generation_started", json!({ "level_index": 1 }), 1, vec![]);
    world.session("s-1", "provider_request_sent", json!({ "provider": "anthropic", "model": "m" }), 1, vec![]);
    world
        .check(&[("watchpost.node.active{engine}", None), ("watchpost.provider.active{engine,anthropic,m}", None)]);
}

#[test]
fn the_depths_of_the_queues_of_a_service_add_up() {
    let mut world = World::new();
    for stream in ["s-1", "s-2"] {
        world.session(stream, "session_started", json!({}), 1, vec![]);
        world.session(stream, "queue_stats", json!({ "pending": 3, "processing": 1 }), 1, vec![]);
    }
    world.session("s-1", "queue_stats", json!({ "pending": 4 }), 1, vec![]);
    world.check(&[
        ("watchpost.queue.depth{engine,pending}", Some("7")),
        ("watchpost.queue.depth{engine,processing}", Some("2")),
    ]);
    world.session("s-1", "session_interrupted", json!({}), 1, vec![]);
    world.check(&[("watchpost.queue.depth{engine,pending}", Some("3"))]);
}

#[test]
fn a_request_tells_of_its_duration_and_its_tokens() {
    let mut world = World::new();
    let call = [
        (names::GEN_AI_OPERATION_NAME, Value::from("chat")),
        (names::GEN_AI_PROVIDER_NAME, "openai".into()),
        (names::GEN_AI_REQUEST_MODEL, "gpt".into()),
    ];
    let usage =
        [(names::GEN_AI_USAGE_INPUT_TOKENS, Value::Int(100)), (names::GEN_AI_USAGE_OUTPUT_TOKENS, Value::Int(20))];
    let well = span(Role::Request, 4, (0, 700), &[&call[..], &usage].concat());
    let failed =
        span(Role::Request, 5, (0, 30_000), &[&call[..], &[(names::ERROR_TYPE, "timeout".into())]].concat());
    world.session("s-1", "provider_response_received", json!({}), 4, vec![well]);
    world.session("s-1", "provider_request_failed", json!({}), 5, vec![failed]);
    world.session("s-1", "provider_request_retrying", json!({ "provider": "openai", "model": "gpt" }), 5, vec![]);
    world.check(&[
        ("gen_ai.client.operation.duration{engine,chat,openai,gpt}", Some("1")),
        ("gen_ai.client.operation.duration{engine,chat,openai,gpt,timeout}", Some("1")),
        ("gen_ai.client.token.usage{engine,chat,openai,gpt,input}", Some("1")),
        ("gen_ai.client.token.usage{engine,chat,openai,gpt,output}", Some("1")),
        ("watchpost.provider.retries{engine,openai,gpt}", Some("1")),
    ]);
}

#[test]
fn a_request_whose_end_nobody_saw_tells_of_no_duration() {
    let mut world = World::new();
    let attributes = [(names::GEN_AI_PROVIDER_NAME, Value::from("openai")), (names::OUTCOME, "interrupted".into())];
    let spans = [Role::Attempt, Role::Request].map(|role| span(role, 4, (0, 1_800_000), &attributes));
    world.session("s-1", "session_interrupted", json!({ "reason": "idle" }), 1, spans.into());
    world.check(&[
        ("gen_ai.client.operation.duration{engine,openai}", None),
        ("watchpost.provider.attempts{engine,openai,interrupted}", Some("1")),
    ]);
}

#[test]
fn a_request_that_got_anothers_answer_did_not_wait_for_its_turn() {
    let mut world = World::new();
    let waited = |number, outcome: &'static str| {
        vec![span(Role::QueueWait, number, (0, 20), &[(names::OUTCOME, outcome.into())])]
    };
    world.session("s-1", "request_processing", json!({}), 2, waited(2, "completed"));
    world.session("s-1", "request_deduplicated", json!({}), 3, waited(3, "skipped"));
    world.check(&[
        ("watchpost.queue.wait.duration{engine}", Some("1")),
        ("watchpost.queue.deduplicated{engine}", Some("1")),
    ]);
}
