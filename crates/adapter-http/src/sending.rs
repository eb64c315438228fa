//! `POST /sms/send` (wire contracts, section 1).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use domain::error::{Error, Invalid, causes};
use domain::message::{Message, MessageId};
use domain::origin::Origin;
use domain::outbound::{CANCELED, EXHAUSTED, EXPIRED, NOT_SENT, Outgoing, SendState};
use domain::outbox::{Outbox, SendRequest, Taken};
use domain::phone::masked;
use domain::ports::{Attended, Dispatched};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::access::Scope;
use crate::envelope::RequestSpan;
use crate::error::{Category, SendFailure};
use crate::fields::Fields;
use crate::openapi::words;
use crate::waiting::Waiting;
use crate::{ApiError, Services, codes, origin};

/// Every field of the request; `phone_number` and `message` are other names of `to` and `body`.
pub(crate) const FIELDS: &[&str] = &[
    "to",
    "phone_number",
    "body",
    "message",
    "conversation_id",
    "workflow_type",
    "workflow_id",
    "media_urls",
    "from",
];
const KEY: &str = "Idempotency-Key";

/// Between two looks at a message that others send.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What a caller is told of a message that was taken in.
#[derive(Serialize, ToSchema)]
#[schema(as = Sent)]
pub(crate) struct SentBody {
    /// Our id of the message.
    #[schema(format = "uuid")]
    id: String,
    /// The same.
    #[schema(format = "uuid")]
    message_id: String,
    /// Twilio's id of it; `null` where Twilio has not answered in time.
    twilio_sid: Option<String>,
    /// The conversation that it belongs to.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// How far it got: `queued` waits to be sent, `unknown` may or may not have been sent and is
    /// followed up.
    #[schema(schema_with = words::delivery_status)]
    status: &'static str,
}

/// Takes a text in, waits a little for its outcome, and tells it.
#[tracing::instrument(name = "http.send", skip_all)]
pub(crate) async fn send(
    services: web::Data<Services>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = services.allow(&request, Scope::Send)?.name().to_owned();
    let outbox = services.outbox()?;
    let key = idempotency_key(&request)?;
    let mut wanted = read_request(&request, payload).await?;
    resolve_imported(&services, &mut wanted).await?;
    let waiting = Waiting::new(&request);
    let asked = Asked { caller, key, wanted, origin: origin::of(&request) };
    let (taken, running) = take_in(&services, asked, waiting.attended()).await?;
    RequestSpan::record(&request, "message_id", &taken.message.id.to_string());
    RequestSpan::record(&request, "conversation_id", &taken.message.conversation.to_string());
    RequestSpan::record(&request, "phone", &masked(taken.message.to_number.as_str()));
    let (outgoing, dispatched) = outcome(&services, outbox, taken.message, running).await;
    let answer = answer(outbox, &outgoing)?;
    let recorded = dispatched && waiting.is_counted_on();
    let is_there = waiting.is_there();
    drop(waiting);
    if is_there && !recorded {
        remember_answer(outbox, outgoing.message.id).await;
    }
    Ok(HttpResponse::Accepted().json(answer))
}

