//! Requests: their way through the queue, and the calls of the provider.

use super::apply::between;
use super::bounded::{MAX_NAME, cut, own};
use super::generation::About;
use super::parts::{Provider, Request};
use super::{Fact, Fold, MAX_PROVIDERS, MAX_REQUESTS, NodeStatus, RequestStatus, Stats};
use crate::event::session::{self, Text};

/// A call as each of its events names it.
struct Call<'a, 'b> {
    request_id: Option<&'b Text<'a>>,
    node_id: Option<&'b Text<'a>>,
    provider: Option<&'b Text<'a>>,
    model: Option<&'b Text<'a>>,
}

macro_rules! call {
    ($data:expr) => {
        Call {
            request_id: $data.request_id.as_ref(),
            node_id: $data.node_id.as_ref(),
            provider: $data.provider.as_ref(),
            model: $data.model.as_ref(),
        }
    };
}

impl Fold {
    pub(super) fn request_enqueued(&mut self, fact: &Fact<'_>) {
        let data: session::RequestEnqueued<'_> = self.read(fact);
        self.queue.enqueued += 1;
        let node = self.node(&About {
            plan_id: data.plan_id.as_deref(),
            level: None,
            id: data.node_id.as_deref(),
            path: data.path.as_deref(),
        });
        let now = self.relative(fact.ts);
        if let Some(at) = node {
            self.nodes.get_mut(at).queued = Some(now);
        }
        self.follow(data.request_id.as_ref(), Request { node, since: fact.ts, ..Request::default() });
    }

    pub(super) fn request_deduplicated(&mut self, fact: &Fact<'_>) {
        let data: session::RequestDeduplicated<'_> = self.read(fact);
        self.queue.deduplicated += 1;
        let request = self.unfollow(data.request_id.as_ref());
        // It gets the answer that the other request waits for.
        if let Some(at) = self.node_of(request.as_ref(), data.node_id.as_ref()) {
            self.set(at, NodeStatus::ProviderWaiting);
        }
    }

    pub(super) fn request_processing(&mut self, fact: &Fact<'_>) {
        let data: session::RequestProcessing<'_> = self.read(fact);
        self.queue.processed += 1;
        let request = self.unfollow(data.request_id.as_ref());
        let queued = request.as_ref().filter(|request| request.status == RequestStatus::Queued);
        if let Some(wait) = data.wait_ms.or(queued.map(|request| between(request.since, fact.ts))) {
            self.queue.waits.add(wait);
        }
        let node = self.node_of(request.as_ref(), data.node_id.as_ref());
        let now = self.relative(fact.ts);
        if let Some(at) = node {
            self.nodes.get_mut(at).processing = Some(now);
            if self.nodes.get(at).status == NodeStatus::Waiting {
                self.set(at, NodeStatus::Generating);
            }
        }
        let status = RequestStatus::Processing;
        self.follow(data.request_id.as_ref(), Request { node, status, since: fact.ts, ..Request::default() });
    }

    pub(super) fn queue_stats(&mut self, fact: &Fact<'_>) {
        let data: session::QueueStats = self.read(fact);
        self.queue.stats = Some(Stats {
            at: fact.ts,
            pending: data.pending,
            processing: data.processing,
            completed: data.completed,
            failed: data.failed,
        });
    }

    pub(super) fn provider_sent(&mut self, fact: &Fact<'_>) {
        let data: session::ProviderRequestSent<'_> = self.read(fact);
        let (node, provider) = self.call(&call!(data));
        self.providers[usize::from(provider)].sent += 1;
        let now = self.relative(fact.ts);
        if let Some(at) = node {
            let node = self.nodes.get_mut(at);
            node.attempts = node.attempts.saturating_add(1);
            node.sent = Some(now);
            self.set(at, NodeStatus::ProviderWaiting);
        }
        let status = RequestStatus::Sent;
        let request = Request { node, status, since: fact.ts, attempt: data.attempt, provider: Some(provider) };
        self.follow(data.request_id.as_ref(), request);
    }

