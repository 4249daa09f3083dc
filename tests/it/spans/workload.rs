//! The standard workload: the tree of spans equals the fold of the same events.

use std::collections::BTreeMap;

use watchpost::demo::Workload;
use watchpost::event::{StreamId, Timestamp};
use watchpost::otel::span::{Role, Span, SpanKind, Status};
use watchpost::otel::{SpanId, TraceId};
use watchpost::state::session::{NodeStatus, NodeView, PlanStatus, Session, Status as SessionStatus, View};

use super::{Log, NONE, START, attribute, check_contexts, check_tree, of, one, outcome};

fn log(workload: Workload) -> Log {
    let mut log = Log::default();
    for step in workload.steps() {
        log.add_text("s", Timestamp::from_millis(START + step.at_ms as i64), step.kind, step.data);
    }
    log
}

fn view(log: &Log) -> View {
    let mut session = Session::default();
    log.events.iter().for_each(|event| session.apply(event));
    session.view()
}

/// The spans by what they are of; no two are of the same.
fn by<'a, K: Ord + std::fmt::Debug>(spans: &[&'a Span], key: impl Fn(&Span) -> K) -> BTreeMap<K, &'a Span> {
    let by: BTreeMap<K, &Span> = spans.iter().map(|span| (key(span), *span)).collect();
    assert_eq!(by.len(), spans.len());
    by
}

fn plan(span: &Span) -> Option<String> {
    attribute(span, "watchpost.plan.id")
}

fn level(span: &Span) -> Option<String> {
    attribute(span, "watchpost.level.index")
}

fn ended(span: &Span, started: Option<Timestamp>, ended: Option<Timestamp>) {
    assert_eq!((Some(span.start), Some(span.end)), (started, ended), "{span:#?}");
}

fn check_plans(view: &View, spans: &[Span]) {
    let root = one(spans, Role::Session).span_id;
    let generations = by(&of(spans, Role::Generation), plan);
    assert_eq!(generations.len(), view.plans.iter().filter(|plan| plan.started.is_some()).count());
    for plan in view.plans.iter().filter(|plan| plan.started.is_some()) {
        let span = generations[&Some(plan.id.clone())];
        ended(span, plan.started, plan.ended);
        assert_eq!(span.parent, Some(root));
        assert_eq!(attribute(span, "watchpost.plan.frame_type"), plan.frame_type);
        assert_eq!(attribute(span, "error.type"), plan.error_type);
        let status = match plan.status {
            PlanStatus::Failed => Status::Error(plan.error.clone().expect("a message")),
            _ => Status::Unset,
        };
        assert_eq!(span.status, status);
        assert_eq!(outcome(span), if plan.status == PlanStatus::Failed { "failed" } else { "completed" });
    }
    let levels = by(&of(spans, Role::Level), |span| (plan(span), level(span)));
    assert_eq!(levels.len(), view.levels.iter().filter(|level| level.level.started.is_some()).count());
    for level in view.levels.iter().filter(|level| level.level.started.is_some()) {
        let plan = level.plan.map(|at| view.plans[at].id.clone());
        let span = levels[&(plan.clone(), Some(level.index.to_string()))];
        ended(span, level.level.started, level.level.ended);
        assert_eq!(span.parent, Some(generations[&plan].span_id));
        let told = level.level.told.expect("what it said");
        let failed = attribute(span, "watchpost.node.failed_count");
        assert_eq!(failed, told.failed.map(|count| count.to_string()));
    }
}

fn check_nodes(view: &View, spans: &[Span]) {
    let levels = by(&of(spans, Role::Level), |span| (plan(span), level(span)));
    let generations = by(&of(spans, Role::Generation), plan);
    let root = one(spans, Role::Session).span_id;
    let of_node = |span: &Span| (plan(span), attribute(span, "watchpost.node.id"));
    let mut nodes = by(&of(spans, Role::Node), of_node);
    let mut skipped = by(&of(spans, Role::NodeSkipped), of_node);
    for node in &view.nodes {
        let plan = node.plan.map(|at| view.plans[at].id.clone());
        let key = (plan.clone(), Some(node.id.clone()));
        let from = if node.status == NodeStatus::Skipped { &mut skipped } else { &mut nodes };
        let span = from.remove(&key).unwrap_or_else(|| panic!("{key:?}"));
        assert_eq!(attribute(span, "watchpost.node.path"), node.path);
        let index = node.level.map(|level| level.to_string());
        if node.status == NodeStatus::Skipped {
            // It is skipped before its level begins.
            ended(span, node.ended, node.ended);
            assert_eq!(attribute(span, "watchpost.node.skip_reason"), node.detail);
            let above = generations.get(&plan).filter(|above| above.start <= span.start && span.end < above.end);
            assert_eq!(span.parent, Some(above.map_or(root, |above| above.span_id)));
            continue;
        }
        ended(span, node.started, node.ended);
        assert_eq!(span.parent, Some(levels[&(plan, index)].span_id));
        let failed = node.status == NodeStatus::Failed;
        let status = if failed { Status::Error(node.detail.clone().unwrap_or_default()) } else { Status::Unset };
        assert_eq!((&span.status, attribute(span, "error.type")), (&status, node.error_type.clone()));
        check_calls(node, span.span_id, spans);
    }
    assert!(nodes.is_empty() && skipped.is_empty(), "{nodes:#?} {skipped:#?}");
}

