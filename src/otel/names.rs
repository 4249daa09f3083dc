//! Every name that Watchpost's telemetry has, in one table.
//!
//! `TELEMETRY.md` is made from it. A test holds those that claim to be of the semantic conventions against the
//! published ones, and the others against OpenTelemetry's rules for naming.

mod attributes;
pub mod metrics;
pub mod spans;

pub use attributes::*;

/// What stands before the name of a field of the payload that has none of its own: see [`DATA_FIELD`].
pub const DATA_PREFIX: &str = "watchpost.data.";

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An attribute of log records, spans or metrics.
    Attribute(Form),
    /// A span; the name is that of its role.
    Span,
    /// An event within a span.
    SpanEvent,
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// What is measured now.
    Gauge,
    /// How often each size was.
    Histogram,
}

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// Text that holds JSON.
    Json,
}

/// Who defines a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// OpenTelemetry's semantic conventions.
    SemConv,
    /// OpenTelemetry's specification of its SDKs.
    Spec,
    /// Watchpost.
    Own,
    /// A backend, which takes it away again.
    Backend,
}

/// A name and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// As it is written.
    pub name: &'static str,
    /// What it names.
    pub kind: Kind,
    /// Who defines it.
    pub source: Source,
    /// Its unit, as UCUM has it; empty where it has none.
    pub unit: &'static str,
    /// What it says, in one sentence.
    pub about: &'static str,
    /// The attributes that a span, a span's event or a metric of that name carries.
    pub attributes: &'static [&'static str],
}

/// Every name: attributes, then spans, then metrics.
pub fn all() -> impl Iterator<Item = &'static Name> {
    attributes::ALL.iter().chain(spans::ALL).chain(metrics::names())
}

#[cfg(test)]
mod tests;
