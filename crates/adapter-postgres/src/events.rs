//! The reports about a message, and those that wait for one.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::message::{MessageId, StatusEvent, TwilioSid};
use domain::ports::NewStatusEvent;
use uuid::Uuid;

use crate::prepared::Prepared;
use crate::rows::{StatusEventRow, UnreadableRow};
use crate::schema::sms_message_status_events::dsl;

/// Writes the event unless the same report is there already.
pub(crate) async fn insert(
    mut conn: &AsyncPgConnection,
    event: &NewStatusEvent,
    message: Option<MessageId>,
) -> QueryResult<()> {
    diesel::insert_into(dsl::sms_message_status_events)
        .values(StatusEventRow::from(event.stored_for(message)))
        .on_conflict_do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// The reports about that SID which wait for their message. Who holds the SID has them alone.
pub(crate) async fn parked(
    mut conn: &AsyncPgConnection,
    sid: &TwilioSid,
) -> QueryResult<Vec<StatusEvent>> {
    let rows: Vec<StatusEventRow> = dsl::sms_message_status_events
        .filter(dsl::twilio_sid.eq(sid.as_str()))
        .filter(dsl::message_id.is_null())
        .order(dsl::id)
        .select(StatusEventRow::as_select())
        .load(&mut conn)
        .await?;
    read(rows)
}

/// Gives such reports to the message.
pub(crate) async fn attach(
    mut conn: &AsyncPgConnection,
    parked: &[StatusEvent],
    MessageId(message): MessageId,
) -> QueryResult<()> {
    if parked.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = parked.iter().map(|event| event.id.0).collect();
    let parked = dsl::sms_message_status_events.filter(dsl::id.eq_any(ids));
    let attach = diesel::update(parked).set(dsl::message_id.eq(message));
    Prepared(attach).execute(&mut conn).await?;
    Ok(())
}

/// The reports about a message, oldest first.
pub(crate) async fn of_message(
    mut conn: &AsyncPgConnection,
    MessageId(message): MessageId,
) -> QueryResult<Vec<StatusEvent>> {
    let rows: Vec<StatusEventRow> = dsl::sms_message_status_events
        .filter(dsl::message_id.eq(message))
        .order((dsl::created_at, dsl::id))
        .select(StatusEventRow::as_select())
        .load(&mut conn)
        .await?;
    read(rows)
}

fn read(rows: Vec<StatusEventRow>) -> QueryResult<Vec<StatusEvent>> {
    let events = rows.into_iter().map(StatusEvent::try_from);
    Ok(events.collect::<Result<_, UnreadableRow>>()?)
}
