//! The log of a daemon that has ended, and what the folds make of it.

use std::path::Path;

use watchpost::event::{Logged, Timestamp};
use watchpost::otel::metrics::{MAX_REQUEST, Metrics};
use watchpost::otel::{Context, Span, Tracker};
use watchpost::store::{Limit, Store};

use super::super::otlp_metrics::series::{Series, of_requests};
use super::super::support::daemon;

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
    let store = Store::open(&daemon::store(dir)).expect("no daemon holds it");
    let (mut tracker, mut metrics) = (Tracker::default(), Metrics::new(2000));
    let (mut events, mut spans) = (Vec::new(), Vec::new());
    let mut offset = store.range().start;
    while offset < store.range().end {
        let page = store.log(offset, Limit::events(1000)).expect("readable");
        for logged in page {
            let told = tracker.apply(&logged.event);
            metrics.apply(&logged.event, &told);
            offset = logged.offset + 1;
            spans.extend(told.spans);
            events.push((logged, told.context));
        }
    }
    Folded { events, spans, metrics }
}
