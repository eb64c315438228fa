//! The schemas: of answers from their bodies, of requests by hand, as they are read by hand.

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::{envelope, health, jobs, sending, subscriptions, views};

/// All of them, by name.
pub(super) fn all() -> Value {
    let mut schemas = answers();
    for (name, schema) in [
        ("SendRequest", send_request()),
        ("Annotation", annotation()),
        ("NewSubscription", new_subscription()),
        ("SubscriptionChange", subscription_change()),
        ("MessageEvent", event(&MESSAGE_EVENTS, "A message came, went, or got further.")),
        ("IdentifiedEvent", event(&["conversation.identified"], "A conversation got a tenant.")),
        (
            "LanguageChangedEvent",
            event(&["conversation.language_changed"], "A conversation is in another language."),
        ),
        ("OrchestratorHook", orchestrator_hook()),
        ("InboundWebhook", inbound_webhook()),
        ("StatusWebhook", status_webhook()),
    ] {
        schemas.insert(name.to_owned(), schema);
    }
    Value::Object(schemas)
}

fn answers() -> Map<String, Value> {
    let mut found = Vec::new();
    with::<views::ConversationsBody>(&mut found);
    with::<views::ThreadBody>(&mut found);
    with::<views::ThreadPageBody>(&mut found);
    with::<views::MessagesBody>(&mut found);
    with::<views::MessageDetailBody>(&mut found);
    with::<sending::SentBody>(&mut found);
    with::<jobs::JobsBody>(&mut found);
    with::<jobs::QueuedBody>(&mut found);
    with::<subscriptions::SubscriptionsBody>(&mut found);
    with::<subscriptions::ChangedBody>(&mut found);
    with::<subscriptions::DeliveriesBody>(&mut found);
    with::<subscriptions::RedeliveryBody>(&mut found);
    with::<health::HealthBody>(&mut found);
    with::<health::AliveBody>(&mut found);
    with::<envelope::Envelope>(&mut found);
    let named = |(name, schema): (String, RefOr<Schema>)| {
        let mut schema = serde_json::to_value(&schema).unwrap_or_default();
        require_all(&mut schema);
        (name, schema)
    };
    found.into_iter().map(named).collect()
}

fn with<T: ToSchema + PartialSchema>(found: &mut Vec<(String, RefOr<Schema>)>) {
    T::schemas(found);
    found.push((T::name().into_owned(), T::schema()));
}

/// What we answer always has all its fields, `null` where there is nothing to say; but for the
/// details of an error.
fn require_all(schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(require_all);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let names: Vec<_> = properties.keys().filter(|name| *name != "details").cloned().collect();
    schema["required"] = json!(names);
}

/// A field that may be left out or `null`.
fn optional_text(description: &str, most: u32) -> Value {
    json!({ "type": ["string", "null"], "maxLength": most, "description": description })
}

fn send_request() -> Value {
    let number = "The recipient's number, in international form or the national one of the \
                  service's country. May be empty where conversation_id says who it is.";
    let text = "What it says: 1 to 1600 characters, or none with media_urls.";
    json!({
        "type": "object",
        "description": "A text to be sent. `phone_number` and `message` are other names of `to` \
                        and `body`.",
        "additionalProperties": false,
        "properties": {
            "to": optional_text(number, 64),
            "phone_number": optional_text("Another name of to.", 64),
            "body": optional_text(text, 1600),
            "message": optional_text("Another name of body.", 1600),
            "conversation_id": {
                "type": ["string", "null"],
                "pattern": "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$",
                "description": "The conversation: instead of the recipient, or beside it.",
            },
            "workflow_type": optional_text("Which kind of workflow it belongs to.", 200),
            "workflow_id": optional_text("Which workflow.", 200),
            "media_urls": {
                "type": ["array", "null"],
                "maxItems": 10,
                "items": {
                    "type": "string",
                    "format": "uri",
                    "pattern": "^https://[A-Za-z0-9\\[]",
                    "maxLength": 2000,
                },
                "description": "Pictures and files, as https addresses.",
            },
            "from": optional_text("Which of the service's numbers it is from.", 64),
        },
        "anyOf": [
            { "required": ["to"] },
            { "required": ["phone_number"] },
            { "required": ["conversation_id"] },
        ],
    })
}

fn annotation() -> Value {
    json!({
        "type": "object",
        "description": "What to change. A field that is left out stays as it is, `null` empties it.",
        "additionalProperties": false,
        "properties": {
            "workflow_type": optional_text("Which kind of workflow the callers run in it.", 200),
            "workflow_id": optional_text("Which workflow.", 200),
        },
    })
}

const MESSAGE_EVENTS: [&str; 3] = ["message.received", "message.sent", "message.status"];

fn new_subscription() -> Value {
    let mut schema = subscription_change();
    schema["description"] = json!("A program that is to be told of what happens from now on.");
    schema["required"] = json!(["name", "url"]);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("enabled");
        properties.remove("renew_secret");
    }
    for field in ["name", "url"] {
        schema["properties"][field]["type"] = json!("string");
    }
    schema
}

