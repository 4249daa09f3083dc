//! What the trimmed heads of the process streams had come to: their fold, saved in the batch that trims them,
//! so that the fold of everything is this one and what came after.
//!
//! One key a process and one a source, and only what a step changes is written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::engine::{Engine, Op, Tree};
use super::{Error, Store, parts};
use crate::event::{Event, Offset};
use crate::state::process::Processes;

/// What the keys begin with; `/` parts a source, whose name has none, from a process.
const PREFIX: &str = "trimmed:";
/// The first offset that is not in the fold.
const NEXT: &str = "trimmed";

type Entries = BTreeMap<String, Vec<u8>>;

/// The fold of what has been trimmed, with what is stored of it.
#[derive(Default)]
pub(super) struct Trimmed {
    processes: Processes,
    /// The first offset that is not in it.
    pub(super) next: Offset,
    stored: Entries,
}

impl Trimmed {
    pub(super) fn load(store: &Store) -> Result<Self, Error> {
        let next = next(store)?;
        let mut stored = Entries::new();
        for page in store.pages(Tree::Folds, PREFIX) {
            stored.extend(page?);
        }
        Ok(Self { processes: join(&stored)?, next, stored })
    }

    pub(super) fn apply(&mut self, event: &Event) {
        self.processes.apply(event);
    }

    /// Adds what brings the stored fold up to this one.
    pub(super) fn save(&mut self, engine: &dyn Engine, ops: &mut Vec<Op>) -> Result<(), Error> {
        let now = split(&self.processes)?;
        for key in self.stored.keys().filter(|key| !now.contains_key(*key)) {
            ops.push(Op::remove(Tree::Folds, key.as_bytes()));
        }
        for (key, value) in now.iter().filter(|(key, value)| self.stored.get(*key) != Some(value)) {
            let old = engine.get(Tree::Folds, key.as_bytes())?.unwrap_or_default();
            let kept = parts::put(Tree::Folds, key.as_bytes(), value, ops);
            parts::remove(Tree::Folds, key.as_bytes(), kept, &old, ops);
        }
        let next = serde_json::to_vec(&self.next).map_err(|e| corrupt(&e))?;
        parts::put(Tree::Folds, NEXT.as_bytes(), &next, ops);
        self.stored = now;
        Ok(())
    }
}

fn next(store: &Store) -> Result<Offset, Error> {
    let next = store.get(Tree::Folds, NEXT)?;
    next.map_or(Ok(0), |next| serde_json::from_slice(&next).map_err(|e| corrupt(&e)))
}

fn corrupt(error: &serde_json::Error) -> Error {
    Error::Corrupt(format!("the fold of what was trimmed: {error}"))
}

/// One entry a source, and one for each of its processes.
fn split(processes: &Processes) -> Result<Entries, Error> {
    let mut entries = Entries::new();
    let mut put = |key: String, value: &Value| {
        entries.insert(key, serde_json::to_vec(value).map_err(|e| corrupt(&e))?);
        Ok::<_, Error>(())
    };
    for (name, source) in &processes.sources {
        let mut source = serde_json::to_value(source).map_err(|e| corrupt(&e))?;
        if let Some(Value::Object(processes)) = source.get_mut("processes").map(Value::take) {
            for (process, state) in &processes {
                put(format!("{PREFIX}{name}/{}", crate::event::subject::token(process)), state)?;
            }
        }
        put(format!("{PREFIX}{name}"), &source)?;
    }
    Ok(entries)
}

fn join(entries: &Entries) -> Result<Processes, Error> {
    let mut sources = serde_json::Map::new();
    for (key, value) in entries {
        let value: Value = serde_json::from_slice(value).map_err(|e| corrupt(&e))?;
        let key = key.strip_prefix(PREFIX).unwrap_or_default();
        match key.split_once('/') {
            // A source's own key is before those of its processes.
            None => {
                let mut source = value;
                source["processes"] = Value::Object(serde_json::Map::new());
                sources.insert(key.to_owned(), source);
            }
            Some((source, process)) => {
                let process = crate::event::subject::decode(process);
                if let Some(Value::Object(processes)) = sources.get_mut(source).and_then(|s| s.get_mut("processes"))
                {
                    processes.insert(process, value);
                }
            }
        }
    }
    let processes = serde_json::json!({ "sources": sources });
    serde_json::from_value(processes).map_err(|e| corrupt(&e))
}

impl Store {
    /// The fold of the process events that have been trimmed, and the first offset that is not in it: with
    /// everything from there on it makes the fold of all that ever was.
    pub fn trimmed_processes(&self) -> Result<(Offset, Processes), Error> {
        loop {
            let head = Trimmed::load(self)?;
            // Its keys are read one after the other: a step of trimming may have come in between.
            if next(self)? == head.next {
                return Ok((head.next, head.processes));
            }
        }
    }
}
