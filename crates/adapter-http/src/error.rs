//! Everything that an endpoint can answer instead of what was asked for.

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use domain::error::{Error, Invalid};
use domain::ports::{Refusal, StoreError};

/// A refused or failed request. `Display` is what the caller may read; the cause is reached
/// through `source` and goes to the log only.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is wrong: which field, and what to change.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No credentials, or unknown ones.
    #[error("send a valid API key: `Authorization: Bearer <key>`")]
    Unauthorized,
    /// Good credentials that do not open this.
    #[error("this API key lacks the scope `{0}`")]
    Forbidden(&'static str),
    /// A webhook that is not proven to be Twilio's.
    #[error("the X-Twilio-Signature header is missing or does not fit this request")]
    Unsigned,
    /// A webhook of Twilio's that cannot be used.
    #[error("{0}")]
    UnusableWebhook(Refusal),
    /// The body is larger than any webhook.
    #[error("the body is larger than {} bytes", crate::MAX_BODY_BYTES)]
    TooLarge,
    /// The body did not arrive whole.
    #[error("the body did not arrive whole: send it again")]
    BrokenBody,
    /// The body took too long to arrive.
    #[error("the body took too long to arrive")]
    SlowBody,
    /// The body is in a form that is not read here.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// What was asked for is not there.
    #[error("there is no such {0}")]
    NotFound(domain::error::Thing),
    /// Nothing lives at this path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// The path is right, the method is not.
    #[error("this path answers {allowed} only")]
    MethodNotAllowed {
        /// The method that it answers.
        allowed: &'static str,
    },
    /// The request was taken in before.
    #[error("this request was already taken in")]
    Duplicate,
    /// The same request may work later.
    #[error("the service cannot answer now: try again")]
    Unavailable(#[source] domain::error::BoxError),
    /// Our own fault.
    #[error("something went wrong on our side")]
    Internal(#[source] domain::error::BoxError),
    /// A fault of the framework's, already put as a status.
    #[error("{}", .0.canonical_reason().unwrap_or("the request failed"))]
    Other(StatusCode),
}

impl ApiError {
    /// The word of the wire contracts, section 1.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_)
            | Self::UnusableWebhook(_)
            | Self::TooLarge
            | Self::BrokenBody
            | Self::SlowBody
            | Self::UnsupportedMediaType(_)
            | Self::MethodNotAllowed { .. } => "sms.validation_error",
            Self::Unauthorized => "sms.unauthorized",
            Self::Forbidden(_) | Self::Unsigned => "sms.forbidden",
            Self::NotFound(_) | Self::NoSuchPath => "sms.not_found",
            Self::Duplicate => "sms.idempotent_duplicate",
            Self::Unavailable(_) => "sms.unavailable",
            Self::Other(status) if status.is_client_error() => "sms.validation_error",
            Self::Internal(_) | Self::Other(_) => "sms.internal",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::BrokenBody | Self::UnusableWebhook(Refusal::NoMessageSid) => {
                StatusCode::BAD_REQUEST
            }
            Self::UnusableWebhook(Refusal::NotAForm) | Self::UnsupportedMediaType(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Unsigned | Self::UnusableWebhook(Refusal::Forged(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound(_) | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Duplicate => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Other(status) => *status,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => Self::Unavailable(source),
            StoreError::Rejected(source) => Self::Internal(source),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Validation(invalid) => Self::Invalid(invalid),
            Error::IdempotentDuplicate { .. } => Self::Duplicate,
            Error::External(failure) if failure.temporary => Self::Unavailable(failure.source),
            Error::External(failure) => Self::Internal(failure.source),
            Error::NotFound(thing) => Self::NotFound(thing),
        }
    }
}
