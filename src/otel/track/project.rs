//! The spans of one life of a supervisor: each run of a process, a trace of its own, and the start of the project.

mod run;
mod startup;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::open::{End, MAX_OPEN, Outcome};
use super::{Context, trace};
use crate::event::process::{DependenciesData, ProcessData, ResourcesData, base_name, kind};
use crate::event::{Event, StreamId, Timestamp};
use crate::otel::span::Span;
use crate::otel::{Resource, TraceId};

use run::Run;
use startup::Startup;

/// One life of a supervisor as far as its spans need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Project {
    id: StreamId,
    source: String,
    resource: Arc<Resource>,
    runs: BTreeMap<Uuid, Run>,
    startup: Option<Startup>,
}

/// When the supervisor started, in milliseconds since the epoch, as its stream tells; 0 where it does not.
pub(super) fn life(stream: &StreamId) -> i64 {
    stream.as_str().rsplit_once('-').and_then(|(_, life)| life.parse().ok()).unwrap_or_default()
}

/// Whether an event comes after everything that a first look at a supervisor told, the ends of what an earlier one
/// had left included.
pub(super) fn is_settled(event: &Event) -> bool {
    [kind::RESOURCES_SAMPLED, kind::DEPENDENCIES_LISTED].contains(&event.kind.as_str())
        && event.session.class() == crate::event::Class::Process
}

impl Project {
    /// A supervisor whose first event is this one. Its start is followed only from its first event on.
    pub(super) fn begin(event: &Event) -> Self {
        let name = event.session.as_str();
        let by_name = || name.strip_prefix("proc-").and_then(|rest| Some(rest.rsplit_once('-')?.0));
        let source = event.origin.source.as_deref().or_else(by_name).unwrap_or(name).to_owned();
        let resource = Resource { service_name: source.clone().into(), ..Resource::default() };
        Self {
            id: event.session.clone(),
            source,
            resource: Arc::new(resource),
            runs: BTreeMap::new(),
            startup: Startup::begin(event),
        }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether nothing is open.
    pub(super) fn is_over(&self) -> bool {
        self.runs.is_empty() && self.startup.is_none()
    }

    /// Takes an event, and answers what it belongs to.
    pub(super) fn apply(&mut self, event: &Event, spans: &mut Vec<Span>) -> Context {
        let context = match event.kind.as_str() {
            kind::RESOURCES_SAMPLED => {
                if let (Some(startup), Ok(data)) = (&mut self.startup, event.data.read::<ResourcesData>()) {
                    startup.sampled(data, event.ts);
                }
                self.of_project(event)
            }
            kind::DEPENDENCIES_LISTED => {
                if let (Some(startup), Ok(data)) = (&mut self.startup, event.data.read::<DependenciesData>()) {
                    startup.listed(data);
                }
                self.of_project(event)
            }
            _ => match event.data.read::<ProcessData>() {
                Ok(data) => self.process(event, &data, spans),
                Err(_) => self.of_project(event),
            },
        };
        if self.startup.as_ref().is_some_and(|startup| startup.is_over(event.ts)) {
            self.end_startup(event.ts, spans);
        }
        context
    }

    /// Closes all that is open, as nobody will tell of its end.
    pub(super) fn abandon(&mut self, at: Timestamp, spans: &mut Vec<Span>) {
        for run in std::mem::take(&mut self.runs).into_values() {
            run.close(End::new(at, Outcome::Interrupted), spans);
        }
        self.end_startup(at, spans);
    }

    fn end_startup(&mut self, at: Timestamp, spans: &mut Vec<Span>) {
        if let Some(startup) = self.startup.take() {
            startup.close(&self.id, &self.source, &self.resource, at, spans);
        }
    }

    fn process(&mut self, event: &Event, data: &ProcessData, spans: &mut Vec<Span>) -> Context {
        let resource = Arc::new(resource(&self.source, data));
        let (mut trace_id, mut span_id) = trace(event);
        if let Some(id) = data.run_id {
            trace_id = Some(TraceId::of_run(&self.id, id));
            span_id = self.run(id, event, data, &resource, spans);
        }
        if let Some(startup) = &mut self.startup {
            startup.process(event, data, &resource);
        }
        Context { resource, trace_id, span_id }
    }

    fn run(
        &mut self,
        id: Uuid,
        event: &Event,
        data: &ProcessData,
        resource: &Arc<Resource>,
        spans: &mut Vec<Span>,
    ) -> Option<crate::otel::SpanId> {
        match event.kind.as_str() {
            kind::STARTED => {
                let run = Run::open(id, event, data, resource);
                let span_id = run.span_id();
                let anew = self.runs.insert(id, run);
                let oldest = || self.runs.iter().min_by_key(|(_, run)| run.seq()).map(|(id, _)| *id);
                let too_many = (self.runs.len() > MAX_OPEN).then(oldest).flatten();
                for run in anew.into_iter().chain(too_many.and_then(|id| self.runs.remove(&id))) {
                    run.close(End::new(event.ts, Outcome::Interrupted), spans);
                }
                Some(span_id)
            }
            kind::STOPPED | kind::CRASHED => {
                let run = self.runs.remove(&id)?;
                let span_id = run.span_id();
                run.end(event, data, resource, spans);
                Some(span_id)
            }
            kind => {
                let run = self.runs.get_mut(&id)?;
                if [kind::HEALTHY, kind::UNHEALTHY].contains(&kind) {
                    run.health(event, spans);
                }
                Some(run.span_id())
            }
        }
    }

    fn of_project(&self, event: &Event) -> Context {
        let (trace_id, span_id) = trace(event);
        Context { resource: self.resource.clone(), trace_id, span_id }
    }
}

/// A process: its name without the replica's number, which it has where there are several.
fn resource(source: &str, data: &ProcessData) -> Resource {
    let several = data.state.replicas.is_some_and(|replicas| replicas > 1);
    let name = if several { base_name(&data.process) } else { &data.process };
    Resource {
        service_name: name.to_owned().into(),
        service_namespace: Some(data.namespace.clone().into()),
        service_instance_id: Some(format!("{source}/{}", data.process).into()),
    }
}
