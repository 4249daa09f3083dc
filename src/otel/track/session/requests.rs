//! Requests: their way through the queue, and the calls of a provider.

use serde::{Deserialize, Serialize};

use super::generation::About;
use super::{End, Of, On, Open, Outcome, Session, Set, Text, name};
use crate::event::Timestamp;
use crate::event::session::{
    ProviderRequestFailed, ProviderRequestRetrying, ProviderRequestSent, ProviderResponseReceived,
    RequestDeduplicated, RequestEnqueued, RequestProcessing,
};
use crate::otel::span::{Role, SpanEvent, SpanKind};
use crate::otel::track::attributes::short;
use crate::otel::track::open::Key;
use crate::otel::{SpanId, names};
use crate::state::session::MAX_REQUESTS;

/// A request that is not over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The event that told of it last.
    seq: u64,
    node: Option<Key>,
    wait: Option<Key>,
    call: Option<Key>,
    attempt: Option<Key>,
    /// How its last attempt failed.
    failed: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    at: Timestamp,
    error: Option<String>,
    error_type: Option<String>,
}

/// A call as each of its events names it.
struct Call<'a, 'b> {
    request: Option<&'b Text<'a>>,
    node: Option<&'b Text<'a>>,
    attempt: Option<u64>,
    provider: Option<&'b Text<'a>>,
    model: Option<&'b Text<'a>>,
    operation: Option<&'b Text<'a>>,
}

macro_rules! call {
    ($data:expr) => {
        Call {
            request: $data.request_id.as_ref(),
            node: $data.node_id.as_ref(),
            attempt: $data.attempt,
            provider: $data.provider.as_ref(),
            model: $data.model.as_ref(),
            operation: $data.operation.as_ref(),
        }
    };
}

impl Call<'_, '_> {
    /// What is asked of which model.
    fn name(&self) -> String {
        let operation = self.operation.map_or("request", Text::as_str);
        let name: Vec<&str> = [Some(operation), self.model.map(Text::as_str)].into_iter().flatten().collect();
        self::name(&name.join(" ")).to_owned()
    }

    fn attributes(&self) -> Set {
        Set::default()
            .text(names::GEN_AI_OPERATION_NAME, self.operation.map(Text::as_str))
            .text(names::GEN_AI_PROVIDER_NAME, self.provider.map(Text::as_str))
            .text(names::GEN_AI_REQUEST_MODEL, self.model.map(Text::as_str))
            .text(names::REQUEST_ID, self.request.map(Text::as_str))
            .text(names::NODE_ID, self.node.map(Text::as_str))
    }
}

fn by_id<'a, 'b>(node: Option<&'b Text<'a>>) -> About<'a, 'b> {
    About { plan: None, level: None, node, path: None }
}

impl Session {
    pub(super) fn request_enqueued(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: RequestEnqueued<'_> = on.read();
        let about = About {
            plan: data.plan_id.as_ref(),
            level: None,
            node: data.node_id.as_ref(),
            path: data.path.as_ref(),
        };
        let node = self.node(&about);
        let Some(id) = data.request_id.as_ref().map(|id| name(id)) else { return self.of_node(node) };
        self.supersede(self.requests.get(id).and_then(|request| request.wait), on);
        let attributes = Set::default().with(names::REQUEST_ID, id.to_owned());
        let attributes = attributes.and(about.attributes());
        let open = Open::new(Role::QueueWait, on.ts, "queue wait", Of::Request(id.to_owned()));
        let key = self.open(Open { attributes, ..open }, node, on);
        let request = self.request(id, on);
        (request.node, request.wait) = (node, Some(key));
        self.span_id(key)
    }

