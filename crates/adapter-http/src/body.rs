//! Reading a request's body, within the limits of size and time.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, web};

use crate::ApiError;

/// Twilio gives up on an answer after 15 seconds, and our own callers after 30: a body that takes
/// longer than this is none of theirs.
const DEADLINE: Duration = Duration::from_secs(10);

/// The whole body, of at most so many bytes.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
) -> Result<web::Bytes, ApiError> {
    let identity = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !request.headers().get_all(header::CONTENT_ENCODING).all(identity) {
        return Err(ApiError::UnsupportedMediaType("compressed bodies are not read here"));
    }
    match tokio::time::timeout(DEADLINE, payload.to_bytes_limited(most)).await {
        Err(_) => Err(ApiError::SlowBody),
        Ok(Err(_)) => Err(ApiError::TooLarge { most }),
        Ok(Ok(Err(_))) => Err(ApiError::BrokenBody),
        Ok(Ok(Ok(body))) => Ok(body),
    }
}
