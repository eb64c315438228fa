//! `GET /messages`, `GET /messages/{id or SID}` (wire contracts, section 7) and
//! `POST /messages/{id or SID}/cancel`.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::delivery::DeliveryStatus;
use domain::error::Invalid;
use domain::message::{Direction, Message, MessageId};
use domain::outbound::{CANCELED, SendState};
use domain::ports::{Canceled, MessageQuery};

use crate::access::Scope;
use crate::parameters::Parameters;
use crate::views::{ListedMessageBody, MessageDetailBody, MessagesBody};
use crate::{ApiError, Services, codes};

/// Every parameter of a list of messages.
pub(crate) const PARAMETERS: &[&str] = &["status", "direction", "since", "cursor", "limit"];

/// All messages, the latest first.
#[tracing::instrument(name = "http.messages", skip_all)]
pub(crate) async fn list(
    services: web::Data<Services>,
    request: HttpRequest,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Read)?;
    parameters.expect(PARAMETERS)?;
    let query = asked_for(&parameters)?;
    let page = services.threads.messages(&query).await?;
    Ok(HttpResponse::Ok().json(MessagesBody::new(&page, query.limit)))
}

/// A message with everything that is known about it. What Twilio sent is for operators.
#[tracing::instrument(name = "http.message", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = services.allow(&request, Scope::Read)?;
    let detail = services.threads.message(&key).await?;
    let code = detail.message.shown().error_code;
    let explanation = code.and_then(|code| codes::explain(services.outbox.as_ref(), &code));
    let body = MessageDetailBody::new(&detail, explanation, caller.may(Scope::Operate));
    Ok(HttpResponse::Ok().json(body))
}

/// Cancels a message that nobody has begun to send. Cancelled twice is cancelled.
#[tracing::instrument(name = "http.cancel", skip_all)]
pub(crate) async fn cancel(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Send)?;
    let outbox = services.outbox()?;
    let id = match MessageId::parse(&key) {
        Some(id) => id,
        None => services.threads.message(&key).await?.message.id,
    };
    match outbox.cancel(id).await? {
        Canceled::Done(message) => Ok(HttpResponse::Ok().json(ListedMessageBody::new(&message))),
        Canceled::TooLate(message) if is_canceled(&message) => {
            Ok(HttpResponse::Ok().json(ListedMessageBody::new(&message)))
        }
        Canceled::TooLate(message) => Err(ApiError::Refused(too_late(&message))),
        Canceled::NotFound => {
            services.threads.message(&key).await?;
            Err(ApiError::Refused("nothing to cancel: it came in"))
        }
    }
}

fn asked_for(parameters: &Parameters) -> Result<MessageQuery, Invalid> {
    let status = "must be queued, sending, sent, delivered, undelivered, failed, receiving, \
                  received or unknown";
    Ok(MessageQuery {
        status: parameters.read("status", DeliveryStatus::from_word, status)?,
        direction: parameters.read(
            "direction",
            Direction::from_word,
            "must be inbound or outbound",
        )?,
        since: parameters.time("since")?,
        behind: parameters.cursor()?,
        limit: parameters.limit()?,
    })
}

fn is_canceled(message: &Message) -> bool {
    message.shown().error_code.as_deref() == Some(CANCELED)
}

fn too_late(message: &Message) -> &'static str {
    match message.sending.as_ref().map(|sending| sending.state) {
        Some(SendState::Pending | SendState::InFlight) => "too late: it is being sent (in_flight)",
        Some(SendState::Refused) => "nothing to cancel: Twilio refused it (refused)",
        Some(SendState::Ambiguous) => "too late: it may have been sent (ambiguous)",
        Some(SendState::NotSent) => "nothing to cancel: it was given up (not_sent)",
        Some(SendState::Accepted) | None => "too late: Twilio has it (accepted)",
    }
}
