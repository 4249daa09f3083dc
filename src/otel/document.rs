//! A log record as a document of Elasticsearch: the one that the Collector's `elasticsearch` exporter makes of it
//! in otel mode, so that whichever of the two is first, or both, gives one document.
//!
//! Facts, read in opentelemetry-collector-contrib, `exporter/elasticsearchexporter/internal/serializer/otelserializer`
//! (`logs.go`, `common.go`, `jsonwriter.go`):
//! - `@timestamp` and `observed_timestamp` are **texts** of milliseconds, a dot, and the nanoseconds beyond them
//!   without leading zeros: `"1760608411042.0"`. A record whose time is 0 has the observed time in `@timestamp`.
//! - `data_stream` is an object of `type`, `dataset` and `namespace`; in otel mode the dataset has `.otel` behind it.
//! - `severity_text`, `severity_number`, `trace_id` and `span_id` (hex in lower case), `event_name` and each
//!   `dropped_attributes_count` are left out where empty or zero. Flags are not written.
//! - `attributes` is an object with the names as they are, dots included; of a name that comes twice, the first
//!   counts. `data_stream.type`, `.dataset`, `.namespace` and `elasticsearch.document_id` are left out, and so are
//!   the names by which a record may choose its mapping, pipeline or index. Doubles named `…geo.location.lat` and
//!   `.lon` are joined to one point (our records have no such doubles: `logs`).
//! - `resource` is an object with `attributes`; `scope` one with `name` and `version`; both are always there.
//! - `body` is an object: `text` for a text, `structured` for a map or a list.
//! - Doubles always have a point, so that the mapping that Elasticsearch makes is that of a number with one; they
//!   are written with the fewest digits. `&`, `<` and `>` are escaped in texts, which is the same JSON.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::wire::{SCOPE, VERSION};
use super::{Attribute, Record, Resource, Value, names, time};
use crate::event::{Event, Timestamp};

/// The dataset that every record names; its data stream has `.otel` behind it.
pub const DATASET: &str = "watchpost";

/// The same, as the exporter writes it.
const OTEL_DATASET: &str = "watchpost.otel";

/// The document of a record, as JSON.
pub fn document(record: &Record<'_>) -> Vec<u8> {
    let document = Document {
        timestamp: if time::nanos(record.time) == 0 { record.observed } else { record.time },
        observed_timestamp: record.observed,
        data_stream: Stream { r#type: "logs", dataset: OTEL_DATASET, namespace: day(record.observed) },
        severity_text: &record.severity_text,
        severity_number: record.severity_number,
        trace_id: record.trace_id,
        span_id: record.span_id,
        attributes: &record.attributes,
        event_name: &record.event_name,
        resource: Observed { attributes: &record.resource },
        scope: Scope { name: SCOPE, version: VERSION },
        body: Body { text: &record.body },
    };
    // Nothing in it could fail to be written: all keys are texts, and the target is memory.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The data stream that an event's document goes to: `logs-watchpost.otel-YYYYMMDD`, by the UTC day of its commit.
pub fn data_stream(event: &Event) -> String {
    format!("logs-{OTEL_DATASET}-{}", day(event.observed))
}

/// The UTC day of a time, YYYYMMDD.
pub fn day(time: Timestamp) -> String {
    let (year, month, day) = time.date();
    format!("{year:04}{month:02}{day:02}")
}

/// In the exporter's order.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@timestamp", serialize_with = "moment")]
    timestamp: Timestamp,
    #[serde(serialize_with = "moment")]
    observed_timestamp: Timestamp,
    data_stream: Stream,
    #[serde(skip_serializing_if = "str::is_empty")]
    severity_text: &'a str,
    severity_number: u8,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex")]
    trace_id: Option<super::TraceId>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex")]
    span_id: Option<super::SpanId>,
    #[serde(serialize_with = "of_record")]
    attributes: &'a [Attribute<'a>],
    #[serde(skip_serializing_if = "str::is_empty")]
    event_name: &'a str,
    resource: Observed<'a>,
    scope: Scope,
    body: Body<'a>,
}

#[derive(Serialize)]
struct Stream {
    r#type: &'static str,
    dataset: &'static str,
    namespace: String,
}

#[derive(Serialize)]
struct Observed<'a> {
    #[serde(serialize_with = "of_resource")]
    attributes: &'a Resource,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Body<'a> {
    text: &'a str,
}

/// A time in milliseconds, and no nanoseconds beyond them.
fn moment<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}.0", time::nanos(*time) / 1_000_000))
}

fn hex<S: Serializer>(id: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn of_record<S: Serializer>(attributes: &&[Attribute<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    let routing = [names::DOCUMENT_ID, names::DATA_STREAM_DATASET, names::DATA_STREAM_NAMESPACE];
    let kept = attributes.iter().filter(|(name, _)| !routing.contains(&name.as_ref()));
    serializer.collect_map(kept.map(|(name, value)| (name, Plain(value))))
}

fn of_resource<S: Serializer>(resource: &&Resource, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(resource.attributes())
}

/// A value as JSON has it.
struct Plain<'a>(&'a Value<'a>);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => value.serialize(serializer),
            Value::Int(value) => value.serialize(serializer),
            Value::Double(value) => value.serialize(serializer),
            Value::Text(value) => value.serialize(serializer),
            Value::Texts(values) => values.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests;
