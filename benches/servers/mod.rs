//! The servers of the tests, for the benchmarks against a real one.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

#[path = "../../tests/it/support/collector.rs"]
pub(crate) mod collector;
#[path = "../../tests/it/support/elasticsearch.rs"]
pub(crate) mod elasticsearch;
#[path = "../../tests/it/support/nats.rs"]
pub(crate) mod nats;
#[path = "../../tests/it/support/otlp_json.rs"]
mod otlp_json;
#[path = "../../tests/it/support/port.rs"]
mod port;
#[path = "../../tests/it/support/started.rs"]
mod started;
