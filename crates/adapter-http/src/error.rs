//! Everything that an endpoint can answer instead of what was asked for.

use std::time::Duration;

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use domain::error::{Error, Invalid};
use domain::message::MessageId;
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
    /// There are no keys, and the request is not from this machine.
    #[error(
        "without API_KEYS this service answers its own machine only, asked for as localhost or \
         127.0.0.1 by nobody in between, and only while PUBLIC_BASE_URL is a loopback address: make a \
         key with `sms-foundation key new`, or set API_AUTH=off in a \
         closed network"
    )]
    Closed,
    /// More requests than the setting `RATE_LIMIT` allows.
    #[error("too many requests: wait as long as Retry-After says")]
    TooManyRequests {
        /// How long until the next one.
        wait: Duration,
    },
    /// Good credentials that do not open this.
    #[error("this API key lacks the scope `{0}`")]
    Forbidden(&'static str),
    /// A webhook that is not proven to be Twilio's.
    #[error("the X-Twilio-Signature header is missing or does not fit this request")]
    Unsigned,
    /// A webhook of Twilio's that cannot be used.
    #[error("{0}")]
    UnusableWebhook(Refusal),
    /// The body is larger than any that is read here.
    #[error("the body is larger than {most} bytes")]
    TooLarge {
        /// The most that is read.
        most: usize,
    },
    /// The body did not arrive whole.
    #[error("the body did not arrive whole: send it again")]
    BrokenBody,
    /// The body took too long to arrive.
    #[error("the body took too long to arrive")]
    SlowBody,
    /// The body is in a form that is not read here.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// The body is not JSON.
    #[error("the body is not JSON: look at line {line}, column {column}")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// The body has a field that means nothing here.
    #[error("`{field}` is no field of this request; its fields are: {}", known.join(", "))]
    UnknownField {
        /// Its name, clipped.
        field: String,
        /// The names that mean something.
        known: &'static [&'static str],
    },
    /// The request has a parameter that means nothing here.
    #[error("`{name}` is no parameter of this request; its parameters are: {}", known.join(", "))]
    UnknownParameter {
        /// Its name, clipped.
        name: String,
        /// The names that mean something.
        known: &'static [&'static str],
    },
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
    /// As things stand it cannot be done: why not.
    #[error("{0}")]
    Refused(&'static str),
    /// Somebody else changed it since the caller read it.
    #[error("it was changed meanwhile: read it again, and send its new ETag as If-Match")]
    Outdated,
    /// The idempotency key belongs to another request.
    #[error("this Idempotency-Key belongs to another request")]
    Duplicate {
        /// What that one made.
        existing: MessageId,
    },
    /// The text will not be sent.
    #[error("{}", .0.explanation)]
    SendFailed(Box<SendFailure>),
    /// There is no account to send from.
    #[error(
        "sending is not configured: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and \
         TWILIO_PHONE_NUMBER"
    )]
    SendingNotConfigured,
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

/// Why a text will not be sent.
#[derive(Debug)]
pub struct SendFailure {
    /// Which.
    pub message: MessageId,
    /// In plain words.
    pub explanation: String,
    /// What the caller can do.
    pub category: Category,
    /// The HTTP status of Twilio's last answer.
    pub status_code: Option<u16>,
    /// Twilio's error code in it.
    pub provider_code: Option<String>,
}

/// What can be done about a text that will not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Nothing: the same text will be refused again.
    Permanent,
    /// Ask again.
    Transient,
    /// Ask again, later: we have tried for as long as the settings allow.
    Exhausted,
    /// Ask again if a second text in rare cases does no harm: nobody knows why the first has left
    /// no trace.
    Unknown,
}

impl Category {
    /// The word of the wire contracts, section 1.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Exhausted => "exhausted",
            Self::Unknown => "unknown",
        }
    }
}

/// Every word of [`ApiError::code`].
pub(crate) const CODES: [&str; 8] = [
    "sms.validation_error",
    "sms.idempotent_duplicate",
    "sms.external_failed",
    "sms.not_found",
    "sms.unauthorized",
    "sms.forbidden",
    "sms.unavailable",
    "sms.internal",
];

impl ApiError {
    /// The word of the wire contracts, section 1.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_)
            | Self::UnusableWebhook(_)
            | Self::TooLarge { .. }
            | Self::NotJson { .. }
            | Self::NotAnObject
            | Self::UnknownField { .. }
            | Self::UnknownParameter { .. }
            | Self::Refused(_)
            | Self::Outdated
            | Self::BrokenBody
            | Self::SlowBody
            | Self::UnsupportedMediaType(_)
            | Self::MethodNotAllowed { .. } => "sms.validation_error",
            Self::Unauthorized | Self::Closed => "sms.unauthorized",
            Self::Forbidden(_) | Self::Unsigned => "sms.forbidden",
            Self::NotFound(_) | Self::NoSuchPath => "sms.not_found",
            Self::Duplicate { .. } => "sms.idempotent_duplicate",
            Self::SendFailed(_) => "sms.external_failed",
            Self::SendingNotConfigured | Self::Unavailable(_) | Self::TooManyRequests { .. } => {
                "sms.unavailable"
            }
            Self::Other(status) if status.is_client_error() => "sms.validation_error",
            Self::Internal(_) | Self::Other(_) => "sms.internal",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_)
            | Self::BrokenBody
            | Self::NotJson { .. }
            | Self::NotAnObject
            | Self::UnknownField { .. }
            | Self::UnknownParameter { .. }
            | Self::UnusableWebhook(Refusal::NoMessageSid) => StatusCode::BAD_REQUEST,
            Self::UnusableWebhook(Refusal::NotAForm) | Self::UnsupportedMediaType(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Unauthorized | Self::Closed => StatusCode::UNAUTHORIZED,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Outdated => StatusCode::PRECONDITION_FAILED,
            Self::Forbidden(_) | Self::Unsigned | Self::UnusableWebhook(Refusal::Forged(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound(_) | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(_) | Self::Duplicate { .. } => StatusCode::CONFLICT,
            Self::SendFailed(failure) => match failure.category {
                Category::Permanent => StatusCode::UNPROCESSABLE_ENTITY,
                Category::Transient | Category::Exhausted | Category::Unknown => {
                    StatusCode::BAD_GATEWAY
                }
            },
            Self::SendingNotConfigured | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
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
            Error::IdempotentDuplicate { existing } => Self::Duplicate { existing },
            Error::External(failure) if failure.temporary => Self::Unavailable(failure.source),
            Error::External(failure) => Self::Internal(failure.source),
            Error::NotFound(thing) => Self::NotFound(thing),
            Error::Refused(why) => Self::Refused(why),
        }
    }
}
