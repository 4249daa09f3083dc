//! Watchpost watches supervised processes and long-running sessions, commits every event durably and in
//! order, and delivers it.
//!
//! This is the map: the modules stand in the order in which an event flows through them, and each uses only
//! those above it. `ARCHITECTURE.md` has the arrows as a table, which a test reads, and says how the parts work.
//!
//! ```text
//! source ─┬─► ingest ─► store ─► deliver ─► sink          JetStream ─► consumer ─► cli
//! session ┘               └────► api ─► client ─► cli
//! ```
//!
//! What always holds: an event is acknowledged only after it is durable, and nobody sees it before; within a
//! stream `seq` is gapless from 1; a cursor moves only on the sink's own confirmation; state is a fold over
//! events; every queue, batch and body has a limit.
//!
//! A program that records sessions wants [`recorder`]; one that reads events out of NATS wants [`consumer`]; one
//! that asks a daemon wants [`client`].

// The event, pure: its ids, subjects, times and payloads, and its JSON.
pub mod event;

// Pure folds over events: the current state of each process, and of a session.
pub mod state;

// What an event is as a log record, a span or a metric: pure.
pub mod otel;

// Settings: YAML, environment and options to validated values; every mistake at once.
pub mod config;

// The log on disk, the truth, and the records beside it.
pub mod store;

// What was given up on, kept for a person to decide about.
pub mod dead_letter;

// The one way into the store: a bounded bus, and the threads behind it.
pub mod ingest;

// Sessions: the service through which their writers go; replay and following.
pub mod session;

// What an error says with its causes.
mod cause;

// A client of process-compose.
pub mod process_compose;

// Where events come from: polls compared with the last snapshot, the spool, JSON lines.
pub mod source;

// A recorded process-compose, played back; the standard workload of sessions.
pub mod demo;

// How long to wait after a failure.
mod backoff;

// A connection to NATS.
pub mod nats;

// A connection to Elasticsearch, and what documents need there.
pub mod elasticsearch;

// A destination: the trait with its contract, and JetStream.
pub mod sink;

// The one loop that moves events from the log to a sink.
pub mod deliver;

// Reading events out of JetStream.
pub mod consumer;

// Watchpost's own traces, logs and metrics.
pub mod telemetry;

// HTTP for readers of the log, for operators, and for the writers of sessions.
pub mod api;

// Builds everything from settings, owns every task, drains.
pub mod daemon;

// A client of that API, or of the store where no daemon runs.
pub mod client;

// Recording sessions from a Rust program.
pub mod recorder;

// Searching events by the fields of their documents.
pub mod search;

// Whether the backends have what the log has.
pub mod audit;

// The command line, one command a file.
pub mod cli;
