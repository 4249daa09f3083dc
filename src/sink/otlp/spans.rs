//! Events as the spans that they ended.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Chunk, Mapping, Signal};
use crate::event::Logged;
use crate::otel::{Resource, SpanId, Told, wire};

/// The spans that an event ended: none, one or many.
#[derive(Debug)]
pub struct EndedSpans;

impl Mapping for EndedSpans {
    const SIGNAL: Signal = Signal::Traces;

    fn map(logged: &Logged, told: &Told, to: &mut Chunk) {
        for span in &told.spans {
            to.push(logged.offset, Arc::clone(&span.resource), |bytes| wire::span(span, bytes));
        }
    }

    fn request<'a>(items: impl Iterator<Item = (&'a Resource, &'a [u8])>, to: &mut Vec<u8>) {
        wire::spans_request(items, to);
    }

    fn name(request: &[u8]) -> Option<String> {
        let request = ExportTraceServiceRequest::decode(request).ok()?;
        let span = request.resource_spans.first()?.scope_spans.first()?.spans.first()?;
        let id = span.span_id.as_slice().try_into().map(SpanId).ok()?;
        Some(format!("span {id} ({})", span.name))
    }

    /// None: a span needs the event that opened it, too.
    fn alone(_logged: &Logged) -> Option<Vec<u8>> {
        None
    }
}
