//! Why a question brought nothing usable, and whether to ask again within seconds.

use std::time::Duration;

use domain::ports::DirectoryError;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// No answer can make us wait for longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Why one request brought nothing usable. Holds no URL and nothing of the answer's text: they are
/// personal data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the request could not be put together")]
    Unusable(#[source] reqwest::Error),
    #[error("no connection could be made")]
    NotConnected(#[source] reqwest::Error),
    #[error("no answer came in time")]
    TimedOut(#[source] reqwest::Error),
    #[error("the connection broke before there was a whole answer")]
    Broken(#[source] reqwest::Error),
    #[error("the answer has the status {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("the answer has more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer cannot be used: {0}")]
    Unreadable(&'static str),
}

impl Fault {
    pub(crate) fn of_sending(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            Self::Unusable(error)
        } else if error.is_connect() {
            Self::NotConnected(error)
        } else {
            Self::of_reading(error)
        }
    }

    pub(crate) fn of_reading(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() { Self::TimedOut(error) } else { Self::Broken(error) }
    }

    /// Whether the same request may have a better answer within seconds.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::TimedOut(_) | Self::Broken(_) => true,
            // 408 is a timeout too, seen from the other side.
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Unusable(_) | Self::TooLarge { .. } | Self::Unreadable(_) => false,
        }
    }

    /// How long the service asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What it means where asking in minutes may help.
    pub(crate) fn unavailable(self) -> DirectoryError {
        DirectoryError::Unavailable { retry_after: self.retry_after(), source: self.into() }
    }
}

impl From<Fault> for DirectoryError {
    fn from(fault: Fault) -> Self {
        if fault.is_passing() { fault.unavailable() } else { Self::Rejected(fault.into()) }
    }
}

/// `Retry-After`: seconds, or a date, which counts from the answer's own: no clock is needed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(RETRY_AFTER)?;
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(date(value)? - date(text(DATE)?)?).ok()?,
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// `Thu, 24 Aug 2023 05:01:45 GMT`.
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn how_long_to_wait_is_told_in_seconds_or_by_a_date() {
        let check = |value: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([
                (RETRY_AFTER, HeaderValue::from_str(value).unwrap()),
                (DATE, HeaderValue::from_static("Thu, 24 Aug 2023 05:01:45 GMT")),
            ]);
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value}");
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Thu, 24 Aug 2023 05:02:15 GMT", Some(30));
        check("18446744073709551615", Some(86_400));
        check("Fri, 24 Aug 2096 05:02:15 GMT", Some(86_400));
        for nothing in ["", "-1", "1.5", "soon", "Thu, 24 Aug 2023 05:01:15 GMT"] {
            check(nothing, None);
        }
    }

    #[test]
    fn without_a_date_of_its_own_an_answer_names_no_wait_by_date() {
        let value = HeaderValue::from_static("Thu, 24 Aug 2023 05:02:15 GMT");
        assert_eq!(retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)])), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
