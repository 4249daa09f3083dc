//! CPU from a mapped log record to the wire, against the OpenTelemetry SDK's OTLP exporter: the same records to the
//! same real Collector, over gRPC without compression, in requests of the same size.
//!
//! `RECORDS=1000000 cargo bench --bench otlp`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;
mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider};
use servers::collector::{Backends, Collector};
use support::{draft, head, number, print_machine, row};
use tokio::task::JoinSet;
use watchpost::config::{Compression, Exporter, Otlp};
use watchpost::event::{Logged, Timestamp};
use watchpost::otel::{Record, Resource, Tracker, Value, logs, wire};
use watchpost::sink::otlp::{Channel, Signal};
use watchpost::store::{Limit, Store, Submission};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// So many different records are sent again and again.
const DIFFERENT: u64 = 8192;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let (records, rounds) = (number("RECORDS", 1_000_000), number("ROUNDS", 3));
    print_machine();
    let collector = Collector::with(Backends {
        edits: vec![
            ("  file/logs:\n", "  debug:\n    verbosity: basic\n\n  file/logs:\n".to_owned()),
            ("[file/logs]", "[debug]".to_owned()),
        ],
        ..Backends::default()
    });
    let events = events();
    let resource = Arc::new(Resource { service_name: "worker".into(), ..Resource::default() });
    let mut tracker = Tracker::default();
    let mapped: Vec<Record<'_>> = events
        .iter()
        .map(|logged| {
            let context = tracker.apply(&logged.event).context;
            // The SDK's exporter knows one resource only.
            Record { resource: Arc::clone(&resource), ..logs::record(logged, &context) }
        })
        .collect();
    let of_the_sdk = of_the_sdk(&mapped);
    let batch = Otlp::default().batch_records;
    println!("\n{records} log records in requests of {batch}, CPU seconds per million records\n");
    head(&["round", "SDK's exporter", "ours", "ratio", "of ours: encoding"]);
    for round in 1..=rounds {
        let sdk = sdk(&collector, &of_the_sdk, records, batch).await;
        let ours = ours(&collector, &mapped, records, batch).await;
        let encoding = encoding(&mapped, records, batch);
        let per_million = |took: Duration| took.as_secs_f64() * 1e6 / records as f64;
        row(&[
            &round.to_string(),
            &format!("{:.2}", per_million(sdk)),
            &format!("{:.2}", per_million(ours)),
            &format!("{:.2}", ours.as_secs_f64() / sdk.as_secs_f64()),
            &format!("{:.2}", per_million(encoding)),
        ]);
    }
}

/// User and system time of this process, all of its threads.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn events() -> Vec<Logged> {
    let store = Store::memory();
    let (mut writer, flusher) = store.writer().expect("the writer");
    for from in (0..DIFFERENT).step_by(1024) {
        let drafts = (from..from + 1024).map(|n| draft(n, 64, false)).collect();
        writer.apply(&[Submission::events(drafts)]).expect("room");
    }
    flusher.flush(writer.next_offset()).expect("durable");
    let mut events = Vec::new();
    while events.len() < DIFFERENT as usize {
        events.extend(store.log(events.len() as u64, Limit::events(8192)).expect("readable"));
    }
    events
}

/// The records of one request after the other, until there were so many.
fn requests<T>(records: &[T], count: u64, batch: usize) -> impl Iterator<Item = &[T]> {
    let requests = usize::try_from(count).expect("a count").div_ceil(batch);
    records.chunks(batch).cycle().take(requests)
}

fn encode(records: &[Record<'_>]) -> Vec<u8> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(records.len()));
    for record in records {
        wire::log_record(record, &mut bytes);
        ends.push(bytes.len());
    }
    let mut request = Vec::with_capacity(bytes.len() + 1024);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let items = records.iter().zip(starts.zip(ends.iter().copied()));
    wire::logs_request(
        items.map(|(record, (start, end))| (record.resource.as_ref(), &bytes[start..end])),
        &mut request,
    );
    request
}

fn encoding(records: &[Record<'_>], count: u64, batch: usize) -> Duration {
    let begin = cpu();
    let bytes: usize = requests(records, count, batch).map(|records| encode(records).len()).sum();
    assert!(bytes > 0, "it is used");
    cpu() - begin
}

async fn ours(collector: &Collector, records: &[Record<'_>], count: u64, batch: usize) -> Duration {
    let exporter = Exporter { endpoint: collector.grpc(), compression: Compression::None, ..Exporter::default() };
    let channel = Channel::new(&exporter, Signal::Logs).expect("a channel");
    let begin = cpu();
    let mut flying = JoinSet::new();
    for records in requests(records, count, batch) {
        if flying.len() == Otlp::default().window {
            let answer = flying.join_next().await.expect("one is under way").expect("no panic");
            assert_eq!(answer, Ok(0), "it is taken");
        }
        let (channel, request) = (channel.clone(), encode(records));
        flying.spawn(async move { channel.export(request.into()).await.map(|answer| answer.rejected) });
    }
    for answer in flying.join_all().await {
        assert_eq!(answer, Ok(0), "it is taken");
    }
    cpu() - begin
}

async fn sdk(collector: &Collector, records: &[SdkLogRecord], count: u64, batch: usize) -> Duration {
    let builder = opentelemetry_otlp::LogExporter::builder().with_tonic().with_endpoint(collector.grpc());
    let mut exporter = builder.build().expect("an exporter");
    let resource =
        opentelemetry_sdk::Resource::builder_empty().with_attribute(KeyValue::new("service.name", "worker"));
    exporter.set_resource(&resource.build());
    let scope = InstrumentationScope::builder("watchpost").with_version(env!("CARGO_PKG_VERSION")).build();
    let begin = cpu();
    for records in requests(records, count, batch) {
        let batch: Vec<_> = records.iter().map(|record| (record, &scope)).collect();
        exporter.export(LogBatch::new(&batch)).await.expect("it is taken");
    }
    cpu() - begin
}

/// The same records as the SDK has them.
fn of_the_sdk(records: &[Record<'_>]) -> Vec<SdkLogRecord> {
    let logger = SdkLoggerProvider::builder().build().logger("watchpost");
    let mut names: HashMap<String, &'static str> = HashMap::new();
    let mut name = |text: &str| -> &'static str {
        names.entry(text.to_owned()).or_insert_with(|| Box::leak(text.to_owned().into_boxed_str()))
    };
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let mut sdk = logger.create_log_record();
        sdk.set_event_name(name(&record.event_name));
        sdk.set_timestamp(time(record.time));
        sdk.set_observed_timestamp(time(record.observed));
        sdk.set_severity_number(Severity::Info);
        sdk.set_severity_text(name(&record.severity_text));
        sdk.set_body(AnyValue::from(record.body.clone()));
        for (key, value) in &record.attributes {
            sdk.add_attribute(opentelemetry::Key::new(key.to_string()), any(value));
        }
        if let (Some(trace), Some(span)) = (record.trace_id, record.span_id) {
            sdk.set_trace_context(TraceId::from_bytes(trace.0), SpanId::from_bytes(span.0), None);
        }
        all.push(sdk);
    }
    all
}

fn time(timestamp: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(timestamp.as_millis().unsigned_abs())
}

fn any(value: &Value<'_>) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(*value),
        Value::Int(value) => AnyValue::Int(*value),
        Value::Double(value) => AnyValue::Double(*value),
        Value::Text(value) => AnyValue::from(value.to_string()),
        Value::Texts(values) => AnyValue::from_iter(values.iter().map(ToString::to_string)),
    }
}
