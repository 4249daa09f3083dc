//! The keys of stored events: what is read out of a key makes the same key again, and keys sort as what they say.

use watchpost::event::StreamId;
use watchpost::store::{decode_key, encode_key};

/// Takes the bytes as one key, and as two halves.
pub(super) fn check(bytes: &[u8]) {
    let (left, right) = bytes.split_at(bytes.len() / 2);
    decoded(bytes);
    if let (Some(left), Some(right)) = (decoded(left), decoded(right)) {
        let keys = encode_key(&left.0, left.1).cmp(&encode_key(&right.0, right.1));
        let streams = format!("{}:", left.0).cmp(&format!("{}:", right.0));
        assert_eq!(keys, streams.then(left.1.cmp(&right.1)), "{left:?} and {right:?}");
    }
}

fn decoded(key: &[u8]) -> Option<(StreamId, u64)> {
    let (stream, seq) = decode_key(key)?;
    let stream = StreamId::new(stream).ok()?;
    assert_eq!(encode_key(&stream, seq), key);
    Some((stream, seq))
}
