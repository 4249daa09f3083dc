//! The body of `POST /api/sessions/{id}/events` as JSON lines.
#![no_main]

#[path = "../bodies/jsonl_body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
