//! What surrounds every request: its id, its span, one log line for a failure, and the one shape
//! of errors, also of panics.

use std::fmt;
use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use domain::error::causes;
use domain::timestamp::Timestamp;
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use trace_context::TraceParent;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use utoipa::ToSchema;

use crate::cors::Cors;
use crate::metrics::{Metered, method_of};
use crate::openapi::words;
use crate::request_id::RequestId;
use crate::{ApiError, Services};

/// The middleware: `App::wrap(middleware::from_fn(envelope))`.
///
/// # Errors
/// Those of an inner middleware, and an answer for a handler that panicked; errors of handlers
/// become answers here.
pub async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let services = request.app_data::<web::Data<Services>>().cloned();
    let now = || services.as_ref().map_or(Timestamp::EPOCH, |services| services.clock.now());
    let make = || services.as_ref().map_or_else(String::new, |s| s.ids.next().to_string());
    let id = RequestId::settle(&request, make);
    let meter = Metered::begin(&request);
    let span = span_of(&request, &id, meter.route());
    request.extensions_mut().insert(RequestSpan(span.clone()));
    let running = services.as_ref().map(|services| services.traffic.begin());
    let cors = services.as_ref().map(|services| services.cors.clone()).unwrap_or_default();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let answer = async {
        if let Some(allowed) = cors.preflight(&request) {
            return Ok(request.into_response(allowed));
        }
        // Handlers and extractors give their errors as answers; nothing else is in between.
        let handled = AssertUnwindSafe(async { next.call(request).await }).catch_unwind();
        let Ok(handled) = handled.await else {
            let site = (cors.clone(), origin.clone());
            return Err(panicked(&id, now(), site));
        };
        let mut answer = handled?.map_into_boxed_body();
        if answer.response().error().is_some() {
            answer = enclose(answer, &id, now());
        }
        tell(answer.status());
        tracing::debug!("answered");
        Ok(answer)
    };
    let answer = answer.instrument(span).await;
    meter.end(answer.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, ServiceResponse::status));
    let mut answer = answer?;
    if running.is_some_and(|running| running.is_last_of_its_connection()) {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = answer.headers_mut();
    id.write_to(headers);
    protect(headers);
    cors.write_to(headers, origin.as_ref());
    Ok(answer)
}

/// The span of a request, a part of the caller's trace where it has one.
fn span_of(request: &ServiceRequest, id: &RequestId, route: &str) -> Span {
    let method = method_of(request);
    let span = tracing::info_span!(
        "http.request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        request_id = %id.0,
        trace_id = Empty,
        method,
        route,
        status = Empty,
        api_key = Empty,
        twilio_sid = Empty,
        phone = Empty,
        conversation_id = Empty,
        message_id = Empty,
    );
    let sent = request.headers().get(trace_context::HEADER).and_then(|value| value.to_str().ok());
    if let Some(parent) = sent.and_then(TraceParent::parse) {
        parent.adopt(&span);
    }
    if let Some(own) = TraceParent::of(&span) {
        span.record("trace_id", own.trace_id());
    }
    span
}

/// Says in the current span how it ended.
fn tell(status: StatusCode) {
    let span = Span::current();
    span.record("status", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a whole request, for what is found out further in.
#[derive(Clone)]
pub(crate) struct RequestSpan(Span);

impl RequestSpan {
    /// Adds what was found out.
    pub(crate) fn record(request: &HttpRequest, field: &str, value: &str) {
        if let Some(Self(span)) = request.extensions().get() {
            span.record(field, value);
        }
    }
}

/// What browsers and caches must not do with an answer, unless its handler knows better.
const PROTECTION: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
];

fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// The request went down with its handler, and an answer needs one: so this is an error to whatever
/// is outside, which makes the answer of it.
fn panicked(id: &RequestId, now: Timestamp, site: (Cors, Option<HeaderValue>)) -> Error {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    tell(status);
    // What it panicked with is not repeated: it may be about a person.
    tracing::error!("a handler panicked");
    let error = ApiError::Internal("a handler panicked".into());
    Panicked { id: id.clone(), site, envelope: Envelope::new(&error, id, now) }.into()
}

/// A handler panicked.
#[derive(Debug)]
struct Panicked {
    id: RequestId,
    /// Which sites' pages may read it, and which one's asked.
    site: (Cors, Option<HeaderValue>),
    envelope: Envelope,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.envelope.error.message)
    }
}

