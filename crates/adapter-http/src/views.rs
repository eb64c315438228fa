//! How conversations and messages look from outside (wire contracts, sections 2 and 7).
//!
//! The doc comments are what the `OpenAPI` document says of each field.

use domain::conversation::Conversation;
use domain::event::{Event, EventKind};
use domain::message::{Direction, Media, Message, MessageDetail, RawPayload, StatusEvent};
use domain::outbound::{AttemptOutcome, SendAttempt};
use domain::ports::{ConversationPage, MessagePage, ThreadPage};
use domain::timestamp::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::cursor;
use crate::openapi::words;

/// What is known of a conversation beside its messages.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationBody {
    /// Our id of it.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// The one spelling of the number.
    phone_number_canonical: String,
    /// The number as it first came.
    phone_number_original: String,
    /// The tenant, once the Collections Monitor has named one.
    tenant_id: Option<String>,
    /// Which kind of workflow the callers run in it.
    workflow_type: Option<String>,
    /// Which workflow.
    workflow_id: Option<String>,
    /// The language that its texts are in.
    #[schema(schema_with = words::language)]
    language_detected: &'static str,
    /// How sure that is, from 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    language_confidence: f32,
    /// When something was last said.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_message_at: Option<Timestamp>,
}

impl ConversationBody {
    pub(crate) fn new(conversation: &Conversation) -> Self {
        Self {
            conversation_id: conversation.id.to_string(),
            phone_number_canonical: conversation.phone_number_canonical.as_str().to_owned(),
            phone_number_original: conversation.phone_number_original.as_str().to_owned(),
            tenant_id: conversation.tenant_id.as_ref().map(ToString::to_string),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            language_detected: conversation.language.language.as_str(),
            language_confidence: conversation.language.confidence.fraction(),
            last_message_at: conversation.last_message_at,
        }
    }
}

/// A page of conversations, the latest active first.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationList)]
pub(crate) struct ConversationsBody {
    /// The conversations.
    conversations: Vec<ConversationBody>,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// Where the next page begins; `null` where this one is the last.
    next_cursor: Option<String>,
}

impl ConversationsBody {
    pub(crate) fn new(page: &ConversationPage, limit: u32) -> Self {
        Self {
            conversations: page.conversations.iter().map(ConversationBody::new).collect(),
            limit,
            next_cursor: page.next.as_ref().map(cursor::write_activity),
        }
    }
}

/// A conversation with a page of its messages.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationThread)]
pub(crate) struct ThreadBody {
    /// Always true: an error has another shape.
    success: bool,
    #[serde(flatten)]
    conversation: ConversationBody,
    /// The messages of the page.
    messages: Vec<MessageBody>,
    /// The page that was asked for.
    #[schema(minimum = 1)]
    page: u32,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// How many were passed over.
    #[schema(minimum = 0, maximum = 10000)]
    offset: u32,
    /// How many messages the conversation has.
    #[schema(minimum = 0)]
    total: u64,
    /// Where the next page begins; `null` where this one is the last.
    next_cursor: Option<String>,
}

