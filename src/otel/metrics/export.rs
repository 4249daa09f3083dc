//! The state as OTLP requests.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data, number_data_point::Value,
};
use opentelemetry_proto::tonic::{metrics::v1 as proto, resource::v1 as resource};
use prost::Message;

use super::Metrics;
use super::series::{Exemplar, Point, Series};
use crate::event::Timestamp;
use crate::otel::Resource;
use crate::otel::names::{
    self,
    metrics::{self, Id, Instrument},
};

/// The most bytes of one request: well below the 4 MiB that gRPC servers take by default.
pub const MAX_REQUEST: usize = 3 << 20;

/// The end of a series is told with each export for so long, in milliseconds: the time for which Prometheus
/// shows a value that nobody follows up.
const TELL_GONE: i64 = 5 * 60 * 1000;

/// What a message takes beside its content: tags, lengths, and what stands at the head of a metric.
const OVERHEAD: usize = 16;

/// A point of either sort.
enum Made {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
}

impl Metrics {
    /// The present state: each series has one point, in one of the requests, which are of at most so many bytes
    /// (or one point). All points have the same time, which is later than that of the export before by at
    /// least a millisecond, also where the clock was set back, and not before any series begins.
    ///
    /// The end of a gauge is told by a point without a value, for five minutes.
    pub fn export(&mut self, now: Timestamp, max_bytes: usize) -> Vec<ExportMetricsServiceRequest> {
        let all = self.table.families.iter().flat_map(|family| family.series.values());
        let begun = all.map(|series| series.start).max().unwrap_or(0);
        let time = now.as_millis().max(self.exported + 1).max(begun);
        self.exported = time;
        self.table.gone.retain_mut(|gone| time - *gone.told.get_or_insert(time) < TELL_GONE);
        let families = metrics::METRICS.iter().zip(&self.table.families);
        let present = families
            .flat_map(|(metric, family)| family.series.values().map(move |series| (metric.id, series, false)));
        let gone = self.table.gone.iter().map(|gone| (gone.id, &gone.series, true));
        let mut all: Vec<_> = present.chain(gone).collect();
        // Stable: within a metric in the order in which they came.
        all.sort_by(|(a, series, _), (b, other, _)| series.resource.cmp(&other.resource).then(a.cmp(b)));
        let mut requests = Requests { max_bytes, ..Requests::default() };
        for (id, series, gone) in all {
            requests.add(id, series, point(id, series, gone, time));
        }
        requests.done
    }
}

/// Requests that are being filled, one after the other.
#[derive(Default)]
struct Requests<'a> {
    done: Vec<ExportMetricsServiceRequest>,
    max_bytes: usize,
    bytes: usize,
    /// The resource and the metric that stand last.
    last: Option<(&'a Resource, Id)>,
}

impl<'a> Requests<'a> {
    fn add(&mut self, id: Id, series: &'a Series, made: Made) {
        let (here, metric) = ((&*series.resource, id), id.metric());
        let size = OVERHEAD
            + match &made {
                Made::Number(point) => point.encoded_len(),
                Made::Histogram(point) => point.encoded_len(),
            };
        let opened = self.opened(here, metric);
        if self.done.is_empty() || self.bytes + opened + size > self.max_bytes {
            self.done.push(ExportMetricsServiceRequest::default());
            (self.bytes, self.last) = (0, None);
        }
        self.bytes += self.opened(here, metric) + size;
        let Some(request) = self.done.last_mut() else { return };
        if self.last.is_none_or(|(resource, _)| resource != here.0) {
            request.resource_metrics.push(ResourceMetrics {
                resource: Some(encoded(here.0)),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope()), ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            });
        }
        let scope = request.resource_metrics.last_mut().and_then(|resource| resource.scope_metrics.last_mut());
        let Some(metrics) = scope.map(|scope| &mut scope.metrics) else { return };
        if self.last != Some(here) {
            metrics.push(head(metric));
        }
        self.last = Some(here);
        match (metrics.last_mut().and_then(|metric| metric.data.as_mut()), made) {
            (Some(Data::Gauge(gauge)), Made::Number(point)) => gauge.data_points.push(point),
            (Some(Data::Sum(sum)), Made::Number(point)) => sum.data_points.push(point),
            (Some(Data::Histogram(histogram)), Made::Histogram(point)) => histogram.data_points.push(point),
            _ => {}
        }
    }
}