    pub(super) fn provider_answered(&mut self, fact: &Fact<'_>) {
        let data: session::ProviderResponseReceived<'_> = self.read(fact);
        let sent = self.sent(data.request_id.as_ref(), fact);
        let (node, provider) = self.call(&call!(data));
        self.unfollow(data.request_id.as_ref());
        let duration = data.duration_ms.or(sent);
        let (input, output) = (data.input_tokens.unwrap_or_default(), data.output_tokens.unwrap_or_default());
        let provider = &mut self.providers[usize::from(provider)];
        provider.answered += 1;
        provider.input_tokens = provider.input_tokens.saturating_add(input);
        provider.output_tokens = provider.output_tokens.saturating_add(output);
        if let Some(duration) = duration {
            provider.durations.add(duration);
        }
        if let Some(at) = node {
            let node = self.nodes.get_mut(at);
            node.input_tokens = node.input_tokens.saturating_add(input);
            node.output_tokens = node.output_tokens.saturating_add(output);
            node.provider_ms = node.provider_ms.saturating_add(duration.unwrap_or_default());
            self.set(at, NodeStatus::Complete);
        }
        if let Some(recent) = self.recent.at(fact.ts) {
            recent.tokens = recent.tokens.saturating_add(input.saturating_add(output));
        }
    }

    pub(super) fn provider_failed(&mut self, fact: &Fact<'_>) {
        let data: session::ProviderRequestFailed<'_> = self.read(fact);
        let sent = self.sent(data.request_id.as_ref(), fact);
        let (node, provider) = self.call(&call!(data));
        self.unfollow(data.request_id.as_ref());
        let provider = &mut self.providers[usize::from(provider)];
        provider.failed += 1;
        provider.errors.add(data.error_type.as_deref().unwrap_or("unknown"));
        provider.last_error = own(data.error).or(provider.last_error.take());
        if let Some(at) = node {
            let node = self.nodes.get_mut(at);
            node.provider_ms = node.provider_ms.saturating_add(data.duration_ms.or(sent).unwrap_or_default());
            self.set(at, NodeStatus::Generating);
        }
    }

    pub(super) fn provider_retrying(&mut self, fact: &Fact<'_>) {
        let data: session::ProviderRequestRetrying<'_> = self.read(fact);
        let (node, provider) = self.call(&call!(data));
        self.providers[usize::from(provider)].retried += 1;
        if let Some(at) = node {
            self.set(at, NodeStatus::ProviderWaiting);
        }
        let status = RequestStatus::Retrying;
        let request = Request { node, status, since: fact.ts, attempt: data.attempt, provider: Some(provider) };
        self.follow(data.request_id.as_ref(), request);
    }

    /// The node and the model that a call is for. What its event leaves out is known from the request.
    fn call(&mut self, call: &Call<'_, '_>) -> (Option<u32>, u16) {
        let request = call.request_id.and_then(|id| self.requests.get(cut(id, MAX_NAME))).cloned();
        let node = self.node_of(request.as_ref(), call.node_id);
        let known = request.and_then(|request| request.provider);
        let provider = match known.filter(|_| call.provider.is_none() && call.model.is_none()) {
            Some(provider) => provider,
            None => self.provider(
                call.provider.map_or("unknown", |provider| provider),
                call.model.map_or("unknown", |model| model),
            ),
        };
        (node, provider)
    }

    fn provider(&mut self, provider: &str, model: &str) -> u16 {
        let (provider, model) = (cut(provider, MAX_NAME), cut(model, MAX_NAME));
        let is = |known: &Provider| known.provider == provider && known.model == model;
        if let Some(at) = self.providers.iter().position(is) {
            return at as u16;
        }
        let (provider, model) = match self.providers.len() {
            MAX_PROVIDERS => return MAX_PROVIDERS as u16 - 1,
            at if at == MAX_PROVIDERS - 1 => ("other", "other"),
            _ => (provider, model),
        };
        self.providers.push(Provider { provider: provider.into(), model: model.into(), ..Provider::default() });
        self.providers.len() as u16 - 1
    }

    /// The node of a request, which is added where it is new.
    fn node_of(&mut self, request: Option<&Request>, node_id: Option<&Text<'_>>) -> Option<u32> {
        request
            .and_then(|request| request.node)
            .or_else(|| self.node(&About { id: node_id.map(|id| &**id), ..About::default() }))
    }

    /// How long ago a request was sent, in milliseconds.
    fn sent(&self, id: Option<&Text<'_>>, fact: &Fact<'_>) -> Option<u64> {
        let request = self.requests.get(cut(id?, MAX_NAME))?;
        (request.status == RequestStatus::Sent).then(|| between(request.since, fact.ts))
    }

    fn follow(&mut self, id: Option<&Text<'_>>, request: Request) {
        let Some(id) = id.map(|id| cut(id, MAX_NAME)) else { return };
        if let Some(known) = self.requests.get_mut(id) {
            *known = request;
        } else if self.requests.len() < MAX_REQUESTS {
            self.requests.insert(id.to_owned(), request);
        } else {
            self.left_out.requests += 1;
        }
    }

    fn unfollow(&mut self, id: Option<&Text<'_>>) -> Option<Request> {
        self.requests.remove(cut(id?, MAX_NAME))
    }
}
