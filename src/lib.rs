//! Watchpost watches supervised processes and long-running sessions, commits every event durably and in
//! order, and delivers it. The modules stand in the order in which an event flows through them.

mod backoff;
pub mod config;
pub mod consumer;
pub mod deliver;
pub mod demo;
pub mod event;
pub mod ingest;
pub mod nats;
pub mod process_compose;
pub mod sink;
pub mod source;
pub mod state;

pub mod config;

pub mod store;

pub mod ingest;

pub mod process_compose;

pub mod source;

pub mod demo;

mod backoff;

pub mod nats;

pub mod sink;

pub mod deliver;

pub mod consumer;

pub mod api;

pub mod daemon;

pub mod client;

pub mod cli;