fn subscription_change() -> Value {
    let flag =
        |description: &str| json!({ "type": ["boolean", "null"], "description": description });
    let word = |words: &[&str], description: &str| {
        let words = words.iter().copied().map(Some).chain([None]).collect::<Vec<_>>();
        json!({ "type": ["string", "null"], "enum": words, "description": description })
    };
    json!({
        "type": "object",
        "description": "What to change. A field that is left out stays as it is; `null` empties \
                        workflow_type, tenant and direction.",
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": ["string", "null"],
                "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$",
                "description": "What people call it; no two have the same.",
            },
            "url": {
                "type": ["string", "null"],
                "format": "uri",
                "pattern": "^https?://",
                "maxLength": 2000,
                "description": "Where it is told: https, or this machine in a developer's service.",
            },
            "events": {
                "type": ["array", "null"],
                "items": {
                    "type": "string",
                    "enum": domain::event::EventKind::ALL.map(domain::event::EventKind::as_str),
                },
                "description": "What it is told of; empty: all that its format can tell.",
            },
            "all_statuses": flag(
                "Whether also of statuses after which more is to be expected. Otherwise of \
                 delivered, undelivered and failed.",
            ),
            "workflow_type": optional_text("Only in conversations with this kind of workflow.", 200),
            "tenant": word(
                &["known", "unknown"],
                "Only in conversations whose tenant is known, or is not, when it happens. The \
                 format `orchestrator` tells of known tenants anyway, and forgets `known`.",
            ),
            "direction": word(&["inbound", "outbound"], "Only about messages that go this way."),
            "deliver_when_identified": flag(
                "With the format `orchestrator`: whether a message of an unknown tenant is told of \
                 once somebody knows the tenant.",
            ),
            "format": word(&["standard", "orchestrator"], "In which form it is told."),
            "secret": {
                "type": ["string", "null"],
                "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$",
                "description": "What calls are signed with: `whsec_` and the base64 of 24 to 64 \
                                bytes. One is made where none is given.",
            },
            "renew_secret": flag(
                "Whether a new secret is made. The one before signs beside it for 24 hours.",
            ),
            "enabled": flag("Whether it is told anything. To enable it forgets its failures."),
        },
    })
}

/// An event of one of these types. Its members never go away; there may be more one day.
fn event(types: &[&str], description: &str) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let text_or_null =
        |description: &str| json!({ "type": ["string", "null"], "description": description });
    let mut data = json!({
        "conversation_id": { "type": "string", "format": "uuid", "description": "Where." },
        "phone_number_canonical": text("The one spelling of the number."),
        "tenant_id": text_or_null("The tenant, as was known then."),
        "workflow_type": text_or_null("The kind of workflow then."),
        "workflow_id": text_or_null("The workflow then."),
        "language_detected": {
            "type": "string",
            "enum": ["en", "es", "pt", "unknown"],
            "description": "The conversation's language then.",
        },
    });
    match types {
        ["conversation.identified"] => {
            data["previous_tenant_id"] = text_or_null("The tenant before.");
        }
        ["conversation.language_changed"] => {
            data["previous_language"] = text("The language before.");
        }
        _ => data["message"] = json!({ "$ref": "#/components/schemas/Message" }),
    }
    let required: Vec<_> =
        data.as_object().map(|data| data.keys().cloned().collect()).unwrap_or_default();
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "id": {
                "type": "string",
                "format": "uuid",
                "description": "The event's id: the same whenever it is told again.",
            },
            "type": { "type": "string", "enum": types, "description": "What happened." },
            "timestamp": { "type": "string", "format": "date-time", "description": "When." },
            "data": {
                "type": "object",
                "description": "About what, as that was then.",
                "properties": data,
                "required": required,
            },
        },
        "required": ["id", "type", "timestamp", "data"],
    })
}

fn orchestrator_hook() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "Somebody texted us, in the orchestrator's form.",
        "properties": {
            "tenant_id": text("The tenant; never empty."),
            "phone_number": text("The number, with its +."),
            "content": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1600,
                "description": "What was written, or a placeholder such as [media: image/jpeg x1].",
            },
            "conversation_id": { "type": "string", "format": "uuid", "description": "Where." },
            "timestamp": { "type": "string", "format": "date-time", "description": "When." },
            "direction": { "const": "inbound", "description": "Always inbound." },
        },
        "required": [
            "tenant_id", "phone_number", "content", "conversation_id", "timestamp", "direction"
        ],
    })
}

fn inbound_webhook() -> Value {
    webhook(
        "Somebody texted us, as Twilio tells it. Fields that are not listed are kept too.",
        &[
            ("From", "Who."),
            ("To", "Which of our numbers."),
            ("Body", "What it says."),
            ("NumMedia", "How many pictures and files it has: MediaUrl0, MediaContentType0, .."),
            ("AccountSid", "The account that it came to."),
        ],
    )
}

fn status_webhook() -> Value {
    webhook(
        "How far a message got, as Twilio tells it.",
        &[
            ("MessageStatus", "How far."),
            ("SmsStatus", "The same, in older requests."),
            ("ErrorCode", "What went wrong."),
            ("AccountSid", "The account that it is of."),
        ],
    )
}

fn webhook(description: &str, fields: &[(&str, &str)]) -> Value {
    let mut properties = json!({
        "MessageSid": {
            "type": "string",
            "pattern": "^[!-~]{1,64}$",
            "description": "Twilio's id of the message: SM or MM and 32 hexadecimal digits.",
        },
    });
    for (name, description) in fields {
        properties[*name] = json!({ "type": "string", "description": description });
    }
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "required": ["MessageSid"],
        "additionalProperties": { "type": "string" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversations;

    #[test]
    fn requests_are_described_with_the_fields_that_are_read() {
        for (schema, fields) in [
            (send_request(), sending::FIELDS),
            (annotation(), conversations::FIELDS),
            (new_subscription(), subscriptions::FIELDS),
            (subscription_change(), subscriptions::CHANGES),
        ] {
            let mut described: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
            let mut read = fields.to_vec();
            described.sort_unstable();
            read.sort_unstable();
            assert_eq!(described, read);
        }
    }
}