/// Which page was asked for, to be echoed.
pub(crate) struct Asked {
    pub(crate) page: u32,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

impl ThreadBody {
    pub(crate) fn new(conversation: &Conversation, thread: &ThreadPage, asked: &Asked) -> Self {
        Self {
            success: true,
            conversation: ConversationBody::new(conversation),
            messages: thread.messages.iter().map(MessageBody::new).collect(),
            page: asked.page,
            limit: asked.limit,
            offset: asked.offset,
            total: thread.total,
            next_cursor: thread.next.as_ref().map(cursor::write),
        }
    }
}

/// A page of a conversation's messages.
#[derive(Serialize, ToSchema)]
#[schema(as = ThreadPage)]
pub(crate) struct ThreadPageBody {
    /// The conversation.
    #[schema(format = "uuid")]
    pub(crate) conversation_id: String,
    /// The messages of the page, in the order that was asked for.
    pub(crate) messages: Vec<MessageBody>,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    pub(crate) limit: u32,
    /// How many messages the conversation has.
    #[schema(minimum = 0)]
    pub(crate) total: u64,
    /// For the page behind this one; `null` where this one is the last.
    pub(crate) next_cursor: Option<String>,
    /// For the page before this one. Stays even at the first page, so that what is written later
    /// can be asked for; `null` only for a conversation without messages.
    pub(crate) previous_cursor: Option<String>,
}

/// A message in a thread. Fields that stand twice are the two names that callers know them by.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageBody {
    /// Our id of it.
    #[schema(format = "uuid")]
    id: String,
    /// Whether it is to us or from us.
    #[schema(schema_with = words::direction)]
    direction: &'static str,
    /// Who sent it.
    from_number: String,
    /// Who gets it.
    to_number: String,
    /// The text; `null` where it has none.
    message_content: Option<String>,
    /// The same.
    content: Option<String>,
    /// Twilio's id of it, once Twilio has given one.
    twilio_sid: Option<String>,
    /// How far it got.
    #[schema(schema_with = words::delivery_status)]
    delivery_status: &'static str,
    /// Twilio's code of what went wrong, or one of ours: `not_sent`, `expired`,
    /// `retries_exhausted`, `canceled`.
    error_code: Option<String>,
    /// Pictures and files.
    media: Vec<MediaBody>,
    /// When we learned of it.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The same.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Who speaks.
    #[schema(schema_with = words::sender)]
    sender: &'static str,
}

/// A picture or a file.
#[derive(Serialize, ToSchema)]
#[schema(as = Media)]
pub(crate) struct MediaBody {
    /// Where it is.
    url: String,
    /// Its media type, where Twilio told it.
    content_type: Option<String>,
}

impl MediaBody {
    fn new(media: &Media) -> Self {
        Self { url: media.url.clone(), content_type: media.content_type.clone() }
    }
}

impl MessageBody {
    pub(crate) fn new(message: &Message) -> Self {
        let shown = message.shown();
        let content = message.content.as_ref().map(|text| text.as_str().to_owned());
        Self {
            id: message.id.to_string(),
            direction: message.direction.as_str(),
            from_number: message.from_number.as_str().to_owned(),
            to_number: message.to_number.as_str().to_owned(),
            message_content: content.clone(),
            content,
            twilio_sid: message.twilio_sid.as_ref().map(ToString::to_string),
            delivery_status: shown.status.as_str(),
            error_code: shown.error_code,
            media: message.media.iter().map(MediaBody::new).collect(),
            created_at: message.created_at,
            timestamp: message.created_at,
            sender: match message.direction {
                Direction::Inbound => "tenant",
                Direction::Outbound => "system",
            },
        }
    }

    /// The message of an event, with the status that it had then.
    fn then(event: &Event) -> Option<Self> {
        let (content, kept) = (event.content.as_ref()?, event.message.as_ref()?);
        let (delivery_status, error_code) = (kept.status.as_str(), kept.error_code.clone());
        Some(Self { delivery_status, error_code, ..Self::new(content) })
    }
}

/// Something that happened, as every program is told of it.
#[derive(Serialize)]
pub(crate) struct EventBody {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: EventDataBody,
}

/// What it is about, as that was then.
#[expect(clippy::option_option, reason = "not of this event, null and given are three things")]
#[derive(Serialize)]
struct EventDataBody {
    conversation_id: String,
    phone_number_canonical: String,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    language_detected: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_tenant_id: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_language: Option<Option<String>>,
}

impl EventBody {
    pub(crate) fn new(event: &Event) -> Self {
        let previous = |kind| (event.kind == kind).then(|| event.previous.clone());
        Self {
            id: event.id.to_string(),
            kind: event.kind.as_str(),
            timestamp: event.at,
            data: EventDataBody {
                conversation_id: event.conversation.to_string(),
                phone_number_canonical: event.phone_number_canonical.as_str().to_owned(),
                tenant_id: event.tenant_id.as_ref().map(ToString::to_string),
                workflow_type: event.workflow_type.clone(),
                workflow_id: event.workflow_id.clone(),
                language_detected: event.language.as_str(),
                message: MessageBody::then(event),
                previous_tenant_id: previous(EventKind::Identified),
                previous_language: previous(EventKind::LanguageChanged),
            },
        }
    }
}

