//! The integration tests, in one binary.

mod it {
    mod support;

    mod consumer;
    mod delivery;
    mod jetstream;
    mod nats_auth;
    mod store;
}
