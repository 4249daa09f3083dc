//! The keys of stored events.
#![no_main]

#[path = "../bodies/store_key.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
