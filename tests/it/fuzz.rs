//! The fuzz targets over their committed corpus; `scripts/fuzz.sh` runs them at length.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/bodies/jsonl_body.rs"]
mod jsonl_body;
#[path = "../../fuzz/bodies/payload.rs"]
mod payload;
#[path = "../../fuzz/bodies/session_fold.rs"]
mod session_fold;
#[path = "../../fuzz/bodies/store_key.rs"]
mod store_key;

/// Runs a target's body over each file of its corpus.
fn over_the_corpus(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(&corpus).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target}: only {} files", files.len());
    for file in files {
        let bytes = fs::read(&file).expect("bytes");
        // What fails is named: a panic within says nothing of the file.
        let run = std::panic::catch_unwind(|| body(&bytes));
        assert!(run.is_ok(), "{}: see above", file.display());
    }
}

#[test]
fn any_jsonl_body_is_read_or_told_what_is_wrong() {
    over_the_corpus("jsonl_body", jsonl_body::check);
}

#[test]
fn any_payload_is_read_as_far_as_it_can_be() {
    over_the_corpus("payload", payload::check);
}

#[test]
fn any_events_are_folded_the_same_over_a_snapshot() {
    over_the_corpus("session_fold", session_fold::check);
}

#[test]
fn any_key_is_decoded_or_is_none() {
    over_the_corpus("store_key", store_key::check);
}

#[test]
fn every_fuzz_target_is_run_here() {
    let targets = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets")).expect("targets");
    let mut targets: Vec<_> = targets.map(|file| file.expect("a file").file_name()).collect();
    targets.sort();
    assert_eq!(targets, ["jsonl_body.rs", "payload.rs", "session_fold.rs", "store_key.rs"]);
}