impl Requests<'_> {
    /// The bytes of the resource and the metric, as far as they have to be opened for a point.
    fn opened(&self, (resource, id): (&Resource, Id), metric: &metrics::Metric) -> usize {
        let of_resource = || encoded(resource).encoded_len() + scope().encoded_len() + 4 * OVERHEAD;
        let of_metric = || head(metric).encoded_len() + OVERHEAD;
        match self.last {
            Some(last) if last == (resource, id) => 0,
            Some((last, _)) if last == resource => of_metric(),
            _ => of_resource() + of_metric(),
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "watchpost".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}

/// A metric without points.
fn head(metric: &metrics::Metric) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let sum = |is_monotonic| Sum { data_points: Vec::new(), aggregation_temporality: cumulative, is_monotonic };
    let data = match metric.instrument {
        Instrument::Counter => Data::Sum(sum(true)),
        Instrument::UpDownCounter => Data::Sum(sum(false)),
        Instrument::Gauge => Data::Gauge(Gauge::default()),
        Instrument::Histogram(_) => {
            Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality: cumulative })
        }
    };
    Metric {
        name: metric.name.name.into(),
        description: metric.name.about.into(),
        unit: metric.name.unit.into(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn point(id: Id, series: &Series, gone: bool, time: i64) -> Made {
    let instrument = id.metric().instrument;
    let attributes = attributes(id, series);
    let number = |value, exemplars| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: if instrument == Instrument::Gauge { 0 } else { nanos(series.start) },
        time_unix_nano: nanos(time),
        exemplars,
        flags: if gone { DataPointFlags::NoRecordedValueMask as u32 } else { 0 },
        value: if gone { None } else { Some(value) },
    };
    match &series.point {
        Point::Count { value, exemplar } => {
            let value = Value::AsInt(i64::try_from(*value).unwrap_or(i64::MAX));
            Made::Number(number(value, exemplar.iter().map(with_span).collect()))
        }
        Point::Level { value, .. } if instrument == Instrument::Gauge => {
            Made::Number(number(Value::AsDouble(*value), Vec::new()))
        }
        Point::Level { value, .. } => Made::Number(number(Value::AsInt(*value as i64), Vec::new())),
        Point::Spread(spread) => {
            let bounds = if let Instrument::Histogram(bounds) = instrument { bounds } else { &[] };
            Made::Histogram(HistogramDataPoint {
                attributes,
                start_time_unix_nano: nanos(series.start),
                time_unix_nano: nanos(time),
                count: spread.counts.iter().sum(),
                sum: Some(spread.sum),
                bucket_counts: spread.counts.clone(),
                explicit_bounds: bounds.to_vec(),
                exemplars: spread.exemplars.iter().flatten().map(with_span).collect(),
                flags: 0,
                min: Some(spread.least).filter(|least| least.is_finite()),
                max: Some(spread.most).filter(|most| most.is_finite()),
            })
        }
    }
}

fn attributes(id: Id, series: &Series) -> Vec<KeyValue> {
    if series.overflow {
        return vec![attribute(names::METRIC_OVERFLOW, any_value::Value::BoolValue(true))];
    }
    let known = id.metric().name.attributes.iter().zip(&series.values);
    known.filter_map(|(name, value)| Some(attribute(name, text(value.as_deref()?)))).collect()
}

fn encoded(resource: &Resource) -> resource::Resource {
    let Resource { service_name, service_namespace, service_instance_id } = resource;
    let parts = [
        (names::SERVICE_NAME, Some(service_name)),
        (names::SERVICE_NAMESPACE, service_namespace.as_ref()),
        (names::SERVICE_INSTANCE_ID, service_instance_id.as_ref()),
    ];
    let attributes = parts.into_iter().filter_map(|(name, value)| Some(attribute(name, text(value?)))).collect();
    resource::Resource { attributes, ..resource::Resource::default() }
}

fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn with_span(exemplar: &Exemplar) -> proto::Exemplar {
    proto::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: nanos(exemplar.at),
        span_id: exemplar.span_id.0.to_vec(),
        trace_id: exemplar.trace_id.0.to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    }
}

fn nanos(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000)
}
