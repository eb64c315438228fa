//! Examples of requests and answers.

use domain::event::EventKind;
use serde_json::{Value, json};

/// Of a message, a job.
pub(super) const ID: &str = "0195f2a0-7c1e-7000-8000-000000000001";
const CONVERSATION: &str = "0195f2a0-7c1e-7000-8000-000000000002";
const SID: &str = "SM00000000000000000000000000000001";
const CURSOR: &str = "1795340000000001_0195f2a07c1e70008000000000000001";
const AT: &str = "2026-11-22T09:33:20.000001Z";

pub(super) fn send_request() -> Value {
    json!({
        "to": "+18605550199",
        "body": "We will come by at four.",
        "workflow_type": "repair",
        "workflow_id": "wf-2026-12",
    })
}

pub(super) fn sent() -> Value {
    json!({
        "id": ID,
        "message_id": ID,
        "twilio_sid": SID,
        "conversation_id": CONVERSATION,
        "status": "queued",
    })
}

pub(super) fn annotation() -> Value {
    json!({ "workflow_type": "repair", "workflow_id": null })
}

pub(super) fn conversation() -> Value {
    json!({
        "conversation_id": CONVERSATION,
        "phone_number_canonical": "+18605550199",
        "phone_number_original": "+18605550199",
        "tenant_id": "T_12",
        "workflow_type": "repair",
        "workflow_id": null,
        "language_detected": "en",
        "language_confidence": 0.9,
        "last_message_at": AT,
    })
}

pub(super) fn conversations() -> Value {
    json!({ "conversations": [conversation()], "limit": 20, "next_cursor": CURSOR })
}

pub(super) fn thread() -> Value {
    let page = json!({
        "success": true,
        "messages": [plain_message("delivered", None)],
        "page": 1,
        "limit": 20,
        "offset": 0,
        "total": 1,
        "next_cursor": null,
    });
    with(conversation(), page)
}

pub(super) fn thread_page() -> Value {
    json!({
        "conversation_id": CONVERSATION,
        "messages": [plain_message("delivered", None)],
        "limit": 20,
        "total": 1,
        "next_cursor": null,
        "previous_cursor": format!("p{CURSOR}"),
    })
}

pub(super) fn messages() -> Value {
    json!({ "messages": [listed_message("delivered", None)], "limit": 20, "next_cursor": CURSOR })
}

pub(super) fn canceled() -> Value {
    listed_message("failed", Some("canceled"))
}

pub(super) fn message() -> Value {
    let known = json!({
        "error_explanation": null,
        "send_state": "accepted",
        "expires_at": "2026-11-22T13:33:20.000001Z",
        "source": "api",
        "updated_at": AT,
        "raw_webhook_data": null,
        "attempts": [{
            "number": 1,
            "started_at": AT,
            "finished_at": AT,
            "outcome": "accepted",
            "status_code": 201,
            "error_code": null,
        }],
        "status_events": [{
            "event_status": "delivered",
            "provider_status": "delivered",
            "error_code": null,
            "created_at": AT,
        }],
    });
    with(listed_message("delivered", None), known)
}

pub(super) fn new_subscription() -> Value {
    json!({
        "name": "dashboard",
        "url": "https://dashboard.example.com/hooks/sms",
        "events": ["message.received", "message.status"],
    })
}

pub(super) fn subscription_change() -> Value {
    json!({ "tenant": "known", "renew_secret": true })
}

pub(super) fn subscription() -> Value {
    json!({
        "id": ID,
        "name": "dashboard",
        "url": "https://dashboard.example.com/hooks/sms",
        "events": ["message.received", "message.status"],
        "all_statuses": false,
        "workflow_type": null,
        "tenant": null,
        "direction": null,
        "deliver_when_identified": false,
        "format": "standard",
        "enabled": true,
        "configured": false,
        "status": "active",
        "failures": 0,
        "failing_since": null,
        "paused_until": null,
        "last_error": null,
        "created_at": AT,
        "updated_at": AT,
    })
}

pub(super) fn subscriptions() -> Value {
    json!({ "subscriptions": [subscription()] })
}

pub(super) fn new_secret() -> Value {
    with(subscription(), json!({ "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" }))
}

pub(super) fn deliveries() -> Value {
    let delivery = json!({
        "event_id": ID,
        "type": "message.received",
        "conversation_id": CONVERSATION,
        "message_id": ID,
        "state": "parked",
        "attempts": 31,
        "status_code": 500,
        "last_error": "http_500",
        "run_at": AT,
        "created_at": AT,
        "finished_at": AT,
    });
    json!({ "deliveries": [delivery], "limit": 20, "next_cursor": "1795" })
}

pub(super) fn redelivery() -> Value {
    json!({ "id": ID, "queued": 12 })
}

pub(super) fn event(kind: EventKind) -> Value {
    let more = match kind {
        EventKind::Received => json!({ "message": received_message() }),
        EventKind::Sent => json!({ "message": plain_message("queued", None) }),
        EventKind::Status => json!({ "message": plain_message("delivered", None) }),
        EventKind::Identified => json!({ "previous_tenant_id": null }),
        EventKind::LanguageChanged => json!({ "previous_language": "unknown" }),
    };
    let data = json!({
        "conversation_id": CONVERSATION,
        "phone_number_canonical": "+18605550199",
        "tenant_id": "T_12",
        "workflow_type": "repair",
        "workflow_id": null,
        "language_detected": "en",
    });
    json!({ "id": ID, "type": kind.as_str(), "timestamp": AT, "data": with(data, more) })
}

