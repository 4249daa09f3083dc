//! What the tests share.

pub(crate) mod account;
pub(crate) mod certificates;
pub(crate) mod collector;
pub(crate) mod daemon;
pub(crate) mod delivering;
pub(crate) mod documents;
pub(crate) mod elasticsearch;
pub(crate) mod events;
pub(crate) mod exposition;
pub(crate) mod fake;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod jwt;
pub(crate) mod log;
pub(crate) mod nats;
pub(crate) mod otlp;
pub(crate) mod port;
pub(crate) mod prometheus;
pub(crate) mod promtool;
pub(crate) mod running;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod standard;
pub(crate) mod started;
pub(crate) mod wait;
