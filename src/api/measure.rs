//! Each request measured, and with a span where somebody takes spans; and `GET /metrics`, what came of it.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, SpanId, TraceId};
use tokio::time::Instant;
use tracing::{Instrument, Level, Span, field};

use super::{Error, Shared};
use crate::event::trace::Traceparent;
use crate::telemetry::{Answered, names};

/// Asked for every few seconds by machines: no spans of these.
const QUIET: [&str; 3] = ["/health", "/api/health", "/metrics"];

/// The conventions' word for a method that is none of theirs.
const OTHER: &str = "_OTHER";

pub(super) async fn measure(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = span(&request, method, route);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "ERROR").record("error.type", response.status().as_str());
    }
    shared.telemetry.answered(&Answered { method, route, status, took: began.elapsed() });
    response
}

/// A name for the method; one of somebody's own would make a series of its own.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    known.into_iter().find(|known| method.as_str() == *known).unwrap_or(OTHER)
}

/// The span of a request, below that of its caller; none where nobody takes spans.
fn span(request: &Request, method: &'static str, route: Option<&str>) -> Span {
    let path = request.uri().path();
    if QUIET.contains(&path) || !tracing::span_enabled!(target: names::SPANS, Level::DEBUG) {
        return Span::none();
    }
    let _within = caller(request.headers()).map(Context::attach);
    tracing::debug_span!(
        target: names::SPANS,
        "request",
        otel.name = name(method, route),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.scheme = "http",
        url.path = path,
        error.type = field::Empty,
    )
}

/// The name of a request's span, as the semantic conventions have it.
fn name(method: &str, route: Option<&str>) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// The span that a request comes from, by its `traceparent`.
fn caller(headers: &HeaderMap) -> Option<Context> {
    let parent: Traceparent = headers.get("traceparent")?.to_str().ok()?.parse().ok()?;
    let trace = TraceId::from_hex(&parent.trace_id).ok()?;
    let span = SpanId::from_hex(&parent.span_id).ok()?;
    let flags = TraceFlags::default().with_sampled(parent.sampled);
    Some(Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::NONE)))
}

/// `GET /metrics`: Watchpost's own metrics as Prometheus reads them.
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Error> {
    let telemetry = shared.telemetry.clone();
    let failed = |error: String| Error::new(StatusCode::INTERNAL_SERVER_ERROR, error);
    let scraped = tokio::task::spawn_blocking(move || telemetry.scrape()).await;
    let text = scraped.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_named_by_method_and_route() {
        let other = method(&Method::from_bytes(b"BREW").expect("a method"));
        for (method, route, expected) in [
            (method(&Method::GET), Some("/api/events"), "GET /api/events"),
            (method(&Method::POST), None, "POST"),
            (other, Some("/api/events"), "HTTP /api/events"),
            (other, None, "HTTP"),
        ] {
            assert_eq!(name(method, route), expected);
        }
        assert_eq!(other, "_OTHER", "in the attribute");
    }
}
