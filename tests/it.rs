//! Every test that needs more than one module, in one binary.

mod it {
    mod support;

    mod api;
    mod arrows;
    mod cli;
    mod consumer;
    mod daemon;
    mod jetstream;
    mod store;
    mod watch;
}