impl ResponseError for Panicked {
    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::InternalServerError().json(&self.envelope);
        let (headers, (cors, origin)) = (answer.headers_mut(), &self.site);
        self.id.write_to(headers);
        protect(headers);
        cors.write_to(headers, origin.as_ref());
        answer
    }
}

/// Puts an error into its envelope and writes its log line.
fn enclose(answer: ServiceResponse, id: &RequestId, now: Timestamp) -> ServiceResponse {
    let status = answer.status();
    let framework = ApiError::Other(status);
    let error = answer.response().error().and_then(|error| error.as_error()).unwrap_or(&framework);
    log(error);
    let mut enclosed = HttpResponse::build(status).json(Envelope::new(error, id, now));
    if let Some((name, value)) = hint(error) {
        enclosed.headers_mut().insert(name, value);
    }
    answer.into_response(enclosed)
}

/// The header with which HTTP wants an error to say what to do.
fn hint(error: &ApiError) -> Option<(HeaderName, HeaderValue)> {
    let fixed = HeaderValue::from_static;
    match error {
        ApiError::Unauthorized | ApiError::Closed => {
            Some((header::WWW_AUTHENTICATE, fixed("Bearer")))
        }
        ApiError::Unavailable(_) => Some((header::RETRY_AFTER, fixed("1"))),
        ApiError::TooManyRequests { wait } => {
            // Whole seconds, never too few.
            Some((header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1))))
        }
        ApiError::MethodNotAllowed { allowed } => Some((header::ALLOW, fixed(allowed))),
        _ => None,
    }
}

/// Failures on our side, each once, with the whole chain of causes.
fn log(error: &ApiError) {
    let (ApiError::Unavailable(source) | ApiError::Internal(source)) = error else {
        return;
    };
    tracing::error!(code = error.code(), error = causes(&**source), "request failed");
}

/// What every error looks like.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Envelope {
    /// What went wrong.
    error: Body,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorBody)]
pub(crate) struct Body {
    /// For programs.
    #[schema(schema_with = words::error_code)]
    code: &'static str,
    /// For people. Never holds a number, a text or a cause inside the service.
    message: String,
    /// What a program can make use of: `field` and `reason`, `existing_message_id`, or `category`,
    /// `status_code`, `provider_code`, `correlation_id` and `message_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::object)]
    details: Option<Value>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// The id of the request: the caller's `X-Request-ID`, or ours.
    #[serde(rename = "requestId")]
    request_id_camel: String,
    /// The same.
    request_id: String,
}

impl Envelope {
    fn new(error: &ApiError, id: &RequestId, now: Timestamp) -> Self {
        Self {
            error: Body {
                code: error.code(),
                message: error.to_string(),
                details: details(error, id),
                timestamp: now,
                request_id_camel: id.0.clone(),
                request_id: id.0.clone(),
            },
        }
    }
}

/// What a program can make use of, beside the words.
fn details(error: &ApiError, id: &RequestId) -> Option<Value> {
    Some(match error {
        ApiError::Invalid(invalid) => json!({ "field": invalid.field, "reason": invalid.reason }),
        ApiError::UnknownField { field, known } => {
            json!({ "field": field, "reason": "is not known", "known_fields": known })
        }
        ApiError::UnknownParameter { name, known } => {
            json!({ "field": name, "reason": "is not known", "known_parameters": known })
        }
        ApiError::Duplicate { existing } => {
            json!({ "existing_message_id": existing.to_string() })
        }
        ApiError::SendFailed(failure) => json!({
            "category": failure.category.as_str(),
            "status_code": failure.status_code,
            "provider_code": failure.provider_code,
            "correlation_id": id.0,
            "message_id": failure.message.to_string(),
        }),
        _ => return None,
    })
}
