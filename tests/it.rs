//! The integration tests, in one binary.

// The accounts that some tests print are there to be read.
#![allow(clippy::print_stdout)]

mod it {
    mod recordings;
    mod source;
    mod store;
    mod support;
}
