//! The delivery state of a message that came again: found by its SID, moved on as the domain says.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::delivery::DeliveryState;
use domain::message::{MessageId, Source, TwilioSid};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows;
use crate::schema::sms_messages;

/// How far a stored message got.
pub(crate) struct StoredDelivery {
    /// Which message.
    pub(crate) message: MessageId,
    /// How far it got.
    pub(crate) state: DeliveryState,
    /// Whether it was found in Twilio's list, before its webhook.
    pub(crate) was_found: bool,
    updated_at: Timestamp,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms_messages, check_for_backend(Sqlite))]
struct DeliveryRow {
    id: String,
    delivery_status: String,
    error_code: Option<String>,
    error_message: Option<String>,
    source: String,
    updated_at: String,
}

impl StoredDelivery {
    /// Of the message with that SID, if it is known. The writer is the only one who writes, so
    /// what is read in its transaction stays true until the commit.
    pub(crate) fn of(
        conn: &mut SqliteConnection,
        sid: &TwilioSid,
    ) -> Result<Option<Self>, Failure> {
        let row = sms_messages::table
            .filter(sms_messages::twilio_sid.eq(sid.as_str()))
            .select(DeliveryRow::as_select())
            .first(conn)
            .optional()?;
        row.map(Self::try_from).transpose()
    }

    /// Writes the state that a report led to at that time, where it is another.
    pub(crate) fn move_to(
        &self,
        conn: &mut SqliteConnection,
        state: &DeliveryState,
        at: Timestamp,
    ) -> Result<(), Failure> {
        if *state == self.state {
            return Ok(());
        }
        let update = diesel::update(sms_messages::table.find(self.message.to_string())).set((
            sms_messages::delivery_status.eq(state.status.as_str()),
            sms_messages::error_code.eq(state.error_code.as_deref()),
            sms_messages::error_message.eq(state.error_message.as_deref()),
            sms_messages::updated_at.eq(self.updated_at.max(at).to_string()),
        ));
        Prepared(update).execute(conn)?;
        Ok(())
    }
}

impl TryFrom<DeliveryRow> for StoredDelivery {
    type Error = Failure;

    fn try_from(row: DeliveryRow) -> Result<Self, Failure> {
        Ok(Self {
            message: MessageId(rows::uuid(&row.id)?),
            state: DeliveryState {
                status: rows::delivery_status(&row.delivery_status)?,
                error_code: row.error_code,
                error_message: row.error_message,
            },
            was_found: row.source == Source::Backfill.as_str(),
            updated_at: rows::time(&row.updated_at)?,
        })
    }
}
