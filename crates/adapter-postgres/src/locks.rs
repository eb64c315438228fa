//! What calls about the same message wait for.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::delivery::DeliveryState;
use domain::message::{Direction, MessageId, TwilioSid};
use domain::timestamp::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::Prepared;
use crate::rows::{DeliveryRow, direction};
use crate::schema::sms_messages;

diesel::define_sql_function! {
    fn pg_advisory_xact_lock(key: BigInt);
}
diesel::define_sql_function! {
    fn hashtextextended(text: Text, seed: BigInt) -> BigInt;
}
diesel::define_sql_function! {
    fn greatest(one: Timestamptz, other: Timestamptz) -> Timestamptz;
}

/// Waits until no other transaction works on what Twilio calls by that SID, then lets none until
/// this one ends.
///
/// A message and a report about it can arrive at the same instant, each in a transaction that does
/// not see the other's row. With this, whoever comes second sees what the first has committed, so
/// that no report stays parked beside its message.
pub(crate) async fn hold_sid(mut conn: &AsyncPgConnection, sid: &TwilioSid) -> QueryResult<()> {
    let key = hashtextextended(sid.as_str(), 0);
    diesel::select(pg_advisory_xact_lock(key)).execute(&mut conn).await?;
    Ok(())
}

/// What a report can change of a message, and what it needs to know of it.
pub(crate) struct LockedMessage {
    pub(crate) id: MessageId,
    pub(crate) direction: Direction,
    pub(crate) delivery: DeliveryState,
}

/// The message with that SID; nobody else changes it until the transaction ends.
pub(crate) async fn lock_message(
    mut conn: &AsyncPgConnection,
    sid: &TwilioSid,
) -> QueryResult<Option<LockedMessage>> {
    let found: Option<(Uuid, String, DeliveryRow)> = sms_messages::table
        .filter(sms_messages::twilio_sid.eq(sid.as_str()))
        .select((sms_messages::id, sms_messages::direction, DeliveryRow::as_select()))
        .for_no_key_update()
        .get_result(&mut conn)
        .await
        .optional()?;
    let Some((id, word, delivery)) = found else {
        return Ok(None);
    };
    Ok(Some(LockedMessage {
        id: MessageId(id),
        direction: direction(&word)?,
        delivery: delivery.try_into()?,
    }))
}

impl LockedMessage {
    /// Writes what has become of it, where anything has.
    pub(crate) async fn become_state(
        &self,
        mut conn: &AsyncPgConnection,
        delivery: &DeliveryState,
        at: Timestamp,
    ) -> QueryResult<()> {
        if *delivery == self.delivery {
            return Ok(());
        }
        let at = OffsetDateTime::from(at);
        let update = diesel::update(sms_messages::table.find(self.id.0)).set((
            DeliveryRow::of(delivery),
            sms_messages::updated_at.eq(greatest(sms_messages::updated_at, at)),
        ));
        Prepared(update).execute(&mut conn).await?;
        Ok(())
    }
}