pub(super) fn orchestrator_hook() -> Value {
    json!({
        "tenant_id": "T_12",
        "phone_number": "+18605550199",
        "content": "My sink is leaking",
        "conversation_id": CONVERSATION,
        "timestamp": AT,
        "direction": "inbound",
    })
}

pub(super) fn stream() -> String {
    format!("id: 1795-3\nevent: message.received\ndata: {}\n\n", event(EventKind::Received))
}

pub(super) fn jobs() -> Value {
    let job = json!({
        "id": ID,
        "kind": "tenant_lookup",
        "payload": { "conversation_id": CONVERSATION },
        "state": "parked",
        "attempts": 12,
        "failures": 12,
        "last_error": "the Collections Monitor is unavailable",
        "run_at": AT,
        "created_at": AT,
        "updated_at": AT,
    });
    json!({ "jobs": [job], "limit": 20, "offset": 0 })
}

pub(super) fn queued() -> Value {
    json!({ "id": ID, "state": "queued" })
}

pub(super) fn health(ok: bool) -> Value {
    let db = if ok { "ok" } else { "down" };
    json!({
        "ok": ok,
        "version": "1.10",
        "checks": { "config": "ok", "db": db, "twilio": "ok", "monitor": "disabled" },
    })
}

pub(super) fn inbound_webhook() -> Value {
    json!({
        "MessageSid": SID,
        "From": "+18605550199",
        "To": "+18605550100",
        "Body": "My sink is leaking",
        "NumMedia": "0",
    })
}

pub(super) fn status_webhook() -> Value {
    json!({ "MessageSid": SID, "MessageStatus": "delivered" })
}

/// Each status with its meaning, a code, a message and details.
pub(super) fn errors() -> Vec<(u16, &'static str, &'static str, &'static str, Option<Value>)> {
    let invalid = "sms.validation_error";
    vec![
        (
            400,
            "The request is wrong: which field, and what to change.",
            invalid,
            "to: must be a phone number such as +18605550199",
            Some(json!({ "field": "to", "reason": "must be a phone number such as +18605550199" })),
        ),
        (
            401,
            "No key, or an unknown one.",
            "sms.unauthorized",
            "send a valid API key: `Authorization: Bearer <key>`",
            None,
        ),
        (
            403,
            "A good key that does not open this; or a webhook that is not proven to be Twilio's.",
            "sms.forbidden",
            "this API key lacks the scope `send`",
            None,
        ),
        (404, "It is not there.", "sms.not_found", "there is no such conversation", None),
        (408, "The body took too long.", invalid, "the body took too long to arrive", None),
        (
            409,
            "As things stand it cannot be done, or the Idempotency-Key belongs to another request.",
            "sms.idempotent_duplicate",
            "this Idempotency-Key belongs to another request",
            Some(json!({ "existing_message_id": ID })),
        ),
        (
            412,
            "Somebody else changed it since the caller read it.",
            invalid,
            "it was changed meanwhile: read it again, and send its new ETag as If-Match",
            None,
        ),
        (413, "The body is too large.", invalid, "the body is larger than 65536 bytes", None),
        (
            415,
            "The body is in a form that is not read here.",
            invalid,
            "send JSON: `Content-Type: application/json`",
            None,
        ),
        (
            422,
            "Twilio refuses the text for good: asking again changes nothing.",
            "sms.external_failed",
            "The recipient has opted out.",
            Some(failure("permanent", 400, "21610")),
        ),
        (
            429,
            "Too many requests.",
            "sms.unavailable",
            "too many requests: wait as long as Retry-After says",
            None,
        ),
        (500, "Our own fault.", "sms.internal", "something went wrong on our side", None),
        (
            502,
            "The text was not sent, and will not be.",
            "sms.external_failed",
            "Twilio could not take it before it expired.",
            Some(failure("exhausted", 429, "20429")),
        ),
        (
            503,
            "The database does not answer, or what is needed is not configured.",
            "sms.unavailable",
            "the service cannot answer now: try again",
            None,
        ),
    ]
}

/// An error in its envelope.
pub(super) fn error(code: &str, message: &str, details: Option<Value>) -> Value {
    let id = "0195f2a0-7c1e-7000-8000-000000000009";
    let mut body = json!({
        "code": code,
        "message": message,
        "timestamp": AT,
        "requestId": id,
        "request_id": id,
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    json!({ "error": body })
}

fn failure(category: &str, status_code: u16, provider_code: &str) -> Value {
    json!({
        "category": category,
        "status_code": status_code,
        "provider_code": provider_code,
        "correlation_id": "0195f2a0-7c1e-7000-8000-000000000009",
        "message_id": ID,
    })
}

fn listed_message(status: &str, error: Option<&str>) -> Value {
    let listed = json!({ "conversation_id": CONVERSATION, "error_message": null });
    with(plain_message(status, error), listed)
}

fn plain_message(status: &str, error: Option<&str>) -> Value {
    json!({
        "id": ID,
        "direction": "outbound",
        "from_number": "+18605550100",
        "to_number": "+18605550199",
        "message_content": "We will come by at four.",
        "content": "We will come by at four.",
        "twilio_sid": SID,
        "delivery_status": status,
        "error_code": error,
        "media": [],
        "created_at": AT,
        "timestamp": AT,
        "sender": "system",
    })
}

fn received_message() -> Value {
    let told = json!({
        "direction": "inbound",
        "from_number": "+18605550199",
        "to_number": "+18605550100",
        "message_content": "My sink is leaking",
        "content": "My sink is leaking",
        "media": [{ "url": "https://api.twilio.com/media/1", "content_type": "image/jpeg" }],
        "sender": "tenant",
    });
    with(plain_message("received", None), told)
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}
