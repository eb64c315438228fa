//! What surrounds every request: its id, its span, one log line for a failure, and the one shape
//! of errors.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use domain::timestamp::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::Instrument;

use crate::request_id::{self, RequestId};
use crate::{ApiError, Services};

/// The middleware: `App::wrap(middleware::from_fn(envelope))`.
///
/// # Errors
/// Those of an inner middleware; errors of handlers become answers here.
pub async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let services = request.app_data::<web::Data<Services>>().cloned();
    let make = || services.as_ref().map_or_else(String::new, |s| s.ids.next().to_string());
    let id = RequestId::settle(&request, make);
    let span = tracing::info_span!(
        "http.request",
        request_id = %id.0,
        method = %request.method(),
        route = tracing::field::Empty,
        status = tracing::field::Empty,
    );
    let answer = async {
        // Handlers and extractors give their errors as answers; nothing else is in between.
        let mut answer = next.call(request).await?.map_into_boxed_body();
        if answer.response().error().is_some() {
            let now = services.as_ref().map_or(Timestamp::EPOCH, |services| services.clock.now());
            answer = enclose(answer, &id, now);
        }
        let current = tracing::Span::current();
        // The route's template: a path can hold a number.
        current.record("route", answer.request().match_pattern().unwrap_or_default());
        current.record("status", answer.status().as_u16());
        tracing::debug!("answered");
        Ok::<_, Error>(answer)
    };
    let mut answer = answer.instrument(span).await?;
    if let Ok(value) = HeaderValue::try_from(id.0) {
        answer.headers_mut().insert(HeaderName::from_static(request_id::HEADER), value);
    }
    Ok(answer)
}

/// Puts an error into its envelope and writes its log line.
fn enclose(answer: ServiceResponse, id: &RequestId, now: Timestamp) -> ServiceResponse {
    let status = answer.status();
    let framework = ApiError::Other(status);
    let error = answer.response().error().and_then(|error| error.as_error()).unwrap_or(&framework);
    log(error);
    let mut enclosed = HttpResponse::build(status).json(Envelope::new(error, id, now));
    if let Some((name, value)) = hint(error) {
        enclosed.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.into_response(enclosed)
}

/// The header with which HTTP wants an error to say what to do.
fn hint(error: &ApiError) -> Option<(HeaderName, &'static str)> {
    match error {
        ApiError::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
        ApiError::Unavailable(_) => Some((header::RETRY_AFTER, "1")),
        ApiError::MethodNotAllowed { allowed } => Some((header::ALLOW, allowed)),
        _ => None,
    }
}

/// Failures on our side, each once, with the whole chain of causes.
fn log(error: &ApiError) {
    let (ApiError::Unavailable(source) | ApiError::Internal(source)) = error else {
        return;
    };
    let mut chain = source.to_string();
    let mut cause = source.source();
    while let Some(inner) = cause {
        chain.push_str(": ");
        chain.push_str(&inner.to_string());
        cause = inner.source();
    }
    tracing::error!(code = error.code(), error = chain, "request failed");
}

/// `{"error": {"code", "message", "details"?, "timestamp", "requestId", "request_id"}}`
#[derive(Serialize)]
struct Envelope {
    error: Body,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Body {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    timestamp: Timestamp,
    #[serde(rename = "requestId")]
    request_id_camel: String,
    request_id: String,
}

impl Envelope {
    fn new(error: &ApiError, id: &RequestId, now: Timestamp) -> Self {
        let details = match error {
            ApiError::Invalid(invalid) => {
                Some(json!({ "field": invalid.field, "reason": invalid.reason }))
            }
            _ => None,
        };
        Self {
            error: Body {
                code: error.code(),
                message: error.to_string(),
                details,
                timestamp: now,
                request_id_camel: id.0.clone(),
                request_id: id.0.clone(),
            },
        }
    }
}
