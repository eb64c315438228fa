//! How messages look from outside (wire contracts, sections 2 and 7).

use domain::conversation::Conversation;
use domain::message::{Direction, Media, Message, MessageDetail, RawPayload, StatusEvent};
use domain::ports::ThreadPage;
use domain::timestamp::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A conversation with a page of its messages.
#[derive(Serialize)]
pub(crate) struct ConversationBody {
    success: bool,
    conversation_id: String,
    phone_number_canonical: String,
    phone_number_original: String,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    language_detected: &'static str,
    language_confidence: f32,
    last_message_at: Option<Timestamp>,
    messages: Vec<MessageBody>,
    page: u32,
    limit: u32,
    offset: u32,
    total: u64,
    next_cursor: Option<String>,
}

/// Which page was asked for, to be echoed.
pub(crate) struct Asked {
    pub(crate) page: u32,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

impl ConversationBody {
    pub(crate) fn new(conversation: &Conversation, thread: &ThreadPage, asked: &Asked) -> Self {
        Self {
            success: true,
            conversation_id: conversation.id.to_string(),
            phone_number_canonical: conversation.phone_number_canonical.as_str().to_owned(),
            phone_number_original: conversation.phone_number_original.as_str().to_owned(),
            tenant_id: conversation.tenant_id.as_ref().map(ToString::to_string),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            language_detected: conversation.language.language.as_str(),
            language_confidence: conversation.language.confidence.fraction(),
            last_message_at: conversation.last_message_at,
            messages: thread.messages.iter().map(MessageBody::new).collect(),
            page: asked.page,
            limit: asked.limit,
            offset: asked.offset,
            total: thread.total,
            next_cursor: thread.next.as_ref().map(crate::cursor::write),
        }
    }
}

/// A message in a thread. Fields that stand twice are the two names that callers know them by.
#[derive(Serialize)]
pub(crate) struct MessageBody {
    id: String,
    direction: &'static str,
    from_number: String,
    to_number: String,
    message_content: Option<String>,
    content: Option<String>,
    twilio_sid: Option<String>,
    delivery_status: &'static str,
    error_code: Option<String>,
    media: Vec<Media>,
    created_at: Timestamp,
    timestamp: Timestamp,
    sender: &'static str,
}

impl MessageBody {
    fn new(message: &Message) -> Self {
        let content = message.content.as_ref().map(|text| text.as_str().to_owned());
        Self {
            id: message.id.to_string(),
            direction: message.direction.as_str(),
            from_number: message.from_number.as_str().to_owned(),
            to_number: message.to_number.as_str().to_owned(),
            message_content: content.clone(),
            content,
            twilio_sid: message.twilio_sid.as_ref().map(ToString::to_string),
            delivery_status: message.delivery.status.as_str(),
            error_code: message.delivery.error_code.clone(),
            media: message.media.clone(),
            created_at: message.created_at,
            timestamp: message.created_at,
            sender: match message.direction {
                Direction::Inbound => "tenant",
                Direction::Outbound => "system",
            },
        }
    }
}

/// A message with all that is known about it.
#[derive(Serialize)]
pub(crate) struct MessageDetailBody {
    #[serde(flatten)]
    message: MessageBody,
    conversation_id: String,
    error_message: Option<String>,
    source: &'static str,
    updated_at: Timestamp,
    raw_webhook_data: Value,
    status_events: Vec<StatusEventBody>,
}

#[derive(Serialize)]
struct StatusEventBody {
    event_status: &'static str,
    provider_status: String,
    error_code: Option<String>,
    created_at: Timestamp,
}

impl MessageDetailBody {
    pub(crate) fn new(detail: &MessageDetail) -> Self {
        let message = &detail.message;
        Self {
            message: MessageBody::new(message),
            conversation_id: message.conversation.to_string(),
            error_message: message.delivery.error_message.clone(),
            source: message.source.as_str(),
            updated_at: message.updated_at,
            raw_webhook_data: raw_webhook_data(&detail.raw),
            status_events: detail.events.iter().map(StatusEventBody::new).collect(),
        }
    }
}

/// `null` for a message that no webhook brought.
fn raw_webhook_data(raw: &RawPayload) -> Value {
    if raw.members().is_empty() { Value::Null } else { raw.clone().into_json() }
}

impl StatusEventBody {
    fn new(event: &StatusEvent) -> Self {
        Self {
            event_status: event.event_status.as_str(),
            provider_status: event.provider_status.clone(),
            error_code: event.error_code.clone(),
            created_at: event.created_at,
        }
    }
}
