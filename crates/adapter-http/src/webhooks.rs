//! Twilio's two webhooks. No handler reaches a use case but through the gate.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::error::causes;
use domain::phone::masked;
use domain::ports::{RawWebhook, Recorded, Refusal, StatusDelivery, StatusRecorded};
use tracing::Span;
use tracing::field::Empty;

use crate::envelope::RequestSpan;
use crate::metrics::Meters;
use crate::{ApiError, Services, body, origin};

/// No webhook is larger: Twilio's own are a few kilobytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// `POST /webhook/twilio/sms`: somebody texted us. A repeat gets the same answer.
#[tracing::instrument(name = "http.inbound", skip_all, fields(outcome = Empty))]
pub(crate) async fn inbound(
    services: web::Data<Services>,
    meters: web::Data<Meters>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let counted = Counted { meters: &meters, route: "sms" };
    let body = counted.failure(body::read(&request, payload, MAX_BODY_BYTES).await)?;
    let message = shown(&request, &body, |raw| services.gate.open_inbound(raw));
    suspect(&services, &request, &body, &message).await;
    let message = counted.opened(message)?;
    RequestSpan::record(&request, "twilio_sid", message.twilio_sid.as_str());
    RequestSpan::record(&request, "phone", &masked(message.from_number.as_str()));
    let inbox = services.inbox.caused_by(origin::of(&request));
    let recorded = counted.failure(inbox.receive(message).await.map_err(ApiError::from))?;
    RequestSpan::record(&request, "message_id", &recorded.message().to_string());
    counted.outcome(match recorded {
        Recorded::New { has_jobs, .. } => {
            if has_jobs {
                services.dispatcher.wake();
            } else {
                services.dispatcher.happened();
            }
            "recorded"
        }
        Recorded::Duplicate { .. } => "duplicate",
    });
    Ok(empty_twiml())
}

/// `POST /webhook/twilio/status`: Twilio tells how far a message got. A repeat gets the same answer.
#[tracing::instrument(name = "http.status", skip_all, fields(outcome = Empty))]
pub(crate) async fn status(
    services: web::Data<Services>,
    meters: web::Data<Meters>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let counted = Counted { meters: &meters, route: "status" };
    let body = counted.failure(body::read(&request, payload, MAX_BODY_BYTES).await)?;
    let delivery = shown(&request, &body, |raw| services.gate.open_status(raw));
    suspect(&services, &request, &body, &delivery).await;
    let StatusDelivery::Ours(report) = counted.opened(delivery)? else {
        counted.outcome("other_account");
        return Ok(HttpResponse::NoContent().finish());
    };
    RequestSpan::record(&request, "twilio_sid", report.twilio_sid.as_str());
    let recorded = services.receipts.receive(report).await.map_err(ApiError::from);
    counted.outcome(match counted.failure(recorded)? {
        StatusRecorded::Applied { message, overturned, .. } => {
            if overturned {
                meters.verdict_overturned();
                tracing::warn!(message_id = %message, "given up, and sent after all");
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

/// Where requests that name our account are refused one after the other, a mistake in our settings
/// may refuse Twilio's: what they carried is then found in Twilio's lists, soon.
async fn suspect<T>(
    services: &Services,
    request: &HttpRequest,
    body: &[u8],
    opened: &Result<T, Refusal>,
) {
    let (Err(Refusal::Forged(_)), Some(backfill)) = (opened, &services.backfill) else {
        return;
    };
    if !shown(request, body, |raw| services.gate.names_our_account(raw)) {
        return;
    }
    match backfill.webhook_refused().await {
        Ok(true) => tracing::error!(
            "webhooks that name our account are refused again and again: texts are looked for at \
             Twilio; `sms-foundation doctor` says what may be wrong"
        ),
        Ok(false) => {}
        Err(error) => tracing::warn!(error = causes(&error), "Twilio's lists are not read early"),
    }
}

/// Shows the gate the request as it came.
fn shown<T>(request: &HttpRequest, body: &[u8], look: impl FnOnce(&RawWebhook<'_>) -> T) -> T {
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    look(&RawWebhook { target, headers: &headers, body })
}

/// Says nothing to the sender. Without a content type Twilio would log error 12300.
fn empty_twiml() -> HttpResponse {
    HttpResponse::Ok().content_type("text/xml").body("<Response></Response>")
}
