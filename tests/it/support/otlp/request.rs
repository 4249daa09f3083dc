//! What the receiver was asked.

use bytes::{Buf, Bytes};
use hyper::HeaderMap;
use hyper::http::request::Parts;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use watchpost::config::Protocol;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The ids of the events of its log records; or those of its spans.
    pub(crate) ids: Vec<String>,
    /// So many bytes, decompressed.
    pub(crate) bytes: usize,
}

impl Request {
    pub(super) fn read(head: &Parts, body: &Bytes, protocol: Protocol) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let body = match protocol {
            Protocol::HttpProtobuf => unpacked(body, header("content-encoding")),
            Protocol::Grpc => {
                let mut frame = body.clone();
                let packed = frame.get_u8() == 1;
                assert_eq!(frame.get_u32() as usize, frame.len(), "one message a request");
                unpacked(&frame, header("grpc-encoding").filter(|_| packed))
            }
        };
        let path = head.uri.path().to_owned();
        let ids = if path.contains("race") { spans(&body) } else { events(&body) };
        Self { path, headers: head.headers.clone(), ids, bytes: body.len() }
    }

    /// A header, as text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

fn unpacked(body: &[u8], encoding: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = match encoding {
        Some("gzip") => std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut bytes),
        Some("zstd") => zstd::stream::copy_decode(body, &mut bytes).map(|()| 0),
        _ => {
            bytes.extend_from_slice(body);
            Ok(0)
        }
    };
    read.expect("it unpacks");
    bytes
}

fn events(body: &[u8]) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(body).expect("OTLP");
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|record| event_id(&record.attributes)).collect()
}

fn event_id(attributes: &[KeyValue]) -> String {
    let id = attributes.iter().find(|attribute| attribute.key == "watchpost.event.id");
    match id.and_then(|id| id.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(id)) => id.clone(),
        other => panic!("the id of an event: {other:?}"),
    }
}

fn spans(body: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
    scopes.flat_map(|scope| scope.spans).map(|span| hex(&span.span_id)).collect()
}
