//! All series: measuring into them, within the limit.

use std::collections::VecDeque;
use std::sync::Arc;

use super::series::{Exemplar, Family, Gone, Held, Point, Series, Values, keep};
use crate::otel::Resource;
use crate::otel::names::metrics::{Id, Instrument, METRICS};

/// The most bytes of an attribute's value.
const MAX_VALUE: usize = 256;

/// The most series whose end is still to be told.
const MAX_GONE: usize = 10_000;

/// The series of every metric.
#[derive(Debug)]
pub(super) struct Table {
    limit: usize,
    pub(super) families: Vec<Family>,
    /// Those that changed since they were saved; each once or more.
    pub(super) changed: Vec<(Id, u32)>,
    pub(super) gone: VecDeque<Gone>,
    /// What no other resource is the right one for.
    pub(super) own: Arc<Resource>,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        let own = Resource { service_name: "watchpost".into(), ..Resource::default() };
        Self {
            limit,
            families: METRICS.iter().map(|_| Family::default()).collect(),
            changed: Vec::new(),
            gone: VecDeque::new(),
            own: Arc::new(own),
        }
    }

    /// The most series of each metric.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Adds to a counter.
    pub(super) fn count(&mut self, place: &Place<'_>, id: Id, values: Values<'_>, more: u64) {
        let slot = self.measured(place, id, values);
        self.change(id, slot, |point, _| {
            if let Point::Count { value, exemplar } = point {
                *value = value.saturating_add(more);
                keep(exemplar, place.exemplar(more as f64));
            }
        });
    }

    /// Adds one value to a histogram.
    pub(super) fn observe(&mut self, place: &Place<'_>, id: Id, values: Values<'_>, value: f64) {
        let slot = self.measured(place, id, values);
        self.change(id, slot, |point, instrument| {
            if let (Point::Spread(spread), Instrument::Histogram(bounds)) = (point, instrument) {
                spread.add(bounds, value, place.exemplar(value));
            }
        });
    }

    /// Puts an amount into a gauge, or an up-down counter, from which it is taken out again by [`Self::release`].
    pub(super) fn hold(&mut self, place: &Place<'_>, id: Id, values: Values<'_>, amount: f64) -> Held {
        let mut held = Held { slot: self.slot(place, id, values), amount: 0.0 };
        self.change(id, held.slot, |point, _| {
            if let Point::Level { holders, .. } = point {
                *holders += 1;
            }
        });
        self.set(place, id, &mut held, amount);
        held
    }

    /// Changes an amount that is held.
    pub(super) fn set(&mut self, place: &Place<'_>, id: Id, held: &mut Held, amount: f64) {
        if held.amount == amount {
            return;
        }
        let old = std::mem::replace(&mut held.amount, amount);
        if self.families[id as usize].overflow == Some(held.slot) {
            self.overflowed(place, id);
        }
        self.shift(id, held.slot, old, amount);
    }

    /// Takes an amount out again; the series stays.
    pub(super) fn release(&mut self, id: Id, held: Held) {
        self.shift(id, held.slot, held.amount, 0.0);
        self.change(id, held.slot, |point, _| {
            if let Point::Level { holders, .. } = point {
                *holders = holders.saturating_sub(1);
            }
        });
    }

    /// Takes an amount out again, and with the last one the series.
    pub(super) fn remove(&mut self, id: Id, held: Held) {
        self.release(id, held);
        let family = &mut self.families[id as usize];
        let is_empty =
            |series: &Series| !series.overflow && matches!(series.point, Point::Level { holders: 0, .. });
        if family.series.get(&held.slot).is_some_and(is_empty)
            && let Some(series) = family.remove(held.slot)
        {
            self.gone.push_back(Gone { id, series, told: None });
            if self.gone.len() > MAX_GONE {
                self.gone.pop_front();
            }
        }
    }

    fn shift(&mut self, id: Id, slot: u32, old: f64, new: f64) {
        self.change(id, slot, |point, _| {
            if let Point::Level { value, .. } = point {
                // Exactly, where nobody else has a part in it.
                *value = if *value == old { new } else { *value + (new - old) };
            }
        });
    }

    fn change(&mut self, id: Id, slot: u32, with: impl FnOnce(&mut Point, Instrument)) {
        if let Some(series) = self.families[id as usize].series.get_mut(&slot) {
            with(&mut series.point, id.metric().instrument);
            self.changed.push((id, slot));
        }
    }

    /// The series for a measurement, which counts as one over the limit where it is.
    fn measured(&mut self, place: &Place<'_>, id: Id, values: Values<'_>) -> u32 {
        let slot = self.slot(place, id, values);
        if self.families[id as usize].overflow == Some(slot) {
            self.overflowed(place, id);
        }
        slot
    }

    fn overflowed(&mut self, place: &Place<'_>, id: Id) {
        let own = Arc::clone(&self.own);
        let place = Place { resource: &own, ..*place };
        self.count(&place, Id::MetricsOverflow, &[Some(id.metric().name.name)], 1);
    }

    /// The series of these attributes: a new one where there is room, else the one for all others.
    pub(super) fn slot(&mut self, place: &Place<'_>, id: Id, values: Values<'_>) -> u32 {
        let short;
        let values = if values.iter().flatten().any(|value| value.len() > MAX_VALUE) {
            short = values.iter().map(|value| value.map(cut)).collect::<Vec<_>>();
            &short
        } else {
            values
        };
        let family = &mut self.families[id as usize];
        if let Some(slot) = family.find(place.resource, values) {
            return slot;
        }
        // Its own series are bounded by the number of metrics.
        let room = family.len() < self.limit || id == Id::MetricsOverflow;
        if !room && let Some(slot) = family.overflow {
            return slot;
        }
        let (resource, values) = if room { (place.resource, values) } else { (&self.own, &[][..]) };
        let series = Series {
            resource: Arc::clone(resource),
            values: values.iter().map(|value| value.map(Box::from)).collect(),
            overflow: !room,
            start: place.observed,
            point: Point::new(id.metric().instrument),
        };
        self.gone.retain(|gone| {
            gone.id != id || gone.series.resource != series.resource || gone.series.values != series.values
        });
        let slot = family.next();
        family.insert(slot, series);
        self.changed.push((id, slot));
        slot
    }
}

/// Where and when something is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) resource: &'a Arc<Resource>,
    /// When the event was committed, in milliseconds.
    pub(super) observed: i64,
    /// The span, and the time of what is measured.
    pub(super) span: Option<(crate::otel::TraceId, crate::otel::SpanId, i64)>,
}

impl Place<'_> {
    fn exemplar(&self, value: f64) -> Option<Exemplar> {
        self.span.map(|(trace_id, span_id, at)| Exemplar { at, trace_id, span_id, value })
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_VALUE)]
}

/// The resource with values no longer than those of attributes.
pub(super) fn bounded(resource: &Arc<Resource>) -> Arc<Resource> {
    let Resource { service_name, service_namespace, service_instance_id } = &**resource;
    let parts = [Some(service_name), service_namespace.as_ref(), service_instance_id.as_ref()];
    if parts.iter().flatten().all(|part| part.len() <= MAX_VALUE) {
        return Arc::clone(resource);
    }
    let [name, namespace, instance] = parts.map(|part| part.map(|part| cut(part).to_owned().into()));
    Arc::new(Resource {
        service_name: name.unwrap_or_default(),
        service_namespace: namespace,
        service_instance_id: instance,
    })
}
