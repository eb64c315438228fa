//! What Twilio reports about a message.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use domain::message::{Direction, MessageId, StatusEvent};
use domain::outbound::{Outgoing, Step};
use domain::ports::{MessageKey, NewStatusEvent, StatusRecorded};
use futures_util::try_join;

use crate::locks::{hold_sid, lock_message};
use crate::{events, outgoing};

/// Keeps the report and moves its message, or parks it.
pub(crate) async fn record(
    conn: &mut AsyncPgConnection,
    event: &NewStatusEvent,
) -> QueryResult<StatusRecorded> {
    let sid = MessageKey::Sid(event.report.twilio_sid.clone());
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), known, attempts, parked) = try_join!(
            hold_sid(conn, &event.report.twilio_sid),
            lock_message(conn, &sid),
            outgoing::attempts_of(conn, &sid),
            events::parked(conn, &event.report.twilio_sid),
        )?;
        let named = match known {
            Some(message) if message.direction == Direction::Inbound => {
                // A message to us is here: no report makes it more or less so.
                events::insert(conn, event, Some(message.id)).await?;
                let (message, delivery) = (message.id, message.delivery);
                return Ok(StatusRecorded::Applied { message, delivery, overturned: false });
            }
            Some(message) => Some(Outgoing { message, attempts }),
            None => lock_nameless(conn, event.report.message).await?,
        };
        let Some(named) = named else {
            events::insert(conn, event, None).await?;
            return Ok(StatusRecorded::Parked);
        };
        let step = apply(conn, &named, event, &parked).await?;
        Ok(StatusRecorded::Applied {
            message: named.message.id,
            delivery: step.after.message.delivery,
            overturned: step.overturned,
        })
    })
    .await
}

/// The message from us with that id, if it has no SID yet; nobody else gives it one until the
/// transaction ends.
pub(crate) async fn lock_nameless(
    conn: &AsyncPgConnection,
    id: Option<MessageId>,
) -> QueryResult<Option<Outgoing>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let named = outgoing::lock(conn, &MessageKey::Id(id)).await?;
    Ok(named.filter(|outgoing| outgoing.message.twilio_sid.is_none()))
}

/// Moves the message, which is locked and whose SID is held, as the report and those that waited
/// for it say.
pub(crate) async fn apply(
    conn: &AsyncPgConnection,
    named: &Outgoing,
    event: &NewStatusEvent,
    parked: &[StatusEvent],
) -> QueryResult<Step> {
    let step = named.report(&event.report, event.received_at, parked);
    try_join!(
        events::insert(conn, event, Some(named.message.id)),
        events::attach(conn, parked, named.message.id),
        outgoing::write(conn, named, &step, None, event.received_at),
    )?;
    Ok(step)
}
