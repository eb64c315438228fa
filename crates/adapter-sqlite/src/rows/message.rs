//! Rows of `sms_messages`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::conversation::ConversationId;
use domain::delivery::DeliveryState;
use domain::message::{Direction, Message, MessageId, Source};
use domain::outbound::{SendError, SendState, Sending};
use domain::text::Text;

use super::{delivery_status, known, sid, time, to_json, uuid};
use crate::failure::Failure;
use crate::schema::sms_messages;

/// A row of `sms_messages` without `raw_webhook_data`, which a thread does not show.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sms_messages, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct MessageRow {
    id: String,
    conversation_id: String,
    direction: String,
    to_number: String,
    message_content: Option<String>,
    media: String,
    #[diesel(embed)]
    progress: ProgressColumns,
    source: String,
    created_at: String,
}

/// What changes in a row of `sms_messages` on a message's way.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_messages, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct ProgressColumns {
    twilio_sid: Option<String>,
    from_number: String,
    delivery_status: String,
    error_code: Option<String>,
    error_message: Option<String>,
    #[diesel(embed)]
    sending: SendingColumns,
    updated_at: String,
}

/// What we know of handing a message over; all of it null for a message to us.
#[derive(Default, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sms_messages, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct SendingColumns {
    send_state: Option<String>,
    send_error_code: Option<String>,
    send_error_message: Option<String>,
    send_expires_at: Option<String>,
    status_checks: i64,
    next_check_at: Option<String>,
}

impl TryFrom<&Message> for MessageRow {
    type Error = Failure;

    fn try_from(message: &Message) -> Result<Self, Failure> {
        let content = message.content.as_ref();
        Ok(Self {
            id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            direction: message.direction.as_str().to_owned(),
            to_number: message.to_number.as_str().to_owned(),
            message_content: content.map(|text| text.as_str().to_owned()),
            media: to_json(&message.media)?,
            progress: ProgressColumns::from(message),
            source: message.source.as_str().to_owned(),
            created_at: message.created_at.to_string(),
        })
    }
}

impl From<&Message> for ProgressColumns {
    fn from(message: &Message) -> Self {
        Self {
            twilio_sid: message.twilio_sid.as_ref().map(ToString::to_string),
            from_number: message.from_number.as_str().to_owned(),
            delivery_status: message.delivery.status.as_str().to_owned(),
            error_code: message.delivery.error_code.clone(),
            error_message: message.delivery.error_message.clone(),
            sending: message.sending.as_ref().map(SendingColumns::from).unwrap_or_default(),
            updated_at: message.updated_at.to_string(),
        }
    }
}

impl From<&Sending> for SendingColumns {
    fn from(sending: &Sending) -> Self {
        let error = sending.error.as_ref();
        Self {
            send_state: Some(sending.state.as_str().to_owned()),
            send_error_code: error.map(|error| error.code.clone()),
            send_error_message: error.and_then(|error| error.message.clone()),
            send_expires_at: Some(sending.expires_at.to_string()),
            status_checks: sending.checks.into(),
            next_check_at: sending.next_check_at.map(|at| at.to_string()),
        }
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = Failure;

    fn try_from(row: MessageRow) -> Result<Self, Failure> {
        let progress = row.progress;
        Ok(Self {
            id: MessageId(uuid(&row.id)?),
            conversation: ConversationId(uuid(&row.conversation_id)?),
            direction: known("direction", &row.direction, Direction::from_word)?,
            twilio_sid: progress.twilio_sid.as_deref().map(sid).transpose()?,
            from_number: Text::new(progress.from_number),
            to_number: Text::new(row.to_number),
            content: row.message_content.map(Text::new),
            media: serde_json::from_str(&row.media).map_err(|_| Failure::Unreadable("media"))?,
            delivery: DeliveryState {
                status: delivery_status(&progress.delivery_status)?,
                error_code: progress.error_code,
                error_message: progress.error_message,
            },
            sending: progress.sending.read()?,
            source: known("source", &row.source, Source::from_word)?,
            created_at: time(&row.created_at)?,
            updated_at: time(&progress.updated_at)?,
        })
    }
}

impl SendingColumns {
    fn read(self) -> Result<Option<Sending>, Failure> {
        let Some(state) = self.send_state else {
            return Ok(None);
        };
        let expires_at = self.send_expires_at.ok_or(Failure::Unreadable("send_expires_at"))?;
        let message = self.send_error_message;
        Ok(Some(Sending {
            state: known("send_state", &state, SendState::from_word)?,
            error: self.send_error_code.map(|code| SendError { code, message }),
            expires_at: time(&expires_at)?,
            checks: self.status_checks.try_into().map_err(|_| Failure::Unreadable("checks"))?,
            next_check_at: self.next_check_at.as_deref().map(time).transpose()?,
        }))
    }
}
