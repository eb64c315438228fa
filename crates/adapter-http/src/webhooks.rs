//! Twilio's two webhooks. No handler reaches a use case but through the gate.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::ports::{RawWebhook, Recorded, Refusal, StatusDelivery, StatusRecorded};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::metrics::Meters;
use crate::{ApiError, Services, body};

/// No webhook is larger: Twilio's own are a few kilobytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// `POST /webhook/twilio/sms`: somebody texted us. A repeat gets the same answer.
#[tracing::instrument(name = "http.inbound", skip_all, fields(twilio_sid = Empty, outcome = Empty))]
pub(crate) async fn inbound(
    services: web::Data<Services>,
    meters: web::Data<Meters>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let counted = Counted { meters: &meters, route: "sms" };
    let body = counted.failure(body::read(&request, payload, MAX_BODY_BYTES).await)?;
    let message = opened(&request, &body, |raw| services.gate.open_inbound(raw));
    let message = counted.opened(message)?;
    Span::current().record("twilio_sid", display(&message.twilio_sid));
    let recorded =
        counted.failure(services.inbox.receive(message).await.map_err(ApiError::from))?;
    counted.outcome(match recorded {
        Recorded::New { .. } => {
            // What follows from it is waiting in the queue.
            services.dispatcher.wake();
            "recorded"
        }
        Recorded::Duplicate { .. } => "duplicate",
    });
    Ok(empty_twiml())
}

/// `POST /webhook/twilio/status`: Twilio tells how far a message got. A repeat gets the same answer.
#[tracing::instrument(name = "http.status", skip_all, fields(twilio_sid = Empty, outcome = Empty))]
pub(crate) async fn status(
    services: web::Data<Services>,
    meters: web::Data<Meters>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let counted = Counted { meters: &meters, route: "status" };
    let body = counted.failure(body::read(&request, payload, MAX_BODY_BYTES).await)?;
    let delivery = opened(&request, &body, |raw| services.gate.open_status(raw));
    let StatusDelivery::Ours(report) = counted.opened(delivery)? else {
        counted.outcome("other_account");
        return Ok(HttpResponse::NoContent().finish());
    };
    let twilio_sid = report.twilio_sid.clone();
    Span::current().record("twilio_sid", display(&twilio_sid));
    let recorded = services.receipts.receive(report).await.map_err(ApiError::from);
    counted.outcome(match counted.failure(recorded)? {
        StatusRecorded::Applied { message, overturned, .. } => {
            if overturned {
                meters.verdict_overturned();
                tracing::warn!(message_id = %message, %twilio_sid, "given up, and sent after all");
            }
            services.dispatcher.happened();
            "applied"
        }
        StatusRecorded::Parked => "parked",
    });
    Ok(HttpResponse::NoContent().finish())
}

/// Counts how each webhook ended, and says so in its span.
struct Counted<'a> {
    meters: &'a Meters,
    route: &'static str,
}

impl Counted<'_> {
    fn outcome(&self, outcome: &'static str) {
        Span::current().record("outcome", outcome);
        self.meters.webhook(self.route, outcome);
    }

    fn failure<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        if let Err(error) = &result {
            let ours = matches!(error, ApiError::Unavailable(_) | ApiError::Internal(_));
            self.outcome(if ours { "failed" } else { "unusable" });
        }
        result
    }

    fn opened<T>(&self, result: Result<T, Refusal>) -> Result<T, ApiError> {
        result.map_err(|refusal| {
            let Refusal::Forged(mistake) = refusal else {
                tracing::warn!(reason = %refusal, "signed webhook cannot be used");
                self.outcome("unusable");
                return ApiError::UnusableWebhook(refusal);
            };
            let (likely_cause, advice) = (mistake.as_str(), mistake.advice());
            tracing::warn!(likely_cause, advice, "webhook refused: its signature does not fit");
            self.meters.signature_failure(mistake);
            self.outcome("forged");
            ApiError::Unsigned
        })
    }
}

/// Shows the gate the request as it came.
fn opened<T>(
    request: &HttpRequest,
    body: &[u8],
    open: impl FnOnce(&RawWebhook<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    open(&RawWebhook { target, headers: &headers, body })
}

/// Says nothing to the sender. Without a content type Twilio would log error 12300.
fn empty_twiml() -> HttpResponse {
    HttpResponse::Ok().content_type("text/xml").body("<Response></Response>")
}