/// What was asked of providers for a node.
fn check_calls(node: &NodeView, id: SpanId, spans: &[Span]) {
    let requests: Vec<&Span> =
        of(spans, Role::Request).into_iter().filter(|span| span.parent == Some(id)).collect();
    let below =
        |parent: SpanId| of(spans, Role::Attempt).into_iter().filter(move |span| span.parent == Some(parent));
    let attempts: usize = requests.iter().map(|request| below(request.span_id).count()).sum();
    assert_eq!(attempts, node.attempts as usize, "{node:#?}");
    let sum = |name: &str| -> u64 {
        let tokens = requests.iter().filter_map(|span| attribute(span, name));
        tokens.map(|tokens| tokens.parse::<u64>().expect("a number")).sum()
    };
    let tokens = (sum("gen_ai.usage.input_tokens"), sum("gen_ai.usage.output_tokens"));
    assert_eq!(tokens, (node.input_tokens, node.output_tokens));
    for request in requests {
        let attempts: Vec<&Span> = below(request.span_id).collect();
        assert_eq!(request.kind, SpanKind::Client);
        assert_eq!(attempts.first().map(|span| span.start), Some(request.start));
        assert_eq!(attempts.last().map(|span| span.end), Some(request.end));
        assert_eq!(attempts.last().map(|span| &span.status), Some(&request.status));
        assert_eq!(request.events.len() + 1, attempts.len(), "a retry lies between two attempts");
        assert_eq!(attempts.last().map(|span| outcome(span)), Some(outcome(request)));
        let name = |name| attribute(request, name).expect(name);
        assert_eq!(request.name, format!("{} {}", name("gen_ai.operation.name"), name("gen_ai.request.model")));
        assert_eq!(request.end <= request.start, request.end == request.start);
    }
}

fn check_totals(view: &View, spans: &[Span]) {
    for calls in &view.providers {
        let same = |span: &&&Span| {
            attribute(span, "gen_ai.provider.name").as_deref() == Some(calls.provider.as_str())
                && attribute(span, "gen_ai.request.model").as_deref() == Some(calls.model.as_str())
        };
        let (attempts, requests) = (of(spans, Role::Attempt), of(spans, Role::Request));
        let attempts: Vec<&&Span> = attempts.iter().filter(same).collect();
        let requests: Vec<&&Span> = requests.iter().filter(same).collect();
        let count = |word: &str| attempts.iter().filter(|span| outcome(span) == word).count() as u64;
        assert_eq!(attempts.len() as u64, calls.sent);
        assert_eq!((count("completed"), count("failed")), (calls.answered, calls.failed));
        let retries: usize = requests.iter().map(|span| span.events.len()).sum();
        assert_eq!(retries as u64, calls.retried);
        for (class, count) in &calls.errors.by {
            let of_class = |span: &&&&Span| attribute(span, "error.type").as_ref() == Some(class);
            assert_eq!(attempts.iter().filter(of_class).count() as u64, *count);
        }
    }
    let waits = of(spans, Role::QueueWait);
    let count = |word: &str| waits.iter().filter(|span| outcome(span) == word).count() as u64;
    assert_eq!((count("completed"), count("skipped")), (view.queue.processed, view.queue.deduplicated));
    let waited = waits.iter().filter(|span| outcome(span) == "completed");
    let waited: i64 = waited.map(|span| span.end.as_millis() - span.start.as_millis()).sum();
    assert_eq!(waited as u64, view.queue.waits.sum_ms);
}

#[test]
fn the_tree_of_spans_is_what_the_fold_knows() {
    for seed in 0..60 {
        let workload = Workload { seed, levels: 1 + (seed % 5) as u32, ..Workload::default() };
        let log = log(workload);
        let told = log.told();
        let contexts: Vec<_> = told.iter().map(|told| told.context.clone()).collect();
        let spans: Vec<Span> = told.into_iter().flat_map(|told| told.spans).collect();
        let view = view(&log);
        check_tree(&spans, NONE);
        check_contexts(&contexts, &spans);
        let root = one(&spans, Role::Session);
        ended(root, view.started, view.ended);
        assert_eq!((view.status, outcome(root).as_str()), (SessionStatus::Completed, "completed"));
        assert_eq!(root.trace_id, TraceId::of_session(&StreamId::new("s").expect("an id"), root.start));
        assert!(spans.iter().all(|span| span.resource.service_name == "context" && span.trace_id == root.trace_id));
        assert!(spans.iter().all(|span| attribute(span, "session.id").as_deref() == Some("s")));
        check_plans(&view, &spans);
        check_nodes(&view, &spans);
        check_totals(&view, &spans);
    }
}

#[test]
fn a_session_that_runs_has_told_of_its_start_and_of_the_nodes_that_have_ended() {
    let mut log = log(Workload::default());
    let ended = log.events.iter().position(|event| event.kind.as_str() == "level_completed").expect("a level");
    log.events.truncate(ended);
    let spans = log.spans();
    let started = one(&spans, Role::SessionStarted);
    assert_eq!((started.name.as_str(), started.start), ("session started", started.end));
    assert_eq!(attribute(started, "watchpost.session.name").as_deref(), Some("standard workload"));
    assert_eq!(log.told()[0].spans.len(), 1, "it is told of at once");
    assert!(of(&spans, Role::Node).len() > 5 && of(&spans, Role::Session).is_empty());
}
