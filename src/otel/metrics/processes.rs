//! What is so at present of each process and each source.
//!
//! Which processes there are, and what they do, is the fold of `state`; this one keeps a gauge for each of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::series::Held;
use super::table::{Place, Table};
use crate::event::Event;
use crate::event::process::{ProcessData, kind};
use crate::event::source::{self, SourceData};
use crate::otel::Resource;
use crate::otel::names::metrics::Id;
use crate::state::process::{Process, Processes};

/// The most words of the supervisor that are shown of one process, the present one apart.
const MAX_WORDS: usize = 32;

/// The gauges of a process that are there or not.
const GAUGES: [Id; 4] = [Id::ProcessUp, Id::ProcessHealthy, Id::ProcessCpu, Id::ProcessMemory];

/// The sources, and their processes.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) state: Processes,
    /// By the name of the source.
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) changed: BTreeSet<String>,
}

/// What one source holds in gauges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) up: Option<Held>,
    /// By the name of the process.
    pub(super) processes: BTreeMap<String, Shown>,
}

/// What one process holds in gauges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shown {
    resource: Arc<Resource>,
    run_id: Option<Uuid>,
    /// In the order of [`GAUGES`].
    gauges: [Option<Held>; 4],
    /// By the supervisor's word.
    status: BTreeMap<String, Held>,
}

impl Watched {
    /// Takes one event of a supervisor's stream.
    pub(super) fn process(&mut self, event: &Event, place: &Place<'_>, table: &mut Table) {
        let Some(name) = event.origin.source.as_deref() else { return };
        self.state.apply(event);
        let source = self.sources.entry(name.to_owned()).or_default();
        if source.up.is_none() {
            // It has answered, and never told that it did not.
            source.show_up(name, true, place, table);
        }
        let about = match event.data.read::<ProcessData>() {
            Ok(data) if event.kind.as_str() != kind::RESOURCES_SAMPLED => {
                count(event.kind.as_str(), &data, place, table);
                Some(data.process)
            }
            _ => None,
        };
        if let Some(state) = self.state.sources.get(name) {
            source.follow(&state.processes, about.as_deref(), place, table);
        }
        self.changed.insert(name.to_owned());
    }

    /// Takes one event of a source's own stream.
    pub(super) fn source(&mut self, event: &Event, place: &Place<'_>, table: &mut Table) {
        let up = match event.kind.as_str() {
            source::kind::SOURCE_UP => true,
            source::kind::SOURCE_DOWN => false,
            _ => return,
        };
        let Ok(data) = event.data.read::<SourceData>() else { return };
        self.sources.entry(data.source.clone()).or_default().show_up(&data.source, up, place, table);
        self.changed.insert(data.source);
    }
}

fn count(kind: &str, data: &ProcessData, place: &Place<'_>, table: &mut Table) {
    let unseen = data.unseen.unwrap_or(0);
    let outcome = match kind {
        kind::STARTED => return table.count(place, Id::ProcessStarts, &[], 1),
        kind::RESTARTED => {
            table.count(place, Id::ProcessRestarts, &[], unseen.saturating_add(1));
            return if unseen > 0 {
                table.count(place, Id::ProcessStarts, &[], unseen)
            };
        }
        kind::STOPPED => "completed",
        kind::CRASHED => "failed",
        _ => return,
    };
    let reason = data.reason.map(|reason| serde_json::to_value(reason).unwrap_or_default());
    let reason = reason.as_ref().and_then(serde_json::Value::as_str);
    table.count(place, Id::ProcessExits, &[Some(outcome), reason], 1);
}

impl Source {
    fn show_up(&mut self, name: &str, up: bool, place: &Place<'_>, table: &mut Table) {
        let own = Arc::clone(&table.own);
        let (place, value) = (Place { resource: &own, ..*place }, f64::from(u8::from(up)));
        match &mut self.up {
            Some(held) => table.set(&place, Id::SourceUp, held, value),
            // Set from 0, so that a first 0 is a value too.
            None => self.up = Some(table.hold(&place, Id::SourceUp, &[Some(name)], value)),
        }
    }

