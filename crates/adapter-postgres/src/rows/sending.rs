//! What we know of handing a message over.

use diesel::prelude::*;
use domain::message::{Message, TwilioSid};
use domain::outbound::{SendError, SendState, Sending};
use domain::timestamp::Timestamp;
use time::OffsetDateTime;

use super::{DeliveryRow, UnreadableRow};
use crate::schema::sms_messages;

/// The columns of `sms_messages` that only a message from us has.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(diesel::pg::Pg))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct SendingRow {
    send_state: Option<String>,
    send_error_code: Option<String>,
    send_error_message: Option<String>,
    send_expires_at: Option<OffsetDateTime>,
    status_checks: i16,
    next_check_at: Option<OffsetDateTime>,
}

impl SendingRow {
    pub(crate) fn of(sending: Option<&Sending>) -> Self {
        let error = sending.and_then(|sending| sending.error.as_ref());
        Self {
            send_state: sending.map(|sending| sending.state.as_str().to_owned()),
            send_error_code: error.map(|error| error.code.clone()),
            send_error_message: error.and_then(|error| error.message.clone()),
            send_expires_at: sending.map(|sending| sending.expires_at.into()),
            status_checks: sending.map_or(0, |sending| i16::from(sending.checks)),
            next_check_at: sending.and_then(|sending| sending.next_check_at).map(Into::into),
        }
    }

    /// `None` for a message to us.
    pub(crate) fn sending(self) -> Result<Option<Sending>, UnreadableRow> {
        let Some(word) = self.send_state else {
            return Ok(None);
        };
        let message = self.send_error_message;
        Ok(Some(Sending {
            state: SendState::from_word(&word).ok_or(UnreadableRow("send_state"))?,
            error: self.send_error_code.map(|code| SendError { code, message }),
            expires_at: self.send_expires_at.ok_or(UnreadableRow("send_expires_at"))?.into(),
            checks: u8::try_from(self.status_checks).map_err(|_| UnreadableRow("status_checks"))?,
            next_check_at: self.next_check_at.map(Timestamp::from),
        }))
    }
}

/// The columns of `sms_messages` that a rule can change of a message from us.
#[derive(AsChangeset)]
#[diesel(table_name = sms_messages, treat_none_as_null = true)]
pub(crate) struct OutgoingRow {
    twilio_sid: Option<String>,
    from_number: String,
    #[diesel(embed)]
    delivery: DeliveryRow,
    #[diesel(embed)]
    sending: SendingRow,
    updated_at: OffsetDateTime,
}

impl From<&Message> for OutgoingRow {
    fn from(message: &Message) -> Self {
        Self {
            twilio_sid: message.twilio_sid.as_ref().map(TwilioSid::to_string),
            from_number: message.from_number.as_str().to_owned(),
            delivery: DeliveryRow::of(&message.delivery),
            sending: SendingRow::of(message.sending.as_ref()),
            updated_at: message.updated_at.into(),
        }
    }
}
