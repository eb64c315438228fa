//! Rows, and what the domain makes of them.
//!
//! A row that the domain cannot read (another program wrote it) is [`UnreadableRow`]: the store
//! rejects the call, and says which column, never what is in it.
//!
//! No row leaves a column to its default (`treat_none_as_default_value = false`): diesel does not
//! cache such a statement, and each insert would be prepared anew.

mod attempt;
mod conversation;
mod event;
mod hook;
mod job;
mod key;
mod sending;
mod subscription;

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use domain::conversation::ConversationId;
use domain::delivery::{DeliveryState, DeliveryStatus};
use domain::message::{
    Direction, EventId, Message, MessageId, RawPayload, Source, StatusEvent, TwilioSid,
};
use domain::text::Text;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::schema::{sms_message_status_events, sms_messages};

pub(crate) use attempt::AttemptRow;
pub(crate) use conversation::{ConversationColumns, ConversationRow, read_conversations};
pub(crate) use event::{EventRow, event_kind};
pub(crate) use hook::{DueHookRow, HookViewRow};
pub(crate) use job::{DueRow, JobRow, JobViewRow};
pub(crate) use key::KeyRow;
pub(crate) use sending::{OutgoingRow, SendingRow};
pub(crate) use subscription::{HealthRow, SubscriptionRow};

/// A stored value that the domain has no meaning for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored value of column {0} is not one of ours")]
pub(crate) struct UnreadableRow(pub(crate) &'static str);

impl From<UnreadableRow> for QueryError {
    fn from(row: UnreadableRow) -> Self {
        Self::DeserializationError(Box::new(row))
    }
}

/// A row of `sms_messages`.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(Pg))]
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

/// What such a row is selected from.
pub(crate) type MessageColumns = SqlTypeOf<AsSelect<MessageRow, Pg>>;

/// The columns of `sms_messages` that a report can change.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(Pg))]
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
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms_message_status_events, check_for_backend(Pg))]
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

/// The column for what a request carried, as text; null where it carried nothing.
pub(crate) fn raw_text(raw: &RawPayload) -> QueryResult<Option<String>> {
    let given = Some(raw.members()).filter(|members| !members.is_empty());
    given.map(json_text).transpose()
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

pub(crate) fn json(value: &impl serde::Serialize) -> QueryResult<Value> {
    serde_json::to_value(value).map_err(|error| QueryError::SerializationError(Box::new(error)))
}

/// One column of many rows, for statements over arrays.
pub(crate) fn column<'a, Row, Value>(
    rows: &'a [Row],
    value: impl FnMut(&'a Row) -> Value,
) -> Vec<Value> {
    rows.iter().map(value).collect()
}

/// A value of JSON as text, for statements over arrays.
pub(crate) fn json_text(value: &impl serde::Serialize) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| QueryError::SerializationError(Box::new(error)))
}

/// A number that is never negative in a column that may be.
pub(crate) fn count<Count: TryFrom<i32>>(
    column: &'static str,
    number: i32,
) -> Result<Count, UnreadableRow> {
    number.try_into().map_err(|_| UnreadableRow(column))
}

/// The column for such a number.
pub(crate) fn stored_count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_row_names_its_column_and_not_its_value() {
        let error = status("delivery_status", "+18605550100").unwrap_err();
        let shown = format!("{error} {error:?} {:?}", QueryError::from(error));
        assert!(shown.contains("delivery_status"));
        assert!(!shown.contains("8605550100"));
    }
}
