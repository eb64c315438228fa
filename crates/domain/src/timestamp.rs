//! Points in time, as every store can keep them.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// A point in time: UTC, whole microseconds.
///
/// PostgreSQL keeps microseconds, so nothing finer exists here: what is written is what is read.
/// Shown as `2026-11-22T09:44:51.000123Z`: fixed width, so that the text sorts as the time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

const FORMAT: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The text is not a time in the form `2026-11-22T09:44:51.000123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UTC time with six decimals")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(OffsetDateTime::UNIX_EPOCH);

    /// This many microseconds after the start of 1970; `None` outside the years that can be kept.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok().map(Self)
    }

    /// Microseconds since the start of 1970.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        // The years that `time` knows fit in 64 bits of microseconds.
        i64::try_from(self.0.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
    }

    /// This time moved forward; the last time that can be kept where that is too far.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = time::Duration::try_from(wait).unwrap_or(time::Duration::MAX);
        Self::from(self.0.saturating_add(wait))
    }

    /// This time moved back; the first time that can be kept where that is too far.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = time::Duration::try_from(span).unwrap_or(time::Duration::MAX);
        Self::from(self.0.saturating_sub(span))
    }

    /// The second that this time is in.
    #[must_use]
    pub fn whole_second(self) -> Self {
        Self(self.0.replace_nanosecond(0).unwrap_or(self.0))
    }

    /// The time since `earlier`; none where that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or_default()
    }

    /// The fixed-width text, read back.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] for any other form.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        time::PrimitiveDateTime::parse(text, FORMAT)
            .map(|at| Self(at.assume_utc()))
            .map_err(|_| InvalidTimestamp)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC);
        let whole = at.microsecond() * 1000;
        Self(at.replace_nanosecond(whole).unwrap_or(at))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(FORMAT).map_err(|_| fmt::Error)?)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_cut_off() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
        assert_eq!(Timestamp::from(at).to_string(), "2023-11-14T22:13:20.123456Z");
    }

    #[test]
    fn the_text_is_read_back_as_the_same_time() {
        let at = Timestamp::from_micros(1_700_000_000_000_001).unwrap();
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        assert_eq!(Timestamp::from_micros(at.as_micros()), Some(at));
    }

    #[test]
    fn the_second_is_the_one_that_the_time_is_in() {
        for (micros, second) in [(0, 0), (1_999_999, 1_000_000), (-1, -1_000_000)] {
            let at = Timestamp::from_micros(micros).unwrap().whole_second();
            assert_eq!(at.as_micros(), second);
        }
    }

    #[test]
    fn a_wait_moves_the_time_forward() {
        let at = Timestamp::EPOCH.after(Duration::from_millis(1500));
        assert_eq!(at.to_string(), "1970-01-01T00:00:01.500000Z");
    }
}
