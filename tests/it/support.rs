//! What the tests share.

pub(crate) mod account;
pub(crate) mod collector;
pub(crate) mod daemon;
pub(crate) mod elasticsearch;
pub(crate) mod events;
pub(crate) mod fake;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod jwt;
pub(crate) mod log;
pub(crate) mod nats;
pub(crate) mod prometheus;
pub(crate) mod promtool;
pub(crate) mod running;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod started;
pub(crate) mod wait;
