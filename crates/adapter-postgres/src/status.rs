//! What Twilio reports about a message.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::message::{Direction, MessageId};
use domain::ports::{NewStatusEvent, StatusRecorded};
use futures_util::try_join;

use crate::locks::{hold_sid, lock_message};
use crate::rows::StatusEventRow;
use crate::schema::sms_message_status_events;

/// Keeps the report and moves the status of its message, or parks it.
pub(crate) async fn record(
    conn: &mut AsyncPgConnection,
    event: &NewStatusEvent,
) -> QueryResult<StatusRecorded> {
    let report = &event.report;
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), known) =
            try_join!(hold_sid(conn, &report.twilio_sid), lock_message(conn, &report.twilio_sid),)?;
        let Some(known) = known else {
            insert_event(conn, event, None).await?;
            return Ok(StatusRecorded::Parked);
        };
        let delivery = match known.direction {
            Direction::Outbound => known.delivery.advance(Direction::Outbound, report),
            // A message to us is here: no report makes it more or less so.
            Direction::Inbound => known.delivery.clone(),
        };
        try_join!(
            insert_event(conn, event, Some(known.id)),
            known.become_state(conn, &delivery, event.received_at),
        )?;
        Ok(StatusRecorded::Applied { message: known.id, delivery })
    })
    .await
}

/// Writes the event unless the same report is there already.
async fn insert_event(
    mut conn: &AsyncPgConnection,
    event: &NewStatusEvent,
    message: Option<MessageId>,
) -> QueryResult<()> {
    diesel::insert_into(sms_message_status_events::table)
        .values(StatusEventRow::from(event.stored_for(message)))
        .on_conflict_do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(())
}
