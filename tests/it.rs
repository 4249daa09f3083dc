//! The integration tests, in one binary.

mod it {
    mod support;

    mod consumer;
    mod jetstream;
    mod store;
}
