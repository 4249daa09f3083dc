//! Requests: records or spans, grouped by what is observed.
//!
//! `ExportLogsServiceRequest` and `ExportTraceServiceRequest` have the same numbers all the way down to the list
//! of records or spans, so both are made here.

use std::collections::HashMap;

use super::proto::{BYTES, field_len, head, key, text};
use super::value::{attribute, attribute_len};
use crate::otel::Resource;

/// The name of the instrumentation scope.
pub const SCOPE: &str = "watchpost";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Of the request.
const RESOURCE_ITEMS: u8 = key(1, BYTES);

/// Fields of `ResourceLogs` and `ResourceSpans`.
const RESOURCE: u8 = key(1, BYTES);
const SCOPE_ITEMS: u8 = key(2, BYTES);

/// Of `ScopeLogs` and `ScopeSpans`.
const ITEMS_SCOPE: u8 = key(1, BYTES);

/// Fields of `InstrumentationScope`.
const SCOPE_NAME: u8 = key(1, BYTES);
const SCOPE_VERSION: u8 = key(2, BYTES);

/// Of `Resource`.
const ATTRIBUTES: u8 = key(1, BYTES);

/// Appends an `ExportLogsServiceRequest` of what [`log_record`](super::log_record) wrote, grouped by resource in
/// the order in which each first comes; one resource's records stay in their order.
pub fn logs_request<'a>(records: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    request(records, out);
}

/// The same for an `ExportTraceServiceRequest` of what [`span`](super::span()) wrote.
pub fn spans_request<'a>(spans: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    request(spans, out);
}

fn request<'a>(items: impl IntoIterator<Item = (&'a Resource, &'a [u8])>, out: &mut Vec<u8>) {
    let groups = grouped(items);
    out.reserve(groups.iter().map(|group| field_len(group.len)).sum());
    groups.iter().for_each(|group| group.write(out));
}

/// What one resource has.
struct Group<'a> {
    resource: &'a Resource,
    items: Vec<&'a [u8]>,
    /// Bytes of the items.
    bytes: usize,
    /// Bytes of the whole message.
    len: usize,
}

fn grouped<'a>(items: impl IntoIterator<Item = (&'a Resource, &'a [u8])>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<&Resource, usize> = HashMap::new();
    let mut last: Option<(&Resource, usize)> = None;
    for (resource, item) in items {
        // Events of one stream come in runs, and share their resource.
        let place = match last {
            Some((same, place)) if std::ptr::eq(same, resource) => place,
            _ => *places.entry(resource).or_insert_with(|| {
                groups.push(Group { resource, items: Vec::new(), bytes: 0, len: 0 });
                groups.len() - 1
            }),
        };
        last = Some((resource, place));
        groups[place].items.push(item);
        groups[place].bytes += item.len();
    }
    for group in &mut groups {
        group.len = field_len(resource_len(group.resource)) + field_len(field_len(scope_len()) + group.bytes);
    }
    groups
}

impl Group<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        head(RESOURCE_ITEMS, self.len, out);
        head(RESOURCE, resource_len(self.resource), out);
        for (name, value) in self.resource.attributes() {
            attribute(ATTRIBUTES, name, &value.into(), out);
        }
        head(SCOPE_ITEMS, field_len(scope_len()) + self.bytes, out);
        head(ITEMS_SCOPE, scope_len(), out);
        text(SCOPE_NAME, SCOPE, out);
        text(SCOPE_VERSION, VERSION, out);
        self.items.iter().for_each(|item| out.extend_from_slice(item));
    }
}

fn scope_len() -> usize {
    field_len(SCOPE.len()) + field_len(VERSION.len())
}

fn resource_len(resource: &Resource) -> usize {
    resource.attributes().map(|(name, value)| attribute_len(name, &value.into())).sum()
}
