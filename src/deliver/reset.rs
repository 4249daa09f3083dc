//! A reset: a person has everything from some place on sent again, for a destination that has lost it. It skips
//! nothing: from behind what is confirmed it changes nothing.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Delivery, Handle, Settings, State, cursor, remember};
use crate::event::{Invalid, Offset, Timestamp};
use crate::sink::{Cursor, Sink};
use crate::store::{self, Limit, Store};

/// Where sending begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first event that is still in the log.
    Start,
    /// At this place.
    Offset(Offset),
    /// At the first event that was committed then or later.
    Time(Timestamp),
}

impl FromStr for From {
    type Err = Invalid;
    fn from_str(word: &str) -> Result<Self, Invalid> {
        let offset = || word.parse().ok().map(Self::Offset);
        let time = || word.parse().ok().map(Self::Time);
        let from = if word == "start" { Some(Self::Start) } else { offset().or_else(time) };
        from.ok_or_else(|| Invalid::new("from", word, "start, an offset, or a time such as 2026-01-31T12:00:00Z"))
    }
}

impl From {
    /// The offset that it stands for in a store.
    fn offset(self, store: &Store) -> Result<Offset, store::Error> {
        let range = store.range();
        match self {
            Self::Start => Ok(range.start),
            Self::Offset(offset) => Ok(offset.clamp(range.start, range.end)),
            Self::Time(time) => committed_at(store, time),
        }
    }
}

/// The first offset whose event was committed then or later: `observed` never runs backwards along the log.
fn committed_at(store: &Store, time: Timestamp) -> Result<Offset, store::Error> {
    let range = store.range();
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = store.log(middle, Limit::events(1))?;
        match found.first().filter(|logged| logged.offset < high) {
            Some(logged) if logged.event.observed < time => low = logged.offset + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// A sink whose events are sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Its name.
    pub sink: String,
    /// The first event that is sent again.
    pub offset: Offset,
}

/// Where a reset waits for the delivery that is to do it.
#[derive(Debug, Clone, Default)]
pub(super) struct Resets(Arc<Mutex<Option<Offset>>>);

impl Resets {
    fn put(&self, offset: Offset) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
    }

    fn take(&self) -> Option<Offset> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Has everything from there on sent again, soon, by the deliveries that `name` means.
pub fn reset_running(sinks: &[Handle], name: &str, from: From) -> Result<Vec<Reset>, store::Error> {
    let mut done = Vec::new();
    for handle in sinks {
        let sink = handle.status.borrow().sink.to_string();
        let Some(resets) = handle.resets.as_ref().filter(|_| is_meant(&sink, name)) else { continue };
        let mut offset = from.offset(&handle.store)?;
        {
            let status = handle.status.borrow();
            if status.state != State::Starting {
                offset = offset.min(status.offset);
            }
        }
        resets.put(offset);
        handle.nudge();
        done.push(Reset { sink, offset });
    }
    Ok(done)
}

/// The same while no delivery runs: of the sink with that name, or of all whose names begin with it and a dash.
pub fn reset(store: &Store, name: &str, from: From) -> Result<Vec<Reset>, store::Error> {
    let mut done = Vec::new();
    let offset = from.offset(store)?;
    for sink in cursor::all(store)?.into_iter().filter(|sink| sink.resettable && is_meant(&sink.name, name)) {
        let settings = Settings { required: sink.required, resettable: true, ..Settings::default() };
        let offset = offset.min(sink.offset);
        let mut writes = remember::forget(store, &sink.name)?;
        writes.push(cursor::write(&sink.name, &Cursor { offset, ..Cursor::default() }, &settings));
        store.put_durable(&writes)?;
        done.push(Reset { sink: sink.name, offset });
    }
    Ok(done)
}

/// Whether a person who says `name` means that sink: `otlp` means `otlp-logs` and `otlp-spans`.
fn is_meant(sink: &str, name: &str) -> bool {
    sink.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

impl<S: Sink> Delivery<S> {
    /// Does the reset that was asked for, if one was.
    pub(super) fn take_reset(&mut self) -> Result<(), store::Error> {
        let Some(offset) = self.resets.take() else { return Ok(()) };
        let offset = offset.min(self.offset());
        tracing::info!(sink = %self.name, offset, "everything from there on is sent again");
        let cursor = Cursor { offset, ..Cursor::default() };
        let write = cursor::write(&self.name, &cursor, &self.settings);
        if let Err(error) = self.store.put_durable(&[write]) {
            self.resets.put(offset);
            return Err(error);
        }
        self.cursor = Some(cursor);
        self.waits_at = None;
        self.ready = false;
        self.remembered.lost();
        Ok(())
    }
}
