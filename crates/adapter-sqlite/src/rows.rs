//! Rows of the tables: the domain's values as columns, and back.
//!
//! No row is `Debug`: they hold numbers and texts.

use diesel::prelude::*;
use diesel::result::Error::SerializationError;
use diesel::sqlite::Sqlite;
use domain::conversation::{Conversation, ConversationId};
use domain::delivery::{DeliveryState, DeliveryStatus};
use domain::job::{JobState, NewJob};
use domain::language::{Confidence, Language, LanguagePreference};
use domain::message::{
    Direction, EventId, Message, MessageId, RawPayload, Source, StatusEvent, TwilioSid,
};
use domain::tenant::TenantId;
use domain::text::Text;
use domain::timestamp::Timestamp;
use uuid::Uuid;

use crate::failure::Failure;
use crate::schema::{jobs, sms_conversations, sms_message_status_events, sms_messages};

/// A row of `sms_conversations`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_conversations, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct ConversationRow {
    id: String,
    phone_number_canonical: String,
    phone_number_original: Option<String>,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    #[diesel(embed)]
    said: SaidColumns,
    created_at: String,
}

/// What every further message changes in a row of `sms_conversations`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_conversations, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct SaidColumns {
    language_detected: String,
    language_confidence: f32,
    language_evidence: String,
    last_message_at: Option<String>,
    updated_at: String,
}

/// A row of `sms_messages` without `raw_webhook_data`, which a thread does not show.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_messages, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct MessageRow {
    id: String,
    conversation_id: String,
    direction: String,
    twilio_sid: Option<String>,
    from_number: String,
    to_number: String,
    message_content: Option<String>,
    media: String,
    delivery_status: String,
    error_code: Option<String>,
    error_message: Option<String>,
    source: String,
    created_at: String,
    updated_at: String,
}

/// A row of `sms_message_status_events`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_message_status_events, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct EventRow {
    id: String,
    message_id: Option<String>,
    twilio_sid: String,
    provider_status: String,
    event_status: String,
    error_code: Option<String>,
    raw_webhook_data: Option<String>,
    created_at: String,
}

/// A new row of `jobs`.
#[derive(Insertable)]
#[diesel(table_name = jobs, check_for_backend(Sqlite))]
pub(crate) struct JobRow {
    id: String,
    kind: &'static str,
    unique_key: String,
    payload: String,
    state: &'static str,
    run_at: String,
    created_at: String,
    updated_at: String,
}

impl TryFrom<&Conversation> for ConversationRow {
    type Error = Failure;

    fn try_from(conversation: &Conversation) -> Result<Self, Failure> {
        let original = conversation.phone_number_original.as_str();
        Ok(Self {
            id: conversation.id.to_string(),
            phone_number_canonical: conversation.phone_number_canonical.as_str().to_owned(),
            phone_number_original: Some(original.to_owned()),
            tenant_id: conversation.tenant_id.as_ref().map(ToString::to_string),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            said: SaidColumns::try_from(conversation)?,
            created_at: conversation.created_at.to_string(),
        })
    }
}

impl TryFrom<&Conversation> for SaidColumns {
    type Error = Failure;

    fn try_from(conversation: &Conversation) -> Result<Self, Failure> {
        let language = &conversation.language;
        Ok(Self {
            language_detected: language.language.as_str().to_owned(),
            language_confidence: language.confidence.fraction(),
            language_evidence: to_json(&language.evidence)?,
            last_message_at: conversation.last_message_at.map(|at| at.to_string()),
            updated_at: conversation.updated_at.to_string(),
        })
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = Failure;

    fn try_from(row: ConversationRow) -> Result<Self, Failure> {
        let said = row.said;
        let canonical = Text::new(row.phone_number_canonical);
        let original = row.phone_number_original.map(Text::new);
        Ok(Self {
            id: ConversationId(uuid(&row.id)?),
            phone_number_original: original.unwrap_or_else(|| canonical.clone()),
            phone_number_canonical: canonical,
            tenant_id: (row.tenant_id.as_deref())
                .map(TenantId::parse)
                .transpose()
                .map_err(|_| Failure::Unreadable("tenant_id"))?,
            workflow_type: row.workflow_type,
            workflow_id: row.workflow_id,
            language: LanguagePreference {
                language: known("language_detected", &said.language_detected, Language::from_word)?,
                confidence: confidence(said.language_confidence)?,
                evidence: serde_json::from_str(&said.language_evidence)
                    .map_err(|_| Failure::Unreadable("language_evidence"))?,
            },
            last_message_at: said.last_message_at.as_deref().map(time).transpose()?,
            created_at: time(&row.created_at)?,
            updated_at: time(&said.updated_at)?,
        })
    }
}

impl TryFrom<&Message> for MessageRow {
    type Error = Failure;

