//! Events by hand, and what the tracker would tell of them.

mod export;
mod limits;
mod processes;
mod property;
mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as Number};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::event::{Timestamp, testing};
use crate::otel::span::SpanKind;
use crate::otel::{Context, Resource, SpanId, TraceId};

/// A fold, and the time and the seq of the next event.
struct World {
    metrics: Metrics,
    at: i64,
}

impl World {
    fn new() -> Self {
        Self::of(2000)
    }

    fn of(max_series: usize) -> Self {
        Self { metrics: Metrics::new(max_series), at: 1_000_000 }
    }

    /// An event a second, with the spans that it ends.
    fn tell(&mut self, stream: &str, kind: &str, data: serde_json::Value, context: Context, spans: Vec<Span>) {
        let event = event(self.at, stream, kind, data);
        self.metrics.apply(&event, &Told { context, spans });
        self.at += 1000;
    }

    /// An event of a session of the service `engine`, in the span of that number.
    fn session(&mut self, stream: &str, kind: &str, data: serde_json::Value, span: u8, spans: Vec<Span>) {
        self.tell(stream, kind, data, context(&resource("engine"), span), spans);
    }

    /// An event of a process of the source `main`, in the supervisor's life of that number.
    fn process(&mut self, life: u8, kind: &str, name: &str, edit: impl FnOnce(&mut serde_json::Value)) {
        let mut data = process_data(name);
        edit(&mut data);
        let context = Context { resource: process_resource(name), trace_id: None, span_id: None };
        self.tell(&format!("proc-main-{life}"), kind, data, context, Vec::new());
    }

    fn export(&mut self) -> Vec<ExportMetricsServiceRequest> {
        self.metrics.export(Timestamp::from_millis(self.at), MAX_REQUEST)
    }

    /// Every series as `metric{resource,attributes}` with its value, a histogram's count or `gone`.
    fn values(&mut self) -> BTreeMap<String, String> {
        values(&self.export())
    }

    fn value(&mut self, series: &str) -> Option<String> {
        self.values().remove(series)
    }

    fn check(&mut self, expected: &[(&str, Option<&str>)]) {
        let values = self.values();
        for (series, value) in expected {
            assert_eq!(values.get(*series).map(String::as_str), *value, "{series} of {values:#?}");
        }
    }

    /// Another process, with what was saved of this one.
    fn restored(&mut self, store: &mut BTreeMap<String, Vec<u8>>, max_series: usize) -> Metrics {
        for (key, value) in self.metrics.changes() {
            assert!((1..=160).contains(&key.len()), "{key}");
            match value {
                Some(value) => assert!(value.len() <= 1 << 20 && store.insert(key, value).is_none_or(|_| true)),
                None => drop(store.remove(&key)),
            }
        }
        let mut metrics = Metrics::new(max_series);
        for (key, value) in store {
            metrics.restore(key, value).expect("its own record");
        }
        metrics
    }
}

fn event(at: i64, stream: &str, kind: &str, data: serde_json::Value) -> Event {
    let time = Timestamp::from_millis(at);
    Event {
        id: Uuid::from_u128(at as u128),
        ts: time,
        observed: time,
        origin: testing::from_main(),
        data: testing::data(data.to_string()),
        ..testing::event(stream, kind)
    }
}

fn resource(service: &str) -> Arc<Resource> {
    Arc::new(Resource { service_name: service.to_owned().into(), ..Resource::default() })
}

fn process_resource(name: &str) -> Arc<Resource> {
    Arc::new(Resource {
        service_name: name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned().into(),
        service_namespace: Some("default".into()),
        service_instance_id: Some(format!("main/{name}").into()),
    })
}

fn process_data(name: &str) -> serde_json::Value {
    let state = json!({
        "name": name, "namespace": "default", "status": "Running", "is_ready": "-", "has_ready_probe": false,
        "restarts": 0, "exit_code": 0, "is_running": true, "mem": 4096, "cpu": 50.0,
    });
    json!({ "process": name, "namespace": "default", "run_id": Uuid::from_u128(1), "state": state })
}

fn context(resource: &Arc<Resource>, span: u8) -> Context {
    Context { resource: Arc::clone(resource), trace_id: Some(TraceId([7; 16])), span_id: Some(SpanId([span; 8])) }
}

/// A span of that number, from one time to another in milliseconds.
fn span(role: Role, number: u8, times: (i64, i64), attributes: &[(&'static str, Value<'static>)]) -> Span {
    Span {
        role,
        trace_id: TraceId([7; 16]),
        span_id: SpanId([number; 8]),
        parent: None,
        name: role.as_str().into(),
        kind: SpanKind::Internal,
        start: Timestamp::from_millis(times.0),
        end: Timestamp::from_millis(times.1),
        attributes: attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::Unset,
        resource: resource("engine"),
    }
}

fn values(requests: &[ExportMetricsServiceRequest]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    each_point(requests, |series, value, _| {
        assert!(values.insert(series.clone(), value).is_none(), "twice: {series}");
    });
    values
}

/// Calls with each series, its value and the times of its start and its point.
fn each_point(requests: &[ExportMetricsServiceRequest], mut with: impl FnMut(String, String, (u64, u64))) {
    for resource in requests.iter().flat_map(|request| &request.resource_metrics) {
        let of = resource.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let name = |attributes: &[KeyValue]| {
                format!("{}{{{}}}", metric.name, [of.clone(), texts(attributes)].concat().join(","))
            };
            match metric.data.as_ref().expect("a kind") {
                Data::Histogram(histogram) => {
                    for point in &histogram.data_points {
                        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                        let times = (point.start_time_unix_nano, point.time_unix_nano);
                        with(name(&point.attributes), point.count.to_string(), times);
                    }
                }
                Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => {
                    for point in data_points {
                        let value = match point.value {
                            Some(Number::AsInt(value)) => value.to_string(),
                            Some(Number::AsDouble(value)) => value.to_string(),
                            None => "gone".into(),
                        };
                        assert_eq!(point.flags == 1, value == "gone");
                        let times = (point.start_time_unix_nano, point.time_unix_nano);
                        with(name(&point.attributes), value, times);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

use opentelemetry_proto::tonic::metrics::v1::{Gauge, Sum};

fn texts(attributes: &[KeyValue]) -> Vec<String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::BoolValue(true) => Some(attribute.key.clone()),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}
