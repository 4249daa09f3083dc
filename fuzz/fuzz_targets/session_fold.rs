//! The fold of a session's events.
#![no_main]

#[path = "../bodies/session_fold.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
