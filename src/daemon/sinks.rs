//! The deliveries that the settings ask for, each with its sink and its cursor.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::tasks::{Stage, Tasks};
use crate::config::{Elasticsearch, JetStream, Otlp, Settings};
use crate::deliver::{self, Delivery, Handle};
use crate::sink::otlp::metrics::Counts;
use crate::sink::otlp::{self, Channel, Signal};
use crate::sink::{Sink, elasticsearch, jetstream};
use crate::store::Store;

/// Nobody looks at a backend within that time, and each request and each saved cursor is for more events.
const GATHER: Duration = Duration::from_millis(20);

/// Starts them all; pruning waits no longer for sinks that were there before and are not configured any more.
/// Answers what each tells of itself, and what becomes of the exports of metrics, if there are any.
pub(super) fn start(
    settings: &Settings,
    store: &Store,
    tasks: &mut Tasks,
) -> Result<(Vec<Handle>, Option<Arc<Counts>>), Error> {
    let mut deliveries = Deliveries { store, tasks, handles: Vec::new(), names: Vec::new(), exports: None };
    for stream in settings.jetstream.iter().flat_map(JetStream::streams) {
        deliveries.jetstream(stream)?;
    }
    if let Some(otlp) = &settings.otlp {
        deliveries.otlp(otlp)?;
    }
    for sink in settings.elasticsearch.iter().filter(|sink| sink.deliver) {
        deliveries.elasticsearch(sink)?;
    }
    let names: Vec<&str> = deliveries.names.iter().map(String::as_str).collect();
    deliver::release_others(store, &names)?;
    Ok((deliveries.handles, deliveries.exports))
}

struct Deliveries<'a> {
    store: &'a Store,
    tasks: &'a mut Tasks,
    handles: Vec<Handle>,
    names: Vec<String>,
    exports: Option<Arc<Counts>>,
}

impl Deliveries<'_> {
    fn jetstream(&mut self, settings: JetStream) -> Result<(), Error> {
        let how = deliver::Settings { required: settings.required, ..deliver::Settings::default() };
        let name = settings.name.clone();
        self.spawn(name, jetstream::JetStream::new(settings)?, how);
        Ok(())
    }

    fn otlp(&mut self, settings: &Otlp) -> Result<(), Error> {
        let how = resettable(settings.required);
        // The sinks of log records and spans make their own channels later, at `resume`; here one is made so that a
        // setting that cannot be used stops the start.
        if let Some(exporter) = &settings.logs {
            Channel::new(exporter, Signal::Logs)?;
            self.spawn(format!("{}-logs", settings.name), otlp::Logs::new(settings, exporter.clone()), how.clone());
        }
        if let Some(exporter) = &settings.spans {
            Channel::new(exporter, Signal::Traces)?;
            self.spawn(format!("{}-spans", settings.name), otlp::Spans::new(settings, exporter.clone()), how);
        }
        if let Some(exporter) = &settings.metrics {
            let channel = Channel::new(exporter, Signal::Metrics)?;
            let end = self.store.range().end;
            let (fold, exporter) = otlp::metrics::new(settings.max_series, settings.metrics_interval, end, channel);
            self.exports = Some(exporter.counts());
            // Nothing of it hangs on the receiver: it is always up with the log, and pruning may wait for it.
            let how = deliver::Settings { gather: GATHER, ..deliver::Settings::default() };
            self.spawn(format!("{}-metrics", settings.name), fold, how);
            self.tasks.spawn("the export of metrics", Stage::Exports, |stop| async move {
                exporter.run(stop).await;
                Ok(())
            });
        }
        Ok(())
    }

    fn elasticsearch(&mut self, settings: &Elasticsearch) -> Result<(), Error> {
        let sink = elasticsearch::Elasticsearch::new(settings.clone())?;
        self.spawn(settings.name.clone(), sink, resettable(settings.required));
        Ok(())
    }

    fn spawn(&mut self, name: String, sink: impl Sink, how: deliver::Settings) {
        let (delivery, handle) = Delivery::new(&name, sink, self.store.clone(), how);
        self.tasks.spawn(format!("delivery {name}"), Stage::Readers, |stop| async move {
            delivery.run(stop).await;
            Ok(())
        });
        self.names.push(name);
        self.handles.push(handle);
    }
}

/// Of a destination in which an event that comes again counts once, whenever it comes.
fn resettable(required: bool) -> deliver::Settings {
    deliver::Settings { required, resettable: true, gather: GATHER, ..deliver::Settings::default() }
}
