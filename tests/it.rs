//! Every test that needs more than one module, in one binary.

// The accounts that some tests print are there to be read.
#![allow(clippy::print_stdout)]

mod it {
    mod support;

    mod alerts;
    mod api;
    mod api_sessions;
    mod arrows;
    mod audit;
    mod catalog;
    mod cli;
    mod collector;
    mod consumer;
    mod daemon;
    mod dashboards;
    mod dead_letters;
    mod delivery;
    mod demo;
    mod elasticsearch;
    mod fuzz;
    mod jetstream;
    mod jetstream_sessions;
    mod kibana;
    mod nats_auth;
    mod otlp;
    mod otlp_collector;
    mod otlp_delivery;
    mod otlp_metrics;
    mod playback;
    mod readme;
    mod readme_sessions;
    mod recorder;
    mod recordings;
    mod search;
    mod semconv;
    mod session_answers;
    mod session_fold;
    mod session_follow;
    mod session_replay;
    mod session_writer;
    mod sessions;
    mod sessions_cli;
    mod sessions_kill;
    mod sessions_outage;
    mod sessions_run;
    mod sessions_shell;
    mod sessions_store;
    mod source;
    mod source_faults;
    mod spans;
    mod spool;
    mod stack;
    mod store;
    mod telemetry;
    mod tests_readme;
    mod trimming;
    mod watch;
    mod whole_way;
}
