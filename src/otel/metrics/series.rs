//! Series: one for each metric, resource and set of attributes, and one for what is over the limit.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use crate::otel::names::metrics::{Id, Instrument};
use crate::otel::{Resource, SpanId, TraceId};

/// The values of a metric's attributes, in the order of its table; none where it is not known.
pub(super) type Values<'a> = &'a [Option<&'a str>];

/// One series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    pub(super) resource: Arc<Resource>,
    pub(super) values: Box<[Option<Box<str>>]>,
    /// Whether this is the one for all that is over the limit.
    pub(super) overflow: bool,
    /// When the first event was committed that it counts, in milliseconds: the same at every replay.
    pub(super) start: i64,
    pub(super) point: Point,
}

/// What a series has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Point {
    Count {
        value: u64,
        exemplar: Option<Exemplar>,
    },
    Level {
        value: f64,
        /// How many have a part in it.
        holders: u32,
    },
    Spread(Spread),
}

/// How values are spread over the buckets of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// The latest of each bucket.
    pub(super) exemplars: Vec<Option<Exemplar>>,
}

/// A value with the span that it was measured in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Exemplar {
    /// In milliseconds.
    pub(super) at: i64,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) value: f64,
}

impl Point {
    pub(super) fn new(instrument: Instrument) -> Self {
        match instrument {
            Instrument::Counter => Self::Count { value: 0, exemplar: None },
            Instrument::UpDownCounter | Instrument::Gauge => Self::Level { value: 0.0, holders: 0 },
            Instrument::Histogram(bounds) => Self::Spread(Spread {
                counts: vec![0; bounds.len() + 1],
                sum: 0.0,
                least: f64::INFINITY,
                most: f64::NEG_INFINITY,
                exemplars: vec![None; bounds.len() + 1],
            }),
        }
    }

    /// Whether this can be a point of that instrument: another version may have had other buckets.
    pub(super) fn fits(&self, instrument: Instrument) -> bool {
        match (self, instrument) {
            (Self::Spread(spread), Instrument::Histogram(bounds)) => {
                spread.counts.len() == bounds.len() + 1 && spread.exemplars.len() == spread.counts.len()
            }
            (Self::Count { .. }, Instrument::Counter) => true,
            (Self::Level { .. }, Instrument::Gauge | Instrument::UpDownCounter) => true,
            _ => false,
        }
    }
}

impl Spread {
    pub(super) fn add(&mut self, bounds: &[f64], value: f64, exemplar: Option<Exemplar>) {
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let (Some(count), Some(kept)) = (self.counts.get_mut(bucket), self.exemplars.get_mut(bucket)) {
            *count += 1;
            keep(kept, exemplar);
        }
        self.sum += value;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }
}

/// The latest one stays, by its own time: a receiver refuses one that is older than what it has.
pub(super) fn keep(kept: &mut Option<Exemplar>, exemplar: Option<Exemplar>) {
    if let Some(new) = exemplar
        && kept.is_none_or(|old| old.at <= new.at)
    {
        *kept = Some(new);
    }
}

/// The series of one metric.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// By number, which stays: in the order in which they came.
    pub(super) series: BTreeMap<u32, Series>,
    pub(super) overflow: Option<u32>,
    found: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Family {
    pub(super) fn find(&self, resource: &Resource, values: Values<'_>) -> Option<u32> {
        let is = |series: &Series| *series.resource == *resource && same(&series.values, values);
        let hash = hash(&self.hasher, resource, values.iter().copied());
        self.found.find(hash, |slot| self.series.get(slot).is_some_and(is)).copied()
    }

    pub(super) fn insert(&mut self, slot: u32, series: Series) {
        if series.overflow {
            self.overflow = Some(slot);
            self.series.insert(slot, series);
            return;
        }
        let Self { series: all, found, hasher, .. } = self;
        let of = |series: &Series| hash(hasher, &series.resource, texts(&series.values));
        let hash = of(&series);
        all.insert(slot, series);
        found.insert_unique(hash, slot, |slot| all.get(slot).map_or(0, of));
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Series> {
        let series = self.series.get(&slot)?;
        let hash = hash(&self.hasher, &series.resource, texts(&series.values));
        if let Ok(entry) = self.found.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.series.remove(&slot)
    }

    /// The number of the next one: it hangs on what is there alone, so that a saved fold goes on alike.
    pub(super) fn next(&self) -> u32 {
        self.series.last_key_value().map_or(0, |(slot, _)| slot + 1)
    }

    /// How many there are beside the overflow.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }
}

fn texts(values: &[Option<Box<str>>]) -> impl Iterator<Item = Option<&str>> {
    values.iter().map(Option::as_deref)
}

fn same(values: &[Option<Box<str>>], other: Values<'_>) -> bool {
    texts(values).eq(other.iter().copied())
}

fn hash<'a>(
    hasher: &DefaultHashBuilder,
    resource: &Resource,
    values: impl Iterator<Item = Option<&'a str>>,
) -> u64 {
    let values = values.fold(0u64, |before, value| hasher.hash_one((before, value)));
    hasher.hash_one((values, resource))
}

/// Where an amount of one's own stands within a series, which may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) slot: u32,
    pub(super) amount: f64,
}

/// A series that is no more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gone {
    pub(super) id: Id,
    pub(super) series: Series,
    /// When that was first told, in milliseconds.
    pub(super) told: Option<i64>,
}
