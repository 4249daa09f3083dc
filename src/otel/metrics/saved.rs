//! The fold as records: one a series, one a session that has not ended, a few a source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Metrics;
use super::processes::{Shown, Source};
use super::series::Series;
use super::sessions::Session;
use crate::event::StreamId;
use crate::otel::names::metrics;
use crate::state::process;

/// The first byte of each record. Another one is of another version.
const FORMAT: u8 = 1;

/// So many processes, at most, stand in one record: one takes about 1 KiB.
const PROCESSES: usize = 200;

/// What is to be remembered of saving itself.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// How many records a source has.
    parts: BTreeMap<String, usize>,
    /// The time of the last export that was saved.
    exported: i64,
    /// Records of metrics that are no more.
    strange: Vec<String>,
}

/// A part of what is known of one source.
#[derive(Serialize, Deserialize)]
struct Part {
    name: String,
    source: Source,
    state: Option<process::Source>,
}

impl Metrics {
    /// Back to the start of the log. The time of the last export stays: none is made twice.
    pub fn clear(&mut self) {
        let exported = self.exported;
        *self = Self { exported, ..Self::new(self.table.limit()) };
    }

    /// Takes in one of the records that [`Self::changes`] gave; an error where another version made it.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let Some((&FORMAT, value)) = value.split_first() else {
            return Err(format!("{key}: not in format {FORMAT}"));
        };
        let wrong = |error: &dyn std::fmt::Display| format!("{key}: {error}");
        match key.split_once('/') {
            Some(("series", rest)) => {
                let number = rest.rsplit_once('/').and_then(|(name, slot)| Some((name, slot.parse().ok()?)));
                let (name, slot) = number.ok_or_else(|| wrong(&"no series"))?;
                let series: Series = postcard::from_bytes(value).map_err(|e| wrong(&e))?;
                match metrics::find(name) {
                    Some(metric) if series.point.fits(metric.instrument) => {
                        self.table.families[metric.id as usize].insert(slot, series);
                    }
                    Some(_) => return Err(wrong(&"another kind of metric")),
                    None => self.saved.strange.push(key.to_owned()),
                }
            }
            Some(("session", id)) => {
                let session: Session = postcard::from_bytes(value).map_err(|e| wrong(&e))?;
                self.sessions.open.insert(StreamId::new(id).map_err(|e| wrong(&e))?, session);
            }
            Some(("source", _)) => self.restore_source(serde_json::from_slice(value).map_err(|e| wrong(&e))?),
            None if key == "exported" => {
                self.saved.exported = postcard::from_bytes(value).map_err(|e| wrong(&e))?;
                self.exported = self.exported.max(self.saved.exported);
            }
            _ => return Err(wrong(&"no such record")),
        }
        Ok(())
    }

    fn restore_source(&mut self, part: Part) {
        *self.saved.parts.entry(part.name.clone()).or_default() += 1;
        let source = self.watched.sources.entry(part.name.clone()).or_default();
        source.up = source.up.or(part.source.up);
        source.processes.extend(part.source.processes);
        if let Some(mut state) = part.state {
            let known = self.watched.state.sources.remove(&part.name);
            state.processes.extend(known.into_iter().flat_map(|known| known.processes));
            self.watched.state.sources.insert(part.name, state);
        }
    }

    /// The records that have changed since the last call, `None` for one that is gone. Keys have at most 160
    /// bytes, values at most 1 MiB.
    pub fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut changes: Vec<_> = self.saved.strange.drain(..).map(|key| (key, None)).collect();
        self.table.changed.sort_unstable();
        self.table.changed.dedup();
        for (id, slot) in std::mem::take(&mut self.table.changed) {
            let series = self.table.families[id as usize].series.get(&slot);
            changes.push((format!("series/{}/{slot}", id.metric().name.name), series.and_then(packed)));
        }
        for id in std::mem::take(&mut self.sessions.changed) {
            changes.push((format!("session/{id}"), self.sessions.open.get(&id).and_then(packed)));
        }
        for name in std::mem::take(&mut self.watched.changed) {
            self.source(name, &mut changes);
        }
        if self.saved.exported != self.exported {
            self.saved.exported = self.exported;
            changes.push(("exported".into(), packed(&self.exported)));
        }
        changes
    }

    fn source(&mut self, name: String, changes: &mut Vec<(String, Option<Vec<u8>>)>) {
        let key = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let parts = parts(&name, self.watched.sources.get(&name), self.watched.state.sources.get(&name));
        let before = self.saved.parts.insert(name, parts.len()).unwrap_or(0);
        for (at, part) in parts.iter().enumerate() {
            let json = serde_json::to_vec(part).ok();
            changes.push((format!("source/{key}/{at}"), json.map(|json| [&[FORMAT][..], &json].concat())));
        }
        changes.extend((parts.len()..before).map(|at| (format!("source/{key}/{at}"), None)));
    }
}

fn packed<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![FORMAT]).ok()
}

fn parts(name: &str, source: Option<&Source>, state: Option<&process::Source>) -> Vec<Part> {
    let names: Vec<&String> = state.map(|state| state.processes.keys().collect()).unwrap_or_default();
    let chunk = |names: &[&String]| {
        let shown = |name: &&String| Some(((*name).clone(), source?.processes.get(*name)?.clone()));
        let processes: BTreeMap<String, Shown> = names.iter().filter_map(shown).collect();
        let state = state.map(|state| state.with(names.iter().map(|name| name.as_str())));
        Part { name: name.to_owned(), source: Source { up: source.and_then(|s| s.up), processes }, state }
    };
    if names.is_empty() { vec![chunk(&[])] } else { names.chunks(PROCESSES).map(chunk).collect() }
}