    /// It gets the answer that another one waits for, so it waits no longer.
    pub(super) fn request_deduplicated(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: RequestDeduplicated<'_> = on.read();
        let id = data.request_id.as_ref().map(|id| name(id));
        let known = id.and_then(|id| self.requests.get(id)).cloned().unwrap_or_default();
        let node = self.node_of(&known, data.node_id.as_ref());
        if let Some(wait) = known.wait {
            let other = Set::default().text(names::REQUEST_ORIGINAL_ID, data.original_request_id.as_deref());
            self.close(wait, End::new(on.ts, Outcome::Skipped).with(other), on);
        }
        if let Some(id) = id {
            self.forget_if_idle(id);
        }
        self.of_node(node)
    }

    pub(super) fn request_processing(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: RequestProcessing<'_> = on.read();
        let Some(id) = data.request_id.as_ref().map(|id| name(id)) else {
            return self.of_node(self.node(&by_id(data.node_id.as_ref())));
        };
        let known = self.requests.get(id).cloned().unwrap_or_default();
        let node = self.node_of(&known, data.node_id.as_ref());
        let waited = known.wait.and_then(|wait| self.close(wait, End::new(on.ts, Outcome::Completed), on));
        self.request(id, on).node = node;
        waited.or_else(|| self.of_node(node))
    }

    pub(super) fn provider_sent(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: ProviderRequestSent<'_> = on.read();
        let call = call!(data);
        let Some(id) = call.request.map(|id| name(id)) else { return self.of_node(self.node(&by_id(call.node))) };
        let known = self.requests.get(id).cloned().unwrap_or_default();
        let node = self.node_of(&known, call.node);
        if let Some(wait) = known.wait {
            self.close(wait, End::new(on.ts, Outcome::Completed), on);
        }
        self.supersede(known.attempt, on);
        let request = known.call.filter(|key| self.open.get(*key).is_some()).unwrap_or_else(|| {
            let open = Open::new(Role::Request, on.ts, call.name(), Of::Request(id.to_owned()));
            self.open(Open { kind: SpanKind::Client, attributes: call.attributes(), ..open }, node, on)
        });
        let attributes = call.attributes().some(names::REQUEST_ATTEMPT, call.attempt);
        let open = Open::new(Role::Attempt, on.ts, "attempt", Of::Request(id.to_owned()));
        let attempt = self.open(Open { attributes, ..open }, Some(request), on);
        self.undecided.remove(id);
        let entry = self.request(id, on);
        *entry =
            Request { seq: on.seq, node, wait: None, call: Some(request), attempt: Some(attempt), failed: None };
        self.span_id(attempt)
    }

    pub(super) fn provider_answered(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: ProviderResponseReceived<'_> = on.read();
        let call = call!(data);
        let known = self.known(&call);
        let ended = known.attempt.and_then(|key| self.close(key, End::new(on.ts, Outcome::Completed), on));
        let usage = Set::default()
            .some(names::GEN_AI_USAGE_INPUT_TOKENS, data.input_tokens)
            .some(names::GEN_AI_USAGE_OUTPUT_TOKENS, data.output_tokens)
            .texts(names::GEN_AI_RESPONSE_FINISH_REASONS, data.finish_reason.as_deref())
            .some(names::REQUEST_ATTEMPT, data.attempt);
        let end = End::new(on.ts, Outcome::Completed).with(call.attributes().and(usage));
        let answered = known.call.and_then(|key| self.close(key, end, on));
        if let Some(id) = call.request.map(|id| name(id)) {
            self.undecided.remove(id);
            self.forget_if_idle(id);
        }
        ended.or(answered).or_else(|| self.of_node(self.node_of(&known, call.node)))
    }

