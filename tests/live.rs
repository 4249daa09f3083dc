//! What needs servers that no registry carries: the source against a real process-compose, which
//! `PROCESS_COMPOSE_BIN` names, and spans in a real Tempo, which `TEMPO_BIN` names.
//! Not among the tests of `make test`; `make live` runs them.

// The accounts that the tests print are there to be read.
#![allow(clippy::print_stdout)]

mod live {
    mod run;
    mod supervisor;
    mod tempo;
}

// These suites use a part of each.
#[allow(dead_code)]
#[path = "it/support"]
mod support {
    pub(crate) mod account;
    pub(crate) mod collector;
    pub(crate) mod daemon;
    pub(crate) mod http;
    pub(crate) mod lag;
    pub(crate) mod log;
    pub(crate) mod otlp_json;
    pub(crate) mod port;
    pub(crate) mod running;
    pub(crate) mod span_lines;
    pub(crate) mod started;
    pub(crate) mod told;
    pub(crate) mod wait;
}
