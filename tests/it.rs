//! The integration tests, in one binary.

mod it {
    mod support;

    mod jetstream;
    mod store;
}
