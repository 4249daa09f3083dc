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
    /// The names under which it is there.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = self.metric.prometheus;
        match self.kind {
            Kind::Number(_) => vec![name.to_owned()],
            Kind::Histogram(..) => ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")).to_vec(),
        }
    }

    /// What to ask for, and what the answer has to be.
    pub(crate) fn queries(&self) -> Vec<(String, f64)> {
        let name = self.metric.prometheus;
        let (sum, counts) = match &self.kind {
            Kind::Number(value) => return vec![(self.query(name, &[]), *value)],
            Kind::Histogram(sum, counts) => (sum, counts),
        };
        let Instrument::Histogram(bounds) = self.metric.instrument else { panic!("{name} is a histogram") };
        let mut queries = vec![
            (self.query(&format!("{name}_sum"), &[]), *sum),
            (self.query(&format!("{name}_count"), &[]), counts.iter().sum::<u64>() as f64),
        ];
        let mut upto = 0;
        for (count, bound) in counts.iter().zip(bounds.iter().map(f64::to_string).chain(["+Inf".into()])) {
            upto += count;
            // Prometheus writes a whole number with a decimal, and a great one with an exponent.
            if upto > 0 && bound.parse::<f64>().is_ok_and(|bound| bound < 1e5 || bound.is_infinite()) {
                let bound = if bound.contains(['.', 'I']) { bound } else { format!("{bound}.0") };
                queries.push((self.query(&format!("{name}_bucket"), &[("le", &bound)]), upto as f64));
            }
        }
        queries
    }

    fn query(&self, name: &str, more: &[(&str, &str)]) -> String {
        let label = |name: &str, value: &str| format!("{name}={value:?}");
        let mut labels: Vec<_> = self.labels.iter().map(|(name, value)| label(name, value)).collect();
        // One that it does not have is empty in Prometheus.
        let absent = |name: &&String| !self.labels.contains_key(*name);
        let possible: Vec<String> = self.metric.name.attributes.iter().map(|name| under(name)).collect();
        labels.extend(possible.iter().filter(absent).map(|name| label(name, "")));
        labels.extend(more.iter().map(|(name, value)| label(name, value)));
        format!("{name}{{{}}}", labels.join(","))
    }
}

/// The name under which a metric has as many series as in OTLP.
pub(crate) fn counted(metric: &Metric) -> String {
    let count = if matches!(metric.instrument, Instrument::Histogram(_)) { "_count" } else { "" };
    format!("{}{count}", metric.prometheus)
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
