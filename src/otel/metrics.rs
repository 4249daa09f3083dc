//! Metrics: a fold over events, and what their spans tell, to the present state of every series.
//!
//! Everything is cumulative, so an export that fails is made good by the next one. The fold is saved with the
//! cursor, and all that it says is the same at every replay: numbers, the time at which a series begins, exemplars.
//! Durations come from the spans that the tracker ends, outcomes and counts from events.
//!
//! A series that counts stays for good, also when the process is gone that it tells of, so that it never begins
//! anew. Gauges of a process go with it, and with the supervisor's life. At most so many series a metric: what is
//! over that goes into one with `otel.metric.overflow`, whose gauges are sums, and is counted.

mod export;
mod processes;
mod saved;
mod series;
mod sessions;
mod table;

#[cfg(test)]
mod tests;

use super::names::{self, metrics::Id};
use super::span::{Role, Span, Status};
use super::{Told, Value};
use crate::event::{Class, Event, Severity};
use processes::Watched;
use sessions::Sessions;
use table::{Place, Table, bounded};

pub use export::MAX_REQUEST;

/// The state of every series, and of what has not ended.
#[derive(Debug)]
pub struct Metrics {
    table: Table,
    sessions: Sessions,
    watched: Watched,
    /// The time of the last export, in milliseconds.
    exported: i64,
    saved: saved::Saved,
}

impl Metrics {
    /// With at most so many series of each metric, the one for all others apart.
    pub fn new(max_series: usize) -> Self {
        Self {
            table: Table::new(max_series),
            sessions: Sessions::default(),
            watched: Watched::default(),
            exported: 0,
            saved: saved::Saved::default(),
        }
    }

    /// Takes one event, in the order of the log, with what the tracker made of it.
    pub fn apply(&mut self, event: &Event, told: &Told) {
        let context = &told.context;
        let resource = bounded(&context.resource);
        let span = context.trace_id.zip(context.span_id).map(|(trace, span)| (trace, span, event.ts.as_millis()));
        let place = Place { resource: &resource, observed: event.observed.as_millis(), span };
        let class = event.session.class();
        let severity = match &event.severity {
            Severity::Other(_) => "other",
            known => known.as_str(),
        };
        let values = [Some(word(class)), Some(severity)];
        self.table.count(&place, Id::Events, &values, 1);
        match class {
            Class::Session => self.sessions.apply(event, &place, context.span_id, &mut self.table),
            Class::Process => self.watched.process(event, &place, &mut self.table),
            Class::Source => self.watched.source(event, &place, &mut self.table),
            Class::Hub | Class::Observer => {}
        }
        for span in &told.spans {
            self.sessions.ended(event, span, &mut self.table);
            self.measure(event, span);
        }
    }

    /// What a span that has ended counts for.
    fn measure(&mut self, event: &Event, span: &Span) {
        let resource = bounded(&span.resource);
        let place = Place {
            resource: &resource,
            observed: event.observed.as_millis(),
            span: Some((span.trace_id, span.span_id, span.end.as_millis())),
        };
        let table = &mut self.table;
        let seconds = (span.end.as_millis() - span.start.as_millis()).max(0) as f64 / 1000.0;
        let outcome = [Some(outcome(span))];
        let duration = match span.role {
            Role::Session => Id::SessionDuration,
            Role::Generation => Id::GenerationDuration,
            Role::Level => Id::LevelDuration,
            Role::Node => Id::NodeDuration,
            Role::Run => Id::ProcessRunDuration,
            // A run that ended before was never ready; a request that got another's answer, or was cut short, never
            // came to its turn.
            Role::RunReady | Role::QueueWait if outcome[0] != Some("completed") => return,
            Role::RunReady => return table.observe(&place, Id::ProcessReadyDuration, &[], seconds),
            Role::QueueWait => return table.observe(&place, Id::QueueWaitDuration, &[], seconds),
            Role::Attempt => {
                let [_, provider, model] = provider(span);
                return table.count(&place, Id::ProviderAttempts, &[provider, model, outcome[0]], 1);
            }
            // Nobody saw its end: without an `error.type` it would count as one that went well.
            Role::Request if outcome[0] == Some("interrupted") => return,
            Role::Request => return request(table, &place, span, seconds),
            Role::SessionStarted | Role::NodeSkipped | Role::Startup | Role::StartupWait | Role::StartupProcess => {
                return;
            }
        };
        table.observe(&place, duration, &outcome, seconds);
    }
}

fn request(table: &mut Table, place: &Place<'_>, span: &Span, seconds: f64) {
    let [operation, provider, model] = provider(span);
    let values = [operation, provider, model, text(span, names::ERROR_TYPE)];
    table.observe(place, Id::OperationDuration, &values, seconds);
    let usage = [("input", names::GEN_AI_USAGE_INPUT_TOKENS), ("output", names::GEN_AI_USAGE_OUTPUT_TOKENS)];
    for (kind, attribute) in usage {
        if let Some(Value::Int(tokens)) = find(span, attribute) {
            let values = [operation, provider, model, Some(kind)];
            table.observe(place, Id::TokenUsage, &values, *tokens as f64);
        }
    }
}

fn provider(span: &Span) -> [Option<&str>; 3] {
    [names::GEN_AI_OPERATION_NAME, names::GEN_AI_PROVIDER_NAME, names::GEN_AI_REQUEST_MODEL]
        .map(|name| text(span, name))
}

/// As the span says, else by its status.
fn outcome(span: &Span) -> &str {
    text(span, names::OUTCOME).unwrap_or(if matches!(span.status, Status::Error(_)) {
        "failed"
    } else {
        "completed"
    })
}

fn find<'a>(span: &'a Span, name: &str) -> Option<&'a Value<'static>> {
    span.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value)
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    match find(span, name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn word(class: Class) -> &'static str {
    match class {
        Class::Process => "process",
        Class::Source => "source",
        Class::Session => "session",
        Class::Hub => "hub",
        Class::Observer => "observer",
    }
}
