//! A report of Twilio's about a message.

use diesel::prelude::*;
use domain::message::{Direction, Message, StatusEvent};
use domain::outbound::Moved;
use domain::ports::{MessageKey, NewStatusEvent, StatusRecorded};

use crate::failure::Failure;
use crate::rows::EventRow;
use crate::schema::sms_message_status_events;
use crate::{outgoing, reading, writing};

/// Keeps the report and moves a message from us on.
pub(crate) fn record(
    conn: &mut SqliteConnection,
    event: &NewStatusEvent,
) -> Result<StatusRecorded, Failure> {
    let stored = reported(conn, event)?;
    keep_once(conn, event.stored_for(stored.as_ref().map(|stored| stored.id)))?;
    let Some(stored) = stored else {
        return Ok(StatusRecorded::Parked);
    };
    if stored.direction == Direction::Inbound {
        let (message, delivery) = (stored.id, stored.delivery);
        return Ok(StatusRecorded::Applied { message, delivery, overturned: false, moved: None });
    }
    let before = outgoing::of(conn, stored)?;
    let message = before.message.id;
    let parked = writing::attach(conn, &event.report.twilio_sid, message)?;
    let step = before.report(&event.report, event.received_at, &parked);
    outgoing::write(conn, &before, &step, None, event.received_at)?;
    let moved = Moved::between(&before.message, &step.after.message);
    let (delivery, overturned) = (step.after.message.delivery, step.overturned);
    Ok(StatusRecorded::Applied { message, delivery, overturned, moved })
}

/// The message with the report's SID, or else the one that it names by our id.
fn reported(
    conn: &mut SqliteConnection,
    event: &NewStatusEvent,
) -> Result<Option<Message>, Failure> {
    let sid = MessageKey::Sid(event.report.twilio_sid.clone());
    match reading::message(conn, &sid)? {
        Some(message) => Ok(Some(message)),
        None => outgoing::nameless(conn, event.report.message),
    }
}

/// The unique index over SID, word and error knows whether it is there already.
fn keep_once(conn: &mut SqliteConnection, event: StatusEvent) -> Result<(), Failure> {
    diesel::insert_into(sms_message_status_events::table)
        .values(EventRow::try_from(event)?)
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}
