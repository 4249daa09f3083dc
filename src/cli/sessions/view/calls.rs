//! The single calls of providers, which the state of a session only counts. Pure.

use std::collections::HashMap;

use super::Fate;
use crate::event::Event;
use crate::event::session::{ProviderRequestFailed, ProviderRequestSent, ProviderResponseReceived, kind, read};

/// The most calls that are kept; those that come later are passed over.
const MAX_CALLS: usize = 20_000;

/// A call of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Call {
    /// `provider/model`, and which attempt where it is not the first.
    pub(in crate::cli) name: String,
    /// When it was sent, in milliseconds since 1970.
    pub(in crate::cli) start: i64,
    /// When it was answered.
    pub(in crate::cli) end: Option<i64>,
    /// How it came out.
    pub(in crate::cli) fate: Fate,
}

/// The calls of a session.
#[derive(Debug, Default)]
pub(in crate::cli) struct Calls {
    calls: Vec<Call>,
    /// By node, in their order.
    nodes: HashMap<String, Vec<usize>>,
    /// By request and attempt.
    open: HashMap<(String, u64), usize>,
}

impl Calls {
    /// Takes the next event.
    pub(in crate::cli) fn apply(&mut self, event: &Event) {
        let (data, at) = (event.data.get(), event.ts.as_millis());
        match event.kind.as_str() {
            kind::PROVIDER_REQUEST_SENT => self.sent(&read(data).value, at),
            kind::PROVIDER_RESPONSE_RECEIVED => {
                let answer: ProviderResponseReceived = read(data).value;
                self.ended(answer.request_id.as_deref(), answer.attempt, at, Fate::Done);
            }
            kind::PROVIDER_REQUEST_FAILED => {
                let failed: ProviderRequestFailed = read(data).value;
                self.ended(failed.request_id.as_deref(), failed.attempt, at, Fate::Failed);
            }
            kind::SESSION_INTERRUPTED | kind::SESSION_ENDED => self.cut(at),
            _ => {}
        }
    }

    /// Those for a node.
    pub(in crate::cli) fn of(&self, node: &str) -> impl Iterator<Item = &Call> {
        self.nodes.get(node).into_iter().flatten().map(|call| &self.calls[*call])
    }

    fn sent(&mut self, sent: &ProviderRequestSent, at: i64) {
        let (Some(node), Some(request)) = (&sent.node_id, &sent.request_id) else { return };
        if self.calls.len() == MAX_CALLS {
            return;
        }
        let attempt = sent.attempt.unwrap_or(1);
        let names = [&sent.provider, &sent.model].into_iter().flatten();
        let mut name = names.map(|name| name.as_str()).collect::<Vec<_>>().join("/");
        if attempt > 1 {
            name.push_str(&format!(" {attempt}"));
        }
        self.open.insert((request.to_string(), attempt), self.calls.len());
        self.nodes.entry(node.to_string()).or_default().push(self.calls.len());
        self.calls.push(Call { name, start: at, end: None, fate: Fate::Busy });
    }

    fn ended(&mut self, request: Option<&str>, attempt: Option<u64>, at: i64, fate: Fate) {
        let Some(request) = request else { return };
        if let Some(call) = self.open.remove(&(request.to_owned(), attempt.unwrap_or(1))) {
            let call = &mut self.calls[call];
            (call.end, call.fate) = (Some(at), fate);
        }
    }

    /// Nobody will tell how those came out that are open.
    fn cut(&mut self, at: i64) {
        for (_, call) in self.open.drain() {
            let call = &mut self.calls[call];
            (call.end, call.fate) = (Some(at), Fate::Cut);
        }
    }
}
