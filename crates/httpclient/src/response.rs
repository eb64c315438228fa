//! An answer, read to its end.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use crate::{Error, InMemoryResult};

/// A whole answer. Its body is personal data, which its `Debug` does not show.
pub struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Response {
    pub(crate) async fn read(mut answer: reqwest::Response, limit: usize) -> InMemoryResult<Self> {
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(Error::of_reading)? {
            if body.len() + piece.len() > limit {
                return Err(Error::TooLarge { limit });
            }
            body.extend_from_slice(&piece);
        }
        let headers = std::mem::take(answer.headers_mut());
        Ok(Self { status: answer.status().as_u16(), headers, body })
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of the 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where it is none, or of another form.
    pub fn json<T: DeserializeOwned>(&self) -> InMemoryResult<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::unreadable(&error))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}