    /// Shows the process that the event is about, or all of them after a sample, and no longer those that are
    /// gone.
    fn follow(
        &mut self,
        processes: &BTreeMap<String, Process>,
        about: Option<&str>,
        place: &Place<'_>,
        table: &mut Table,
    ) {
        if !self.processes.keys().eq(processes.keys()) {
            self.rename(processes);
            let gone: Vec<_> =
                self.processes.keys().filter(|name| !processes.contains_key(*name)).cloned().collect();
            for shown in gone.iter().filter_map(|name| self.processes.remove(name)) {
                shown.remove(table);
            }
        }
        if let Some(name) = about
            && let Some(process) = processes.get(name)
        {
            let shown = match self.processes.remove(name) {
                Some(shown) if shown.resource == *place.resource => shown,
                before => {
                    before.into_iter().for_each(|shown| shown.remove(table));
                    Shown::new(place.resource)
                }
            };
            self.processes.entry(name.to_owned()).or_insert(shown).show(process, place.observed, table);
            return;
        }
        for (name, process) in processes {
            if let Some(shown) = self.processes.get_mut(name) {
                shown.show(process, place.observed, table);
            }
        }
    }

    /// A run that goes on under another name is the same process: its gauges stay until an event of it tells
    /// of its resource.
    fn rename(&mut self, processes: &BTreeMap<String, Process>) {
        let new = processes.iter().filter(|(name, process)| process.up && !self.processes.contains_key(*name));
        for (name, process) in new.map(|(name, process)| (name.clone(), process.run_id)).collect::<Vec<_>>() {
            let old = self
                .processes
                .iter()
                .find(|(old, shown)| process.is_some() && shown.run_id == process && !processes.contains_key(*old));
            if let Some(old) = old.map(|(old, _)| old.clone())
                && let Some(shown) = self.processes.remove(&old)
            {
                self.processes.insert(name, shown);
            }
        }
    }
}

impl Shown {
    fn new(resource: &Arc<Resource>) -> Self {
        Self { resource: Arc::clone(resource), run_id: None, gauges: [None; 4], status: BTreeMap::new() }
    }

    fn show(&mut self, process: &Process, observed: i64, table: &mut Table) {
        self.run_id = process.run_id;
        let place = Place { resource: &self.resource, observed, span: None };
        let used = |amount: f64| (process.up && amount >= 0.0).then_some(amount);
        let values = [
            Some(f64::from(u8::from(process.up))),
            process.healthy.map(|healthy| f64::from(u8::from(healthy))),
            used(process.state.cpu / 100.0),
            used(process.state.mem as f64),
        ];
        for ((id, held), value) in GAUGES.into_iter().zip(&mut self.gauges).zip(values) {
            match (held.as_mut(), value) {
                (Some(held), Some(value)) => table.set(&place, id, held, value),
                (None, Some(value)) => *held = Some(table.hold(&place, id, &[], value)),
                (_, None) => held.take().into_iter().for_each(|held| table.remove(id, held)),
            }
        }
        let word = snake_case(&process.state.status);
        if !self.status.contains_key(&word) && self.status.len() < MAX_WORDS {
            let held = table.hold(&place, Id::ProcessStatus, &[Some(&word)], 0.0);
            self.status.insert(word.clone(), held);
        }
        for (other, held) in &mut self.status {
            table.set(&place, Id::ProcessStatus, held, f64::from(u8::from(*other == word)));
        }
    }

    fn remove(self, table: &mut Table) {
        for (id, held) in GAUGES.into_iter().zip(self.gauges) {
            held.into_iter().for_each(|held| table.remove(id, held));
        }
        for held in self.status.into_values() {
            table.remove(Id::ProcessStatus, held);
        }
    }
}

/// The supervisor's word in lower case, `_` for what is neither a letter nor a digit.
fn snake_case(word: &str) -> String {
    let lower = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    word.chars().map(lower).take(64).collect()
}
