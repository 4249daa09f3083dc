//! The integration tests, in one binary.

// The accounts that some tests print are there to be read.
#![allow(clippy::print_stdout)]

mod it {
    mod support;

    mod consumer;
    mod delivery;
    mod jetstream;
    mod nats_auth;
    mod playback;
    mod recordings;
    mod source;
    mod source_faults;
    mod store;
}
