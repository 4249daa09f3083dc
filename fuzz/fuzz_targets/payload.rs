//! The payloads of the catalog.
#![no_main]

#[path = "../bodies/payload.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
