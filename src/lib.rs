//! Watchpost watches supervised processes and long-running sessions, commits every event durably and in
//! order, and delivers it. The modules stand in the order in which an event flows through them.

pub mod api;
mod backoff;
pub mod cli;
pub mod client;
pub mod config;
pub mod consumer;
pub mod daemon;
pub mod deliver;
pub mod demo;
pub mod event;
pub mod ingest;
pub mod nats;
pub mod process_compose;
pub mod sink;
pub mod source;
pub mod state;
pub mod store;
