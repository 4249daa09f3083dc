//! Watchpost watches supervised processes and long-running sessions, commits every event durably and in
//! order, and delivers it. The modules stand in the order in which an event flows through them.

mod backoff;
pub mod config;
pub mod consumer;
pub mod deliver;
pub mod event;
pub mod ingest;
pub mod nats;
pub mod sink;
pub mod store;
