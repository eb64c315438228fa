//! Why a request brought nothing usable: what a caller must know is whether it was sent.

use crate::Response;

/// What a request brings.
pub type InMemoryResult<T> = Result<T, Error>;

/// Why a request brought nothing usable. Holds no URL and no text of the answer: they are personal
/// data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client was made without a way out. Nothing was sent.
    #[error("this client has no transport")]
    NoTransport,
    /// The credentials cannot be written in a header. Nothing was sent.
    #[error("the credentials cannot be sent")]
    Credentials,
    /// The request could not be put together. Nothing was sent.
    #[error("the request could not be put together")]
    Unusable(#[source] reqwest::Error),
    /// There was no connection. Nothing was sent.
    #[error("no connection could be made")]
    NotConnected(#[source] reqwest::Error),
    /// It may have been received.
    #[error("no answer came in time")]
    TimedOut(#[source] reqwest::Error),
    /// It may have been received.
    #[error("the connection broke before there was a whole answer")]
    Broken(#[source] reqwest::Error),
    /// It was received.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// How many bytes an answer may have.
        limit: usize,
    },
    /// It was received, and the status is none of the 2xx.
    #[error("the answer has the status {}", .0.status())]
    NotSuccess(Box<Response>),
    /// It was received, and the answer is no JSON, or of another form.
    #[error("the answer cannot be read, from line {line}, column {column} on")]
    Unreadable {
        /// Where reading ended, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
}

impl Error {
    pub(crate) fn of_sending(error: reqwest::Error) -> Self {
        // A connection that was not made in time is both: what counts is that nothing was sent.
        if error.is_connect() {
            Self::NotConnected(error.without_url())
        } else {
            Self::of_reading(error)
        }
    }

    pub(crate) fn of_reading(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() { Self::TimedOut(error) } else { Self::Broken(error) }
    }

    /// The text of such an error repeats the value that did not fit.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unreadable { line: error.line(), column: error.column() }
    }
}