/// What a request asks for.
struct Asked {
    caller: String,
    key: Option<String>,
    wanted: SendRequest,
    origin: Origin,
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Invalid> {
    let wrong = |reason: &'static str| Invalid { field: KEY, reason: reason.into() };
    let mut keys = request.headers().get_all(KEY);
    let key = keys.next().map(|key| key.to_str().map(str::to_owned));
    if keys.next().is_some() {
        return Err(wrong("must be given once"));
    }
    key.transpose().map_err(|_| wrong("must be 1 to 255 visible ASCII characters"))
}

async fn read_request(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<SendRequest, ApiError> {
    let mut fields = Fields::read(request, payload, FIELDS).await?;
    Ok(SendRequest {
        to: fields.text_or("to", "phone_number")?,
        body: fields.text_or("body", "message")?,
        conversation_id: fields.id("conversation_id")?,
        workflow_type: fields.text("workflow_type")?,
        workflow_id: fields.text("workflow_id")?,
        media_urls: fields.texts("media_urls")?,
        from: fields.text("from")?,
    })
}

/// Callers of the program that was here before know its conversations by their old ids.
async fn resolve_imported(services: &Services, wanted: &mut SendRequest) -> Result<(), ApiError> {
    if let Some(text) = wanted.conversation_id.as_deref()
        && let Some(id) = services.threads.imported_conversation(text.trim()).await?
    {
        wanted.conversation_id = Some(id.to_string());
    }
    Ok(())
}

/// Takes the message in and has it sent. Goes on without its caller: what is committed must be
/// begun, else it would wait until its lease is over.
async fn take_in(
    services: &Services,
    asked: Asked,
    attended: Attended,
) -> Result<(Taken, Option<Dispatched>), ApiError> {
    let Asked { caller, key, wanted, origin } = asked;
    let (outbox, dispatcher) = (services.outbox()?.caused_by(origin), services.dispatcher.clone());
    let work = async move {
        let mut taken = outbox.accept(&caller, key.as_deref(), &wanted).await?;
        let running = taken.job.take().map(|job| dispatcher.dispatch(job, attended));
        Ok::<_, Error>((taken, running))
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(begun) => Ok(begun?),
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Err(ApiError::Unavailable(stopped.into())),
        },
    }
}

/// The message at its first outcome, or when the wait is over; and whether the job that we
/// dispatched came to that outcome.
async fn outcome(
    services: &Services,
    outbox: &Outbox,
    message: Message,
    running: Option<Dispatched>,
) -> (Outgoing, bool) {
    let first = async {
        if let Some(running) = running
            && let Some(outgoing) = running.await
        {
            return (outgoing, true);
        }
        services.dispatcher.wake();
        (watch(outbox, message.id).await, false)
    };
    if let Ok(outcome) = tokio::time::timeout(services.send_wait, first).await {
        return outcome;
    }
    // It is taken in, whether or not the store answers now.
    let found = outbox.find(message.id).await;
    (found.unwrap_or_else(|_| Outgoing { message, attempts: Vec::new() }), false)
}

/// Looks at a message that others send until there is something to tell.
async fn watch(outbox: &Outbox, message: MessageId) -> Outgoing {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(outgoing) = outbox.find(message).await
            && !matches!(outgoing.state(), SendState::Pending | SendState::InFlight)
        {
            return outgoing;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn answer(outbox: &Outbox, outgoing: &Outgoing) -> Result<SentBody, ApiError> {
    match outgoing.state() {
        SendState::Refused | SendState::NotSent => Err(failure(outbox, outgoing)),
        SendState::Pending | SendState::InFlight | SendState::Accepted | SendState::Ambiguous => {
            Ok(SentBody::new(&outgoing.message))
        }
    }
}

impl SentBody {
    fn new(message: &Message) -> Self {
        let id = message.id.to_string();
        Self {
            message_id: id.clone(),
            id,
            twilio_sid: message.twilio_sid.as_ref().map(ToString::to_string),
            conversation_id: message.conversation.to_string(),
            status: message.shown().status.as_str(),
        }
    }
}

/// Why a message was refused or given up.
fn failure(outbox: &Outbox, outgoing: &Outgoing) -> ApiError {
    let shown = outgoing.message.shown();
    let code = shown.error_code.as_deref().unwrap_or_default();
    let category = match (outgoing.state(), code) {
        (_, CANCELED) => return ApiError::Refused("the message was cancelled before it was sent"),
        (SendState::Refused, _) => Category::Permanent,
        (_, EXPIRED | EXHAUSTED) => Category::Exhausted,
        (_, NOT_SENT) => Category::Unknown,
        // Twilio said no for the moment, after we had given up waiting for what it says.
        _ => Category::Transient,
    };
    let last = outgoing.attempts.last();
    let provider_code = last.and_then(|attempt| attempt.error_code.clone());
    let explanation = codes::explain(Some(outbox), code).map(str::to_owned);
    let without_words = || "the message was not sent".to_owned();
    ApiError::SendFailed(Box::new(SendFailure {
        message: outgoing.message.id,
        explanation: explanation.or(shown.error_message).unwrap_or_else(without_words),
        category,
        status_code: last.and_then(|attempt| attempt.status_code),
        provider_code: provider_code.filter(|code| codes::is_providers(code)),
    }))
}

/// The caller is about to be told 2xx. Where that cannot be written down, the worst is that a
/// repetition within two minutes is taken for the same text.
async fn remember_answer(outbox: &Outbox, message: MessageId) {
    if let Err(error) = outbox.answered(message).await {
        tracing::error!(message_id = %message, error = causes(&error), "answer not remembered");
    }
}

impl Services {
    /// The outbox, where sending is configured.
    pub(crate) fn outbox(&self) -> Result<&Outbox, ApiError> {
        self.outbox.as_ref().ok_or(ApiError::SendingNotConfigured)
    }
}
