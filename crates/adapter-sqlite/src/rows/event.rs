//! Rows of `sms_message_status_events`.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::message::{EventId, MessageId, StatusEvent};

use super::{delivery_status, raw_from_column, raw_to_column, sid, time, uuid};
use crate::failure::Failure;
use crate::schema::sms_message_status_events;

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
