//! Time as every event has it: UTC, in milliseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Invalid;

/// Milliseconds since the Unix epoch, UTC; written as RFC 3339 with exactly three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present, by the wall clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// From milliseconds since the epoch; what RFC 3339 cannot write (before year -9999 or after 9999) is
    /// brought to the nearest time that it can.
    pub fn from_millis(millis: i64) -> Self {
        let least = jiff::Timestamp::MIN.as_millisecond();
        let most = jiff::Timestamp::MAX.as_millisecond();
        Self(millis.clamp(least, most))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by so many milliseconds (earlier when negative).
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// The UTC day: year, month and day of the month.
    pub fn date(self) -> (i16, i8, i8) {
        let date = jiff::tz::TimeZone::UTC.to_datetime(self.inner()).date();
        (date.year(), date.month(), date.day())
    }

    fn inner(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.inner())
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;
    /// Any RFC 3339 time with its offset; what is finer than a millisecond is cut off.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| Invalid::new("ts", text, "an RFC 3339 time such as 2026-01-31T12:00:00.000Z"))?;
        Ok(Self(time.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, written: &str) {
        assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()).as_deref(), Ok(written), "{text}");
    }

    #[test]
    fn is_utc_with_exactly_three_decimals() {
        check("2025-10-16T09:53:31Z", "2025-10-16T09:53:31.000Z");
        check("2025-10-16T11:53:31.4569+02:00", "2025-10-16T09:53:31.456Z");
        check("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_time_that_is_none_names_its_field() {
        for text in ["", "yesterday", "2025-10-16", "2025-10-16T09:53:31"] {
            let error = text.parse::<Timestamp>().expect_err(text).to_string();
            assert!(error.contains("ts"), "{error}");
        }
    }
}
