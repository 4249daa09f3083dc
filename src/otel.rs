//! The OpenTelemetry mapping: what an event is as a log record, a span or a metric. Pure.
//!
//! Every name stands in one table, from which `TELEMETRY.md` is made. What a record says hangs on the events
//! before it (the span that it belongs to, the service that a session gave), so a fold, [`track::Tracker`],
//! goes along; it is the same at every replay, and so are the ids.

pub mod body;
pub mod document;
pub mod ids;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod reference;
pub mod resource;
pub mod span;
mod time;
pub mod track;
pub mod value;
pub mod wire;

pub use ids::{SpanId, TraceId};
pub use logs::Record;
pub use resource::Resource;
pub use span::Span;
pub use track::{Context, Told, Tracker};
pub use value::{Attribute, Value};
