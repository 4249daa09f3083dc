//! What Watchpost's telemetry looks like, as a document: `TELEMETRY.md`, and `watchpost catalog --telemetry`.

pub(super) mod examples;

use std::sync::Arc;

use super::names::{self, Form, Kind, Name, Source};
use super::{Context, logs};
use crate::event::Logged;

const HEAD: &str = "\
# Telemetry

What Watchpost's events are as OpenTelemetry logs, spans and metrics. Made from the code by
`watchpost catalog --telemetry`; a test compares the two.

The resource is what is observed, not Watchpost: `service.name`, `service.namespace` and `service.instance.id` are
those of the process, the session or the hub. The instrumentation scope is `watchpost`. Names of the semantic
conventions are marked; the others are Watchpost's own, and begin with `watchpost.`.

What Watchpost tells of itself is apart, under the service name `watchpost`: `docs/own-telemetry.md`.
";

const LOGS: &str = "
## Log records

Every event is one log record. Its time is when the event happened, its observed time when it was committed; its
severity is 5 for `debug`, 9 for `info` and for words that only a sender knows, 13 for `warning`, 17 for `error`;
its trace and span are those that it belongs to. The last attributes route it to its document in Elasticsearch, where
they are not seen again.

Nothing of an event's payload is missing: a field that has no name of its own here, or another type than that name
has, is `watchpost.data.<field>`, a scalar as it is and all else as JSON. `null` is as good as missing.
";

/// The whole document, in Markdown.
pub fn markdown() -> String {
    // The examples are checked by tests: none is refused.
    let events = examples::events().unwrap_or_default();
    let mut out = format!("{HEAD}{LOGS}");
    every_record(&mut out);
    types(&mut out, &events);
    spans(&mut out);
    metrics(&mut out);
    attributes(&mut out);
    out
}

/// A table: its heads, then its rows.
fn table(out: &mut String, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    };
    line(&heads.iter().map(|&head| head.to_owned()).collect::<Vec<_>>());
    line(&heads.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    rows.into_iter().for_each(|row| line(&row));
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn codes<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

fn every_record(out: &mut String) {
    out.push_str("\n### Every record\n\n");
    let about = |name: &str| names::all().find(|known| known.name == name).map_or("", |known| known.about);
    let row = |name: &&str, when: &str| vec![code(name), when.to_owned(), about(name).to_owned()];
    let always = logs::ALWAYS.iter().map(|name| row(name, "always"));
    let known = logs::WHERE_KNOWN.iter().map(|name| row(name, "where known"));
    table(out, &["attribute", "there", "what it says"], always.chain(known));
}

fn types(out: &mut String, events: &[Logged]) {
    out.push_str("\n### By event name\n\n");
    out.push_str("The types of hubs and observers are open; the last two rows show how theirs are named.\n\n");
    let context = Context { resource: Arc::default(), trace_id: None, span_id: None };
    let rows = events.iter().map(|logged| {
        let record = logs::record(logged, &context);
        let own = logs::payload_names(&logged.event);
        vec![
            code(&record.event_name),
            record.severity_text.to_string(),
            record.body.clone(),
            codes(own.iter().map(AsRef::as_ref)),
        ]
    });
    table(out, &["event name", "severity", "body, for example", "attributes of its payload"], rows);
}

fn spans(out: &mut String) {
    out.push_str("\n## Spans\n\n");
    out.push_str("A span is sent when it has ended, and never again with other content.\n\n");
    let spans = names::all().filter(|name| matches!(name.kind, Kind::Span | Kind::SpanEvent));
    let rows = spans.map(|span| {
        let kind = if span.kind == Kind::Span { "span" } else { "event in a span" };
        vec![code(span.name), kind.to_owned(), span.about.to_owned(), codes(span.attributes.iter().copied())]
    });
    table(out, &["name", "kind", "what it says", "attributes"], rows);
}

fn metrics(out: &mut String) {
    out.push_str("\n## Metrics\n\n");
    out.push_str("All are cumulative. No id of a session is ever an attribute of one.\n\n");
    let rows = names::all().filter_map(|metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up-down counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Attribute(_) | Kind::Span | Kind::SpanEvent => return None,
        };
        let attributes = codes(metric.attributes.iter().copied());
        Some(vec![marked(metric), kind.to_owned(), metric.unit.to_owned(), metric.about.to_owned(), attributes])
    });
    table(out, &["name", "kind", "unit", "what it says", "attributes"], rows);
}

fn attributes(out: &mut String) {
    out.push_str("\n## Attributes\n\n");
    let rows = names::all().filter_map(|name| {
        let form = match name.kind {
            Kind::Attribute(Form::Bool) => "boolean",
            Kind::Attribute(Form::Int) => "int",
            Kind::Attribute(Form::Double) => "double",
            Kind::Attribute(Form::Text) => "string",
            Kind::Attribute(Form::Texts) => "string[]",
            Kind::Attribute(Form::Json) => "JSON as string",
            _ => return None,
        };
        Some(vec![marked(name), form.to_owned(), name.unit.to_owned(), name.about.to_owned()])
    });
    table(out, &["name", "type", "unit", "what it says"], rows);
}

/// A name, and who defines it where that is not Watchpost.
fn marked(name: &Name) -> String {
    match name.source {
        Source::SemConv => format!("`{}` (semantic conventions)", name.name),
        Source::Spec => format!("`{}` (OpenTelemetry)", name.name),
        Source::Backend => format!("`{}` (Collector)", name.name),
        Source::Own => code(name.name),
    }
}
