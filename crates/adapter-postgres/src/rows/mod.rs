//! Rows, and what the domain makes of them.
//!
//! A row that the domain cannot read (another program wrote it) is [`UnreadableRow`]: the store
//! rejects the call, and says which column, never what is in it.
//!
//! No row leaves a column to its default (`treat_none_as_default_value = false`): diesel does not
//! cache such a statement, and each insert would be prepared anew.

mod attempt;
mod job;
mod key;
mod sending;

use diesel::prelude::*;
use diesel::result::Error as QueryError;
use domain::conversation::{Conversation, ConversationId};
use domain::delivery::{DeliveryState, DeliveryStatus};
use domain::language::{Confidence, Language, LanguagePreference};
use domain::message::{
    Direction, EventId, Message, MessageId, RawPayload, Source, StatusEvent, TwilioSid,
};
use domain::tenant::TenantId;
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::schema::{sms_conversations, sms_message_status_events, sms_messages};

pub(crate) use attempt::AttemptRow;
pub(crate) use job::{DueRow, JobRow, JobViewRow};
pub(crate) use key::KeyRow;
pub(crate) use sending::{OutgoingRow, SendingRow};

/// A stored value that the domain has no meaning for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored value of column {0} is not one of ours")]
pub(crate) struct UnreadableRow(pub(crate) &'static str);

impl From<UnreadableRow> for QueryError {
    fn from(row: UnreadableRow) -> Self {
        Self::DeserializationError(Box::new(row))
    }
}

/// A row of `sms_conversations`.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_conversations, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct ConversationRow {
    pub(crate) id: Uuid,
    phone_number_canonical: String,
    phone_number_original: Option<String>,
    tenant_id: Option<String>,
    workflow_type: Option<String>,
    workflow_id: Option<String>,
    language_detected: String,
    language_confidence: f32,
    language_evidence: Value,
    last_message_at: Option<OffsetDateTime>,
    our_number: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl ConversationRow {
    pub(crate) fn of(conversation: &Conversation) -> QueryResult<Self> {
        let text = |text: &Text| text.as_str().to_owned();
        Ok(Self {
            id: conversation.id.0,
            phone_number_canonical: text(&conversation.phone_number_canonical),
            phone_number_original: Some(text(&conversation.phone_number_original)),
            tenant_id: conversation.tenant_id.as_ref().map(TenantId::to_string),
            workflow_type: conversation.workflow_type.clone(),
            workflow_id: conversation.workflow_id.clone(),
            language_detected: conversation.language.language.as_str().to_owned(),
            language_confidence: conversation.language.confidence.fraction(),
            language_evidence: json(&conversation.language.evidence)?,
            last_message_at: conversation.last_message_at.map(Into::into),
            our_number: conversation.our_number.as_ref().map(text),
            created_at: conversation.created_at.into(),
            updated_at: conversation.updated_at.into(),
        })
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = UnreadableRow;

    fn try_from(row: ConversationRow) -> Result<Self, UnreadableRow> {
        let language = LanguagePreference {
            language: Language::from_word(&row.language_detected)
                .ok_or(UnreadableRow("language_detected"))?,
            confidence: confidence(row.language_confidence),
            evidence: serde_json::from_value(row.language_evidence)
                .map_err(|_| UnreadableRow("language_evidence"))?,
        };
        let tenant_id = row.tenant_id.as_deref().map(TenantId::parse).transpose();
        let canonical = Text::new(row.phone_number_canonical);
        let original = row.phone_number_original.map(Text::new);
        Ok(Self {
            id: ConversationId(row.id),
            // Another program may not have kept the spelling.
            phone_number_original: original.unwrap_or_else(|| canonical.clone()),
            phone_number_canonical: canonical,
            tenant_id: tenant_id.map_err(|_| UnreadableRow("tenant_id"))?,
            workflow_type: row.workflow_type,
            workflow_id: row.workflow_id,
            language,
            our_number: row.our_number.map(Text::new),
            last_message_at: row.last_message_at.map(Timestamp::from),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

/// A row of `sms_messages`.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct MessageRow {
    pub(crate) id: Uuid,
    conversation_id: Uuid,
    direction: String,
    twilio_sid: Option<String>,
    from_number: String,
    to_number: String,
    message_content: Option<String>,
    #[diesel(embed)]
    delivery: DeliveryRow,
    source: String,
    media: Value,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    #[diesel(embed)]
    sending: SendingRow,
}

/// The columns of `sms_messages` that a report can change.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct DeliveryRow {
    delivery_status: String,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl MessageRow {
    pub(crate) fn of(message: &Message) -> QueryResult<Self> {
        let text = |text: &Text| text.as_str().to_owned();
        Ok(Self {
            id: message.id.0,
            conversation_id: message.conversation.0,
            direction: message.direction.as_str().to_owned(),
            twilio_sid: message.twilio_sid.as_ref().map(TwilioSid::to_string),
            from_number: text(&message.from_number),
            to_number: text(&message.to_number),
            message_content: message.content.as_ref().map(text),
            delivery: DeliveryRow::of(&message.delivery),
            source: message.source.as_str().to_owned(),
            media: json(&message.media)?,
            created_at: message.created_at.into(),
            updated_at: message.updated_at.into(),
            sending: SendingRow::of(message.sending.as_ref()),
        })
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = UnreadableRow;

    fn try_from(row: MessageRow) -> Result<Self, UnreadableRow> {
        let twilio_sid = row.twilio_sid.as_deref().map(TwilioSid::parse).transpose();
        Ok(Self {
            id: MessageId(row.id),
            conversation: ConversationId(row.conversation_id),
            direction: direction(&row.direction)?,
            twilio_sid: twilio_sid.map_err(|_| UnreadableRow("twilio_sid"))?,
            from_number: Text::new(row.from_number),
            to_number: Text::new(row.to_number),
            content: row.message_content.map(Text::new),
            media: serde_json::from_value(row.media).map_err(|_| UnreadableRow("media"))?,
            delivery: row.delivery.try_into()?,
            sending: row.sending.sending()?,
            source: Source::from_word(&row.source).ok_or(UnreadableRow("source"))?,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

impl DeliveryRow {
    pub(crate) fn of(delivery: &DeliveryState) -> Self {
        Self {
            delivery_status: delivery.status.as_str().to_owned(),
            error_code: delivery.error_code.clone(),
            error_message: delivery.error_message.clone(),
        }
    }
}

impl TryFrom<DeliveryRow> for DeliveryState {
    type Error = UnreadableRow;

    fn try_from(row: DeliveryRow) -> Result<Self, UnreadableRow> {
        Ok(Self {
            status: status("delivery_status", &row.delivery_status)?,
            error_code: row.error_code,
            error_message: row.error_message,
        })
    }
}

/// A row of `sms_message_status_events`.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = sms_message_status_events, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct StatusEventRow {
    id: Uuid,
    message_id: Option<Uuid>,
    twilio_sid: String,
    provider_status: String,
    event_status: String,
    error_code: Option<String>,
    raw_webhook_data: Option<Value>,
    created_at: OffsetDateTime,
}

impl From<StatusEvent> for StatusEventRow {
    fn from(event: StatusEvent) -> Self {
        Self {
            id: event.id.0,
            message_id: event.message.map(|id| id.0),
            twilio_sid: event.twilio_sid.to_string(),
            provider_status: event.provider_status,
            event_status: event.event_status.as_str().to_owned(),
            error_code: event.error_code,
            raw_webhook_data: stored(event.raw),
            created_at: event.created_at.into(),
        }
    }
}

impl TryFrom<StatusEventRow> for StatusEvent {
    type Error = UnreadableRow;

    fn try_from(row: StatusEventRow) -> Result<Self, UnreadableRow> {
        let twilio_sid = TwilioSid::parse(&row.twilio_sid);
        Ok(Self {
            id: EventId(row.id),
            message: row.message_id.map(MessageId),
            twilio_sid: twilio_sid.map_err(|_| UnreadableRow("twilio_sid"))?,
            event_status: status("event_status", &row.event_status)?,
            provider_status: row.provider_status,
            error_code: row.error_code,
            raw: received(row.raw_webhook_data),
            created_at: row.created_at.into(),
        })
    }
}

/// The column for what a request carried; null where it carried nothing.
pub(crate) fn stored(raw: RawPayload) -> Option<Value> {
    (!raw.members().is_empty()).then(|| raw.into_json())
}

/// What such a column holds.
pub(crate) fn received(column: Option<Value>) -> RawPayload {
    column.map(RawPayload::from_stored).unwrap_or_default()
}

/// The word in a column `direction`.
pub(crate) fn direction(word: &str) -> Result<Direction, UnreadableRow> {
    Direction::from_word(word).ok_or(UnreadableRow("direction"))
}

fn status(column: &'static str, word: &str) -> Result<DeliveryStatus, UnreadableRow> {
    DeliveryStatus::from_word(word).ok_or(UnreadableRow(column))
}

fn json(value: &impl serde::Serialize) -> QueryResult<Value> {
    serde_json::to_value(value).map_err(|error| QueryError::SerializationError(Box::new(error)))
}

/// A number that is never negative in a column that may be.
fn count<Count: TryFrom<i32>>(column: &'static str, number: i32) -> Result<Count, UnreadableRow> {
    number.try_into().map_err(|_| UnreadableRow(column))
}

/// The column for such a number.
pub(crate) fn stored_count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The confidence whose fraction is in a column of type `real`.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 0 and 1000 fits"
)]
fn confidence(fraction: f32) -> Confidence {
    Confidence::from_thousandths((fraction * 1000.0).round().clamp(0.0, 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_confidence_is_read_back_as_it_was_written() {
        for thousandths in 0..=1000 {
            let written = Confidence::from_thousandths(thousandths);
            assert_eq!(confidence(written.fraction()), written);
        }
    }

    #[test]
    fn an_unreadable_row_names_its_column_and_not_its_value() {
        let error = status("delivery_status", "+18605550100").unwrap_err();
        let shown = format!("{error} {error:?} {:?}", QueryError::from(error));
        assert!(shown.contains("delivery_status"));
        assert!(!shown.contains("8605550100"));
    }
}
