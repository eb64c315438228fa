//! The schemas: of answers from their bodies, of requests by hand, as they are read by hand.

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::{envelope, health, jobs, sending, views};

/// All of them, by name.
pub(super) fn all() -> Value {
    let mut schemas = answers();
    for (name, schema) in [
        ("SendRequest", send_request()),
        ("Annotation", annotation()),
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
        for (schema, fields) in
            [(send_request(), sending::FIELDS), (annotation(), conversations::FIELDS)]
        {
            let mut described: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
            let mut read = fields.to_vec();
            described.sort_unstable();
            read.sort_unstable();
            assert_eq!(described, read);
        }
    }
}
