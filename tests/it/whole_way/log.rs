//! The log of a daemon that has ended, and what the folds make of it.

use std::path::Path;

use watchpost::event::{Logged, Timestamp};
use watchpost::otel::metrics::{MAX_REQUEST, Metrics};
use watchpost::otel::{Context, Span};

use super::super::otlp_metrics::series::{Series, of_requests};
use super::super::support::told::told;

/// What ought to arrive.
pub(super) struct Folded {
    /// Every event, with what it belongs to.
    pub(super) events: Vec<(Logged, Context)>,
    pub(super) spans: Vec<Span>,
    metrics: Metrics,
}

impl Folded {
    /// The series that Prometheus ought to have.
    pub(super) fn series(&mut self) -> Vec<Series> {
        of_requests(&self.metrics.export(Timestamp::now(), MAX_REQUEST))
    }
}

/// Reads the store in a folder, and folds it as the sinks do.
pub(super) fn folded(dir: &Path) -> Folded {
    let mut metrics = Metrics::new(2000);
    let (mut events, mut spans) = (Vec::new(), Vec::new());
    for (logged, told) in told(dir) {
        metrics.apply(&logged.event, &told);
        spans.extend(told.spans);
        events.push((logged, told.context));
    }
    Folded { events, spans, metrics }
}