    fn try_from(message: &Message) -> Result<Self, Failure> {
        let content = message.content.as_ref();
        Ok(Self {
            id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            direction: message.direction.as_str().to_owned(),
            twilio_sid: message.twilio_sid.as_ref().map(ToString::to_string),
            from_number: message.from_number.as_str().to_owned(),
            to_number: message.to_number.as_str().to_owned(),
            message_content: content.map(|text| text.as_str().to_owned()),
            media: to_json(&message.media)?,
            delivery_status: message.delivery.status.as_str().to_owned(),
            error_code: message.delivery.error_code.clone(),
            error_message: message.delivery.error_message.clone(),
            source: message.source.as_str().to_owned(),
            created_at: message.created_at.to_string(),
            updated_at: message.updated_at.to_string(),
        })
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = Failure;

    fn try_from(row: MessageRow) -> Result<Self, Failure> {
        Ok(Self {
            id: MessageId(uuid(&row.id)?),
            conversation: ConversationId(uuid(&row.conversation_id)?),
            direction: known("direction", &row.direction, Direction::from_word)?,
            twilio_sid: row.twilio_sid.as_deref().map(sid).transpose()?,
            from_number: Text::new(row.from_number),
            to_number: Text::new(row.to_number),
            content: row.message_content.map(Text::new),
            media: serde_json::from_str(&row.media).map_err(|_| Failure::Unreadable("media"))?,
            delivery: DeliveryState {
                status: delivery_status(&row.delivery_status)?,
                error_code: row.error_code,
                error_message: row.error_message,
            },
            source: known("source", &row.source, Source::from_word)?,
            created_at: time(&row.created_at)?,
            updated_at: time(&row.updated_at)?,
        })
    }
}

impl TryFrom<StatusEvent> for EventRow {
    type Error = Failure;

    fn try_from(event: StatusEvent) -> Result<Self, Failure> {
        Ok(Self {
            id: event.id.to_string(),
            message_id: event.message.map(|id| id.to_string()),
            twilio_sid: event.twilio_sid.to_string(),
            provider_status: event.provider_status,
            event_status: event.event_status.as_str().to_owned(),
            error_code: event.error_code,
            raw_webhook_data: raw_to_column(&event.raw)?,
            created_at: event.created_at.to_string(),
        })
    }
}

impl TryFrom<EventRow> for StatusEvent {
    type Error = Failure;

    fn try_from(row: EventRow) -> Result<Self, Failure> {
        Ok(Self {
            id: EventId(uuid(&row.id)?),
            message: (row.message_id.as_deref()).map(|id| uuid(id).map(MessageId)).transpose()?,
            twilio_sid: sid(&row.twilio_sid)?,
            event_status: delivery_status(&row.event_status)?,
            provider_status: row.provider_status,
            error_code: row.error_code,
            raw: raw_from_column(row.raw_webhook_data.as_deref())?,
            created_at: time(&row.created_at)?,
        })
    }
}

impl From<&NewJob> for JobRow {
    fn from(new: &NewJob) -> Self {
        let run_at = new.run_at.to_string();
        Self {
            id: new.id.to_string(),
            kind: new.job.kind(),
            unique_key: new.job.unique_key(),
            payload: new.job.payload().to_string(),
            state: JobState::Queued.as_str(),
            created_at: run_at.clone(),
            updated_at: run_at.clone(),
            run_at,
        }
    }
}

/// `raw_webhook_data`: null where nothing came.
pub(crate) fn raw_to_column(raw: &RawPayload) -> Result<Option<String>, Failure> {
    let members = raw.members();
    (!members.is_empty()).then(|| to_json(members)).transpose()
}

/// What came, from `raw_webhook_data`.
pub(crate) fn raw_from_column(column: Option<&str>) -> Result<RawPayload, Failure> {
    let Some(text) = column else {
        return Ok(RawPayload::default());
    };
    serde_json::from_str(text)
        .map(RawPayload::from_stored)
        .map_err(|_| Failure::Unreadable("raw_webhook_data"))
}

pub(crate) fn uuid(text: &str) -> Result<Uuid, Failure> {
    Uuid::try_parse(text).map_err(|_| Failure::Unreadable("id"))
}

pub(crate) fn time(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse(text).map_err(|_| Failure::Unreadable("time"))
}

pub(crate) fn delivery_status(word: &str) -> Result<DeliveryStatus, Failure> {
    known("delivery status", word, DeliveryStatus::from_word)
}

/// What a word of the data model means.
pub(crate) fn known<T>(
    column: &'static str,
    word: &str,
    from_word: fn(&str) -> Option<T>,
) -> Result<T, Failure> {
    from_word(word).ok_or(Failure::Unreadable(column))
}

fn sid(text: &str) -> Result<TwilioSid, Failure> {
    TwilioSid::parse(text).map_err(|_| Failure::Unreadable("twilio_sid"))
}

/// A fraction back in thousandths; its decimal text is the one way to an integer that checks.
fn confidence(fraction: f32) -> Result<Confidence, Failure> {
    format!("{:.0}", fraction * 1000.0)
        .parse()
        .map(Confidence::from_thousandths)
        .map_err(|_| Failure::Unreadable("language_confidence"))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    let json = serde_json::to_string(value);
    Ok(json.map_err(|error| SerializationError(Box::new(error)))?)
}
