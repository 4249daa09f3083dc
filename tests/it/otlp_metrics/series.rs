//! Series as OTLP has them, and what they are in Prometheus.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use watchpost::otel::names::metrics::{self, Instrument, Metric};

/// One series and its value.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) metric: &'static Metric,
    pub(crate) kind: Kind,
    labels: BTreeMap<String, String>,
}

/// What its value is.
#[derive(Debug)]
pub(crate) enum Kind {
    Number(f64),
    /// The sum, and how many values are in each bucket.
    Histogram(f64, Vec<u64>),
}

impl Series {
    /// What Prometheus has of it: by name and labels.
    pub(crate) fn samples(&self) -> Vec<(Sample, f64)> {
        let name = self.metric.prometheus;
        let (sum, counts) = match &self.kind {
            Kind::Number(value) => return vec![((name.to_owned(), self.labels.clone()), *value)],
            Kind::Histogram(sum, counts) => (sum, counts),
        };
        let Instrument::Histogram(bounds) = self.metric.instrument else { panic!("{name} is a histogram") };
        let total = counts.iter().sum::<u64>() as f64;
        let mut samples = vec![
            ((format!("{name}_sum"), self.labels.clone()), *sum),
            ((format!("{name}_count"), self.labels.clone()), total),
        ];
        let mut upto = 0;
        for (count, bound) in counts.iter().zip(bounds.iter().chain([&f64::INFINITY])) {
            upto += count;
            let mut labels = self.labels.clone();
            labels.insert("le".into(), bound.to_string());
            samples.push(((format!("{name}_bucket"), labels), upto as f64));
        }
        samples
    }
}

/// A name with its labels.
pub(crate) type Sample = (String, BTreeMap<String, String>);

/// What one answer of Prometheus says, without the labels that it makes itself.
pub(crate) fn sample(found: &serde_json::Value) -> (Sample, f64) {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let labels = found["metric"].as_object().expect("labels").iter();
    let mut labels: BTreeMap<String, String> = labels.map(|(name, value)| (name.clone(), text(value))).collect();
    let name = labels.remove("__name__").expect("a name");
    labels.retain(|name, _| name != "job" && name != "instance");
    if let Some(bound) = labels.get_mut("le") {
        *bound = bound.parse::<f64>().expect("a bound").to_string();
    }
    ((name, labels), text(&found["value"][1]).parse().expect("a number"))
}

/// The series of requests that have a value.
pub(crate) fn of_requests(requests: &[ExportMetricsServiceRequest]) -> Vec<Series> {
    let mut all = Vec::new();
    for resource in requests.iter().flat_map(|request| &request.resource_metrics) {
        let of = &resource.resource.as_ref().expect("a resource").attributes;
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let known = metrics::find(&metric.name).expect("a metric of the table");
            let mut add = |attributes: &[KeyValue], kind| {
                all.push(Series { metric: known, kind, labels: labels(of.iter().chain(attributes)) });
            };
            let points = match metric.data.as_ref().expect("a kind") {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => &sum.data_points,
                Data::Histogram(histogram) => {
                    for point in &histogram.data_points {
                        let sum = point.sum.expect("a sum");
                        add(&point.attributes, Kind::Histogram(sum, point.bucket_counts.clone()));
                    }
                    continue;
                }
                other => panic!("{other:?}"),
            };
            for point in points {
                match point.value {
                    Some(Value::AsInt(value)) => add(&point.attributes, Kind::Number(value as f64)),
                    Some(Value::AsDouble(value)) => add(&point.attributes, Kind::Number(value)),
                    None => {}
                }
            }
        }
    }
    all
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::BoolValue(flag) => Some(flag.to_string()),
        other => panic!("{other:?}"),
    };
    attributes.filter_map(|attribute| Some((under(&attribute.key), text(attribute)?))).collect()
}

/// An attribute's name as a label.
fn under(name: &str) -> String {
    name.replace('.', "_")
}