/// A message that stands for itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedMessage)]
pub(crate) struct ListedMessageBody {
    #[serde(flatten)]
    message: MessageBody,
    /// The conversation that it belongs to.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// Twilio's words for what went wrong.
    error_message: Option<String>,
}

impl ListedMessageBody {
    pub(crate) fn new(message: &Message) -> Self {
        Self {
            message: MessageBody::new(message),
            conversation_id: message.conversation.to_string(),
            error_message: message.shown().error_message,
        }
    }
}

/// A page of all messages.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageList)]
pub(crate) struct MessagesBody {
    /// The messages, the latest first.
    messages: Vec<ListedMessageBody>,
    /// How many were asked for, at most.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// Where the next page begins; `null` where this one is the last.
    next_cursor: Option<String>,
}

impl MessagesBody {
    pub(crate) fn new(page: &MessagePage, limit: u32) -> Self {
        Self {
            messages: page.messages.iter().map(ListedMessageBody::new).collect(),
            limit,
            next_cursor: page.next.as_ref().map(cursor::write),
        }
    }
}

/// A message with all that is known about it.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageDetail)]
pub(crate) struct MessageDetailBody {
    #[serde(flatten)]
    message: ListedMessageBody,
    /// The error code in plain words.
    error_explanation: Option<&'static str>,
    /// Our own view of the attempt to send it; `null` for a message to us.
    #[schema(schema_with = words::send_state)]
    send_state: Option<&'static str>,
    /// Until when it may be sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How we learned of it.
    #[schema(schema_with = words::source)]
    source: &'static str,
    /// When anything of it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The fields of Twilio's webhook; `null` without the scope `operate`, and where no webhook
    /// brought it.
    #[schema(schema_with = words::raw_webhook_data)]
    raw_webhook_data: Value,
    /// Every request to Twilio to send it.
    attempts: Vec<AttemptBody>,
    /// What Twilio reported, oldest first.
    status_events: Vec<StatusEventBody>,
}

/// A request to Twilio to send a message.
#[derive(Serialize, ToSchema)]
#[schema(as = SendAttempt)]
pub(crate) struct AttemptBody {
    /// The first is 1.
    #[schema(minimum = 1)]
    number: u32,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended; `null` while it runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// What it came to; `null` while it runs.
    #[schema(schema_with = words::attempt_outcome)]
    outcome: Option<&'static str>,
    /// The HTTP status of Twilio's answer.
    #[schema(minimum = 100, maximum = 599)]
    status_code: Option<u16>,
    /// What went wrong.
    error_code: Option<String>,
}

/// A report of Twilio's about a message.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusEvent)]
pub(crate) struct StatusEventBody {
    /// What it means.
    #[schema(schema_with = words::delivery_status)]
    event_status: &'static str,
    /// Twilio's own word.
    provider_status: String,
    /// Twilio's code of what went wrong.
    error_code: Option<String>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl MessageDetailBody {
    /// `explanation` is of the error code; what Twilio sent is shown only `with_raw`.
    pub(crate) fn new(
        detail: &MessageDetail,
        explanation: Option<&'static str>,
        with_raw: bool,
    ) -> Self {
        let message = &detail.message;
        let sending = message.sending.as_ref();
        Self {
            message: ListedMessageBody::new(message),
            error_explanation: explanation,
            send_state: sending.map(|sending| sending.state.as_str()),
            expires_at: sending.map(|sending| sending.expires_at),
            source: message.source.as_str(),
            updated_at: message.updated_at,
            raw_webhook_data: if with_raw { raw_webhook_data(&detail.raw) } else { Value::Null },
            attempts: detail.attempts.iter().map(AttemptBody::new).collect(),
            status_events: detail.events.iter().map(StatusEventBody::new).collect(),
        }
    }
}

impl AttemptBody {
    fn new(attempt: &SendAttempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome.map(AttemptOutcome::as_str),
            status_code: attempt.status_code,
            error_code: attempt.error_code.clone(),
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
