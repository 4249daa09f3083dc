//! Time as OTLP has it: nanoseconds since 1970, without a sign.

use crate::event::Timestamp;

/// The latest time that every reader of OTLP takes, in milliseconds: 64 bits of nanoseconds with a sign, in 2262.
const LATEST: i64 = i64::MAX / 1_000_000;

/// Whether OTLP can say that time; 1970 itself means "unknown" there.
pub(super) fn can_be_told(time: Timestamp) -> bool {
    (1..=LATEST).contains(&time.as_millis())
}

/// A time in nanoseconds: 0, "unknown", for one before 1970, and the latest that there is for one behind it.
pub(super) fn nanos(time: Timestamp) -> u64 {
    time.as_millis().clamp(0, LATEST).unsigned_abs() * 1_000_000
}
