//! What stands behind the `?` of an address.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use domain::error::Invalid;
use domain::ports::{ConversationCursor, Cursor};
use domain::timestamp::Timestamp;
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::ApiError;
use crate::cursor::{self, Turn};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;
/// What is passed over is read all the same.
pub(crate) const MAX_OFFSET: u32 = 10_000;

/// So many characters of an unknown parameter's name are repeated to the caller.
const SHOWN_NAME: usize = 64;

const NEXT_CURSOR: &str = "must be the next_cursor of an earlier page";

/// The parameters of a request. An empty one is as good as absent.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Expects no others than the `known`: one that is misspelled would narrow nothing.
    pub(crate) fn expect(&self, known: &'static [&'static str]) -> Result<(), ApiError> {
        let mut unknown = self.0.keys().filter(|name| !known.contains(&name.as_str()));
        unknown.next().map_or(Ok(()), |name| {
            let name = name.chars().take(SHOWN_NAME).collect();
            Err(ApiError::UnknownParameter { name, known })
        })
    }

    /// One of them.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// One of them, read; `reason` says what it must be.
    pub(crate) fn read<T>(
        &self,
        field: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
        reason: &'static str,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.given(field) else {
            return Ok(None);
        };
        match read(text) {
            None => Err(Invalid { field, reason: reason.into() }),
            value => Ok(value),
        }
    }

    /// A whole number.
    pub(crate) fn number(
        &self,
        field: &'static str,
        range: RangeInclusive<u32>,
        reason: &'static str,
    ) -> Result<Option<u32>, Invalid> {
        let read = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.read(field, read, reason)
    }

    /// How many are asked for, at most.
    pub(crate) fn limit(&self) -> Result<u32, Invalid> {
        let reason = "must be a whole number from 1 to 100";
        Ok(self.number("limit", 1..=MAX_LIMIT, reason)?.unwrap_or(DEFAULT_LIMIT))
    }

    /// How many are passed over.
    pub(crate) fn offset(&self) -> Result<Option<u32>, Invalid> {
        let reason = "must be a whole number from 0 to 10000: further on, follow next_cursor";
        self.number("offset", 0..=MAX_OFFSET, reason)
    }

    /// Where an earlier page ended.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Invalid> {
        self.read("cursor", cursor::read, NEXT_CURSOR)
    }

    /// Where an earlier page of conversations ended.
    pub(crate) fn activity_cursor(&self) -> Result<Option<ConversationCursor>, Invalid> {
        self.read("cursor", cursor::read_activity, NEXT_CURSOR)
    }

    /// Where an earlier page of a thread ended or began.
    pub(crate) fn turn(&self) -> Result<Option<Turn>, Invalid> {
        let reason = "must be the next_cursor or the previous_cursor of an earlier page";
        self.read("cursor", cursor::read_turn, reason)
    }

    /// A time in the form of RFC 3339, in any offset.
    pub(crate) fn time(&self, field: &'static str) -> Result<Option<Timestamp>, Invalid> {
        self.read(field, read_time, "must be a time such as 2026-11-22T09:30:00Z (RFC 3339)")
    }
}

/// A `+` that was not escaped arrives as a blank.
fn read_time(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).ok()?;
    // Of a time in the last hours of the year 9999 there may be none in UTC.
    at.checked_to_offset(UtcOffset::UTC).map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_any_offset() {
        let expected = Timestamp::parse("2026-11-22T09:30:00.000000Z").ok();
        for text in [
            "2026-11-22T09:30:00Z",
            "2026-11-22T10:30:00+01:00",
            "2026-11-22T10:30:00 01:00",
            "2026-11-22T04:30:00.000000-05:00",
        ] {
            assert_eq!(read_time(text), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in ["", "yesterday", "2026-11-22", "1795340000", "9999-12-31T23:59:59-23:59"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
