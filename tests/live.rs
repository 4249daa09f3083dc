//! The source against a real process-compose, which no registry carries: `PROCESS_COMPOSE_BIN` names one.
//! Not among the tests of `make test`; `make live` runs them.

// The accounts that the tests print are there to be read.
#![allow(clippy::print_stdout)]

mod live {
    mod run;
    mod supervisor;
}

#[path = "it/support"]
mod support {
    pub(crate) mod account;
    pub(crate) mod log;
    pub(crate) mod running;
    pub(crate) mod wait;
}
