//! Keys, and the order that they keep.

use crate::event::{Offset, StreamId};

/// `session_id:seq`, the seq in eight bytes of fixed order, so that lexical order is numeric order. No id has
/// a colon, so no stream's keys stand among another's.
pub fn event(session: &StreamId, seq: u64) -> Vec<u8> {
    let mut key = stream(session);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// What every key of a stream's events begins with.
pub(super) fn stream(session: &StreamId) -> Vec<u8> {
    let mut key = Vec::with_capacity(session.as_str().len() + 9);
    key.extend_from_slice(session.as_str().as_bytes());
    key.push(b':');
    key
}

/// The stream's id and the seq that the key of a record was made with; none where it is that of a part, or no key.
pub fn decode(key: &[u8]) -> Option<(&str, u64)> {
    let at = key.iter().position(|byte| *byte == b':')?;
    Some((std::str::from_utf8(&key[..at]).ok()?, number(&key[at + 1..])?))
}

/// The seq that a stream's key was made with.
pub(super) fn seq(key: &[u8]) -> Option<u64> {
    decode(key).map(|(_, seq)| seq)
}

/// Whether it is the key of a record of that stream, and not that of a part.
pub(super) fn is_event(session: &StreamId, key: &[u8]) -> bool {
    key.len() == session.as_str().len() + 9
}

/// An offset, in eight bytes of fixed order.
pub(super) fn offset(offset: Offset) -> Vec<u8> {
    offset.to_be_bytes().to_vec()
}

/// The number that eight bytes of fixed order stand for.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lexical_order_is_numeric_order(a in any::<u64>(), b in any::<u64>()) {
            let id = StreamId::new("s-1").expect("an id");
            prop_assert_eq!(event(&id, a).cmp(&event(&id, b)), a.cmp(&b));
            prop_assert_eq!(seq(&event(&id, a)), Some(a));
        }

        #[test]
        fn no_stream_stands_among_anothers_keys(a in "[a-z0-9][a-z0-9_=-]{0,6}", b in "[a-z0-9][a-z0-9_=-]{0,6}",
            n in any::<u64>(), m in any::<u64>()) {
            prop_assume!(a != b);
            let (x, y) = (StreamId::new(&a).expect("an id"), StreamId::new(&b).expect("an id"));
            let order = stream(&x).cmp(&stream(&y));
            prop_assert_eq!(event(&x, n).cmp(&event(&y, m)), order);
        }
    }
}
