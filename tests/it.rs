//! The integration tests, in one binary.

mod it {
    mod api;
    mod store;
    mod support {
        pub(crate) mod log;
    }
}