    /// The attempt is over; whether the request is, the next events tell.
    pub(super) fn provider_failed(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: ProviderRequestFailed<'_> = on.read();
        let call = call!(data);
        let known = self.known(&call);
        let end = End::failed(on.ts, data.error.as_deref(), data.error_type.as_deref());
        let ended = known.attempt.and_then(|key| self.close(key, end, on));
        let request = known.call.and_then(|key| self.span_id(key));
        if let (Some(id), Some(_)) = (call.request.map(|id| name(id)), request) {
            let own = |text: Option<&str>| text.map(|text| short(text).to_owned());
            let failed = Failure {
                at: on.ts,
                error: own(data.error.as_deref()),
                error_type: own(data.error_type.as_deref()),
            };
            self.undecided.insert(id.to_owned());
            self.request(id, on).failed = Some(failed);
        }
        ended.or(request).or_else(|| self.of_node(self.node_of(&known, call.node)))
    }

    pub(super) fn provider_retrying(&mut self, on: &mut On<'_>) -> Option<SpanId> {
        let data: ProviderRequestRetrying<'_> = on.read();
        let call = call!(data);
        let known = self.known(&call);
        let retry = Set::default()
            .some(names::REQUEST_ATTEMPT, data.attempt)
            .some(names::REQUEST_RETRY_AFTER, data.retry_after)
            .text(names::ERROR_TYPE, data.error_type.as_deref());
        if let Some(key) = known.call {
            self.open.happened(key, SpanEvent { time: on.ts, name: "retry".into(), attributes: retry.0 });
        }
        let request = known.call.and_then(|key| self.span_id(key));
        request.or_else(|| self.of_node(self.node_of(&known, call.node)))
    }

    /// A node is over: those of its requests whose last attempt failed are too.
    pub(super) fn decide(&mut self, node: Key, on: &mut On<'_>) {
        let of_node = |id: &&String| self.requests.get(*id).is_some_and(|request| request.node == Some(node));
        let decided: Vec<String> = self.undecided.iter().filter(of_node).cloned().collect();
        for id in decided {
            self.give_up(&id, on);
        }
    }

    /// No attempt follows the one that failed: the request failed with it, and when it did.
    pub(super) fn give_up(&mut self, id: &str, on: &mut On<'_>) {
        self.undecided.remove(id);
        let Some(request) = self.requests.get(id) else { return };
        if let (Some(call), Some(failed)) = (request.call, request.failed.clone()) {
            let end = End::failed(failed.at, failed.error.as_deref(), failed.error_type.as_deref());
            self.close(call, end, on);
        }
        self.forget_if_idle(id);
    }

    /// The request with that id, which is added where it is new; the one that was told of least lately makes room.
    fn request(&mut self, id: &str, on: &On<'_>) -> &mut Request {
        if !self.requests.contains_key(id) && self.requests.len() >= MAX_REQUESTS {
            let oldest = self.requests.iter().min_by_key(|(_, request)| request.seq);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.undecided.remove(&oldest);
                self.requests.remove(&oldest);
            }
        }
        let request = self.requests.entry(id.to_owned()).or_default();
        request.seq = on.seq;
        request
    }

    fn known(&self, call: &Call<'_, '_>) -> Request {
        call.request.and_then(|id| self.requests.get(name(id))).cloned().unwrap_or_default()
    }

    /// The node of a request, as far as it is open.
    fn node_of(&self, request: &Request, node: Option<&Text<'_>>) -> Option<Key> {
        let known = request.node.filter(|key| self.open.get(*key).is_some());
        known.or_else(|| self.node(&by_id(node)))
    }

    fn of_node(&self, node: Option<Key>) -> Option<SpanId> {
        node.and_then(|key| self.span_id(key))
    }

    fn forget_if_idle(&mut self, id: &str) {
        let idle = |request: &Request| request.wait.or(request.call).or(request.attempt).is_none();
        if self.requests.get(id).is_some_and(idle) {
            self.requests.remove(id);
        }
    }

    /// A span of a request was closed.
    pub(super) fn forget_span_of_request(&mut self, id: &str, key: Key) {
        let Some(request) = self.requests.get_mut(id) else { return };
        for span in [&mut request.wait, &mut request.call, &mut request.attempt] {
            *span = span.filter(|span| *span != key);
        }
    }
}
